//! The program `harness`: one file a subcommand below `commands`, the shared parts beside it.
//!
//! Results go to stdout, everything for people (progress, errors, hints) to stderr. Exit codes are those of
//! `harness_protocol::exit`.

mod annotate;
mod args;
mod commands;
mod crash;
mod debugger;
mod execution;
mod failure;
mod formats;
mod frames;
mod input;
mod interrupt;
mod machines;
mod module_file;
mod output;
pub mod pack;
mod progress;
mod selection;
mod style;

use std::process::ExitCode;

use clap::Parser as _;

/// Runs the program on the process's own arguments.
#[must_use]
pub fn main() -> ExitCode {
    let cli = args::Cli::parse();
    style::init(&cli.global);
    match commands::run(&cli) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.print(&cli.global);
            ExitCode::from(failure.code)
        }
    }
}
