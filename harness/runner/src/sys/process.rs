//! One child process with its group: started, limited, watched, killed and reaped.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, Resource, Rlimit, pidfd_open, prlimit};

use super::poll::{self, Interest};
use super::wait::{Exit, wait4};

/// How often a process is asked whether it ended where the kernel has no `pidfd_open`.
const NO_PIDFD_TICK: Duration = Duration::from_millis(5);

/// A child process that leads its own group. Dropping it kills the group and reaps the child.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    /// Readable once the process ended; absent on kernels without `pidfd_open`.
    pidfd: Option<OwnedFd>,
    exit: Option<Exit>,
}

/// A process and its pipes, as `command` configured them.
pub(crate) struct Spawned {
    pub(crate) process: Process,
    pub(crate) child: Child,
}

/// Starts `command` in a process group of its own, so that its children can be killed with it.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Spawned> {
    let child = command.process_group(0).spawn()?;
    let pid = i32::try_from(child.id()).map(Pid::from_raw).map_err(io::Error::other)?;
    let pidfd = rustix_pid(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    Ok(Spawned { process: Process { pid, pidfd, exit: None }, child })
}

impl Process {
    /// Its id.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// What to wait for to learn that it ended.
    pub(crate) fn interest(&self) -> Interest<'_> {
        Interest::read(self.pidfd.as_ref())
    }

    /// `timeout`, shortened where the end of the process wakes no `poll`.
    pub(crate) fn patience(&self, timeout: Duration) -> Duration {
        if self.pidfd.is_some() { timeout } else { timeout.min(NO_PIDFD_TICK) }
    }

    /// Forbids core dumps and caps the address space at `bytes`. A process that is already gone needs
    /// neither, so errors are not reported.
    pub(crate) fn limit(&self, bytes: Option<u64>) {
        let cap = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
        let _ = prlimit(rustix_pid(self.pid), Resource::Core, cap(0));
        if let Some(bytes) = bytes {
            let _ = prlimit(rustix_pid(self.pid), Resource::As, cap(bytes));
        }
    }

    /// Bytes of address space it has mapped now.
    pub(crate) fn mapped_bytes(&self) -> Option<u64> {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.pid)).ok()?;
        let pages: u64 = statm.split_whitespace().next()?.parse().ok()?;
        pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
    }

    /// Whether it ended. It is not reaped: its id and its group's stay reserved.
    pub(crate) fn has_ended(&self) -> bool {
        use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        self.exit.is_some()
            || !matches!(waitid(Id::Pid(self.pid), flags), Ok(WaitStatus::StillAlive))
    }

    /// Waits until it ended, at most `timeout`; whether it did.
    pub(crate) fn ends_within(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while !self.has_ended() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let interests = [self.interest(), Interest::None, Interest::None, Interest::None];
            let _ = poll::wait(interests, self.patience(left));
        }
        true
    }

    /// Kills what is left of the group and reaps the process.
    pub(crate) fn finish(&mut self) -> io::Result<Exit> {
        if let Some(exit) = self.exit {
            return Ok(exit);
        }
        // The process is not reaped yet, so its id still names this group and no other.
        match killpg(self.pid, Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH | Errno::EPERM) => {}
            Err(error) => return Err(error.into()),
        }
        let exit = wait4(self.pid, true)?.ok_or_else(|| io::Error::other("no such child"))?;
        self.exit = Some(exit);
        Ok(exit)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

fn rustix_pid(pid: Pid) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(pid.as_raw())
}
