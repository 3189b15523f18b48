//! `harness dylib-host LIBRARY` (hidden): speaks the pipe protocol for a loader that is a shared library.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use crate::failure::{CommandResult, Failure};

/// Speak the pipe protocol for a shared library.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The library
    library: PathBuf,
}

/// Serves the library on standard input and output. What the library itself prints goes to stderr: it must
/// not end up between two frames.
pub(crate) fn run(options: &Options) -> CommandResult {
    let mut output =
        frames_apart().map_err(|error| Failure::bug(format!("standard output: {error}")))?;
    dylib_host::serve(&options.library, &mut std::io::stdin().lock(), &mut output)
        .map_err(|error| Failure::usage(error.to_string()))?;
    Ok(harness_protocol::exit::OK)
}

/// Standard output for frames only; descriptor 1 becomes another name of stderr.
fn frames_apart() -> std::io::Result<File> {
    let frames = std::io::stdout().as_fd().try_clone_to_owned()?;
    nix::unistd::dup2_stdout(std::io::stderr())?;
    Ok(File::from(frames))
}
