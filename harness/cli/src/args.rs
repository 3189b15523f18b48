//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands;

/// Put loaders of machine code to the test.
///
/// A format is described in YAML (built in: scp, smf); from that follow test vectors, a reference to compare
/// with, dumps and validators. Exit codes: 0 all as expected, 1 nonconformant or invalid, 2 usage,
/// 3 an implementation could not start, 4 nothing ran (or the run was interrupted), 5 deviations are stale, 70 a bug in the harness.
#[derive(Debug, Parser)]
#[command(name = "harness", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every subcommand understands.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Built-in format to use
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "spec")]
    pub(crate) format: Option<String>,
    /// Spec of a format of your own
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) spec: Option<PathBuf>,
    /// Dialect of the format, as its spec names it
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) variant: Option<String>,
    /// Read the document in this way where it is silent (repeatable)
    #[arg(long = "choice", global = true, value_name = "ID=READING", value_parser = choice)]
    pub(crate) choices: Vec<(String, String)>,
    /// Only vectors whose id matches; `*` also matches `/` (repeatable)
    #[arg(short = 'k', long = "filter", global = true, value_name = "GLOB")]
    pub(crate) filters: Vec<String>,
    /// Processes of the implementation at once [default: one a core]
    #[arg(short = 'j', long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// Print results as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How to show progress on stderr
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) progress: ProgressWhen,
    /// When to use colours; NO_COLOR is honoured
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorWhen,
}

/// How to show progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressWhen {
    /// A bar on a terminal, else nothing
    Auto,
    /// A line now and then
    Plain,
    /// Nothing
    None,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On terminals
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

fn choice(text: &str) -> Result<(String, String), String> {
    let (id, reading) =
        text.split_once('=').ok_or("expected ID=READING, such as scp.trailing=ignored")?;
    Ok((id.to_owned(), reading.to_owned()))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Conformance(commands::conformance::Options),
    Replay(commands::replay::Options),
    Validate(commands::validate::Options),
    Dump(commands::dump::Options),
    Pack(commands::pack::Options),
    Run(commands::run::Options),
    CrossCheck(commands::cross_check::Options),
    Triage(commands::triage::Options),
    Minimize(commands::minimize::Options),
    Generate(commands::generate::Options),
    CheckSpec(commands::check_spec::Options),
    InitSpec(commands::init_spec::Options),
    Completions(commands::completions::Options),
    #[command(hide = true)]
    ReferenceLoader,
    #[command(hide = true)]
    DylibHost(commands::dylib_host::Options),
}
