//! Stopping a child at its exit, while its address space still exists.
//!
//! The thread that starts a traced child must be the one that waits for it: the kernel ties a tracee to
//! the thread that forked it.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

/// Most events that are taken from a family after its first process is gone.
const MAX_RELEASES: usize = 256;

/// What a traced family of processes did since it was last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Nothing of note.
    Running,
    /// This process stopped at its exit; [`Tracer::resume`] lets it go.
    Exiting(Pid),
    /// The first process ended and waits to be reaped.
    Ended,
}

/// Makes `command` ask to be traced by the thread that spawns it.
pub(crate) fn trace_me(command: &mut Command) {
    let hook = || ptrace::traceme().map_err(io::Error::from);
    set_hook(command, hook);
}

#[expect(unsafe_code, reason = "ptrace(TRACEME) must run between fork and exec")]
fn set_hook(command: &mut Command, hook: fn() -> io::Result<()>) {
    // SAFETY: pre_exec demands that the hook is async-signal-safe in a forked copy of a threaded
    // process. The hook is a plain `fn` (it captures nothing); the one passed makes one ptrace system
    // call and turns errno into an io::Error without allocating.
    unsafe { command.pre_exec(hook) };
}

/// Traces a child and the processes it forks, because a wrapper script is not the loader.
#[derive(Debug)]
pub(crate) struct Tracer {
    leader: Pid,
    /// The first process and what it and its descendants forked. Whatever else this thread traces was left
    /// behind by an earlier case, and what it does says nothing about this one.
    family: Vec<Pid>,
    /// Processes whose fork was reported, by whomever.
    reported: Vec<Pid>,
    /// Processes that have been seen to stop once: the first stop of a new one is the attachment.
    known: Vec<Pid>,
    /// New processes that stopped before their fork was reported. They wait for it: if they ran on, they
    /// could be gone before it is known whose they were.
    unclaimed: Vec<Pid>,
}

impl Tracer {
    /// Takes the stop after exec and asks for stops at exits.
    pub(crate) fn arm(leader: Pid) -> io::Result<Self> {
        match waitpid(leader, None)? {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => {}
            other => return Err(io::Error::other(format!("{other:?} instead of a stop at exec"))),
        }
        let options = Options::PTRACE_O_TRACEEXIT
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_EXITKILL;
        ptrace::setoptions(leader, options)?;
        ptrace::cont(leader, None)?;
        Ok(Self {
            leader,
            family: vec![leader],
            reported: Vec::new(),
            known: vec![leader],
            unclaimed: Vec::new(),
        })
    }

    /// Asks what happened; signals on their way to a process are passed on. The first process is not
    /// reaped here. Only children of this thread are looked at: other workers have their own.
    pub(crate) fn poll(&mut self) -> io::Result<Event> {
        let flags = WaitPidFlag::WEXITED
            | WaitPidFlag::WSTOPPED
            | WaitPidFlag::WNOHANG
            | WaitPidFlag::WNOWAIT
            | WaitPidFlag::__WNOTHREAD;
        let status = match waitid(Id::All, flags) {
            Ok(status) => status,
            Err(Errno::ECHILD | Errno::EINVAL) => return Ok(Event::Ended),
            Err(error) => return Err(error.into()),
        };
        match status {
            WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) => {
                if pid == self.leader {
                    return Ok(Event::Ended);
                }
                waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG)?;
                Ok(Event::Running)
            }
            WaitStatus::Stopped(pid, _) | WaitStatus::PtraceEvent(pid, ..) => self.stopped(pid),
            _ => Ok(Event::Running),
        }
    }

    fn stopped(&mut self, pid: Pid) -> io::Result<Event> {
        match waitid(Id::Pid(pid), WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG)? {
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXIT)
                if self.family.contains(&pid) =>
            {
                return Ok(Event::Exiting(pid));
            }
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK) => {
                self.forked(pid)?;
                Self::go_on(pid, None)?;
            }
            WaitStatus::PtraceEvent(_, signal, 0) | WaitStatus::Stopped(_, signal) => {
                let attached = signal == Signal::SIGSTOP && !self.known.contains(&pid);
                if attached {
                    self.known.push(pid);
                }
                if attached && !self.reported.contains(&pid) {
                    self.unclaimed.push(pid);
                } else {
                    Self::go_on(pid, (!attached).then_some(signal))?;
                }
            }
            WaitStatus::PtraceEvent(..) => Self::go_on(pid, None)?,
            _ => {}
        }
        Ok(Event::Running)
    }

    /// `parent` stopped because it forked.
    fn forked(&mut self, parent: Pid) -> io::Result<()> {
        let child = match ptrace::getevent(parent) {
            Ok(child) => {
                libc::pid_t::try_from(child).map(Pid::from_raw).map_err(io::Error::other)?
            }
            // Killed meanwhile.
            Err(Errno::ESRCH) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.reported.push(child);
        if self.family.contains(&parent) {
            self.family.push(child);
        }
        if let Some(place) = self.unclaimed.iter().position(|pid| *pid == child) {
            Self::go_on(self.unclaimed.swap_remove(place), None)?;
        }
        Ok(())
    }

    /// Lets go of what the first process left behind, after the group was killed.
    pub(crate) fn release(&mut self) {
        for _ in 0..MAX_RELEASES {
            for pid in self.unclaimed.drain(..) {
                let _ = Self::resume(pid);
            }
            match self.poll() {
                Ok(Event::Exiting(pid)) => {
                    let _ = Self::resume(pid);
                }
                Ok(Event::Running) => {}
                Ok(Event::Ended) | Err(_) => return,
            }
        }
    }

    /// Lets a process go on that stopped at its exit.
    pub(crate) fn resume(pid: Pid) -> io::Result<()> {
        Self::go_on(pid, None)
    }

    fn go_on(pid: Pid, signal: Option<Signal>) -> io::Result<()> {
        match ptrace::cont(pid, signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nix::sys::stat::Mode;

    use super::*;
    use crate::sys::process;

    /// Runs `script` to its end; its process and those that were seen to exit.
    fn exits(script: &str, folder: &Path) -> (Pid, Vec<Pid>) {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(folder);
        trace_me(&mut command);
        let mut process = process::spawn(&mut command).unwrap().process;
        let mut tracer = Tracer::arm(process.pid()).unwrap();
        let mut seen = Vec::new();
        loop {
            match tracer.poll().unwrap() {
                Event::Running => std::thread::yield_now(),
                Event::Exiting(pid) => {
                    seen.push(pid);
                    Tracer::resume(pid).unwrap();
                }
                Event::Ended => break,
            }
        }
        process.finish().unwrap();
        tracer.release();
        (process.pid(), seen)
    }

    #[test]
    fn what_an_earlier_case_left_behind_is_not_seen() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["away", "go", "gone"] {
            nix::unistd::mkfifo(&folder.path().join(name), Mode::S_IRWXU).unwrap();
        }
        let left = "echo x > away; read x < go; exec 3> gone";
        let (first, seen) =
            exits(&format!("setsid sh -c '{left}' & read x < away; exit 0"), folder.path());
        assert_eq!(seen, [first]);
        // Ends only when the one that was left behind has ended, which is traced as well.
        let (second, seen) = exits("echo x > go; read x < gone; exit 0", folder.path());
        assert_eq!(seen, [second]);
    }

    #[test]
    fn children_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (leader, seen) = exits("(exit 3); (sh -c 'exit 4'; exit 5); exit 0", folder.path());
        assert!(seen.len() >= 3 && seen.last() == Some(&leader), "{seen:?}");
    }
}
