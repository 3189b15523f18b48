//! `harness completions SHELL`: completions for the command line.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::failure::CommandResult;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Which shell
    shell: Shell,
}

/// Prints the completions.
pub(crate) fn run(options: &Options) -> CommandResult {
    let mut script = Vec::new();
    clap_complete::generate(
        options.shell,
        &mut crate::args::Cli::command(),
        "harness",
        &mut script,
    );
    crate::output::bytes(&script);
    Ok(harness_protocol::exit::OK)
}
