//! Standard streams of the processes that answer the harness: frames on stdout and nothing else, and an end
//! when the harness ends.

use std::fs::File;
use std::os::fd::AsFd as _;

use nix::sys::prctl;
use nix::sys::signal::Signal;

/// Standard output for frames only: descriptor 1 becomes another name of stderr, so that what foreign code
/// prints does not end up between two frames. Also has the kernel end this process with its parent, since
/// code that is being executed may never come back to notice that nobody listens.
pub(crate) fn apart() -> std::io::Result<File> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let frames = std::io::stdout().as_fd().try_clone_to_owned()?;
    nix::unistd::dup2_stdout(std::io::stderr())?;
    Ok(File::from(frames))
}
