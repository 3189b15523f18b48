//! `wait4`: the exit status of one child together with what it used. No safe crate wraps it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::OnceLock;

use nix::libc;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::unistd::Pid;

/// How a process ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exit {
    pub(crate) status: ExitStatus,
    /// Largest resident set it ever had, in KiB.
    pub(crate) max_rss_kib: u64,
}

/// Reaps `pid`; `None` when it still runs and `block` is false.
pub(crate) fn wait4(pid: Pid, block: bool) -> io::Result<Option<Exit>> {
    let mut usage = blank_usage()?;
    let mut status = 0;
    let flags = if block { 0 } else { libc::WNOHANG };
    loop {
        match reap(pid, &mut status, flags, &mut usage) {
            0 => return Ok(None),
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            // A traced process stops once more when it is killed, and ends when it is let go.
            _ if libc::WIFSTOPPED(status) => {
                let _ = nix::sys::ptrace::cont(pid, None);
            }
            _ => {
                let max_rss_kib = u64::try_from(usage.max_rss()).unwrap_or(0);
                return Ok(Some(Exit { status: ExitStatus::from_raw(status), max_rss_kib }));
            }
        }
    }
}

#[expect(unsafe_code, reason = "no safe crate wraps wait4")]
fn reap(pid: Pid, status: &mut i32, flags: i32, usage: &mut Usage) -> i32 {
    // SAFETY: wait4 writes one int and one rusage. Both pointers come from exclusive references to
    // initialised values of exactly these types, which live until the call returns.
    unsafe { libc::wait4(pid.as_raw(), status, flags, usage.as_mut()) }
}

/// Some `rusage` to be overwritten.
fn blank_usage() -> io::Result<Usage> {
    static BLANK: OnceLock<Usage> = OnceLock::new();
    if let Some(usage) = BLANK.get() {
        return Ok(*usage);
    }
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok(*BLANK.get_or_init(|| usage))
}

/// The largest resident set that this process itself ever had, in KiB.
pub(crate) fn own_peak_kib() -> u64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
    usage.and_then(|usage| u64::try_from(usage.max_rss()).ok()).unwrap_or(0)
}
