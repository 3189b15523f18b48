//! `harness dylib-host LIBRARY` (hidden): speaks the pipe protocol for a loader that is a shared library.

use std::path::PathBuf;

use crate::failure::{CommandResult, Failure};
use crate::frames;

/// Speak the pipe protocol for a shared library.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The library
    library: PathBuf,
}

/// Serves the library on standard input and output.
pub(crate) fn run(options: &Options) -> CommandResult {
    let mut output =
        frames::apart().map_err(|error| Failure::bug(format!("standard output: {error}")))?;
    dylib_host::serve(&options.library, &mut std::io::stdin().lock(), &mut output)
        .map_err(|error| Failure::usage(error.to_string()))?;
    Ok(harness_protocol::exit::OK)
}
