//! The subcommands, one module each: an `Options` and a `run`.

pub(crate) mod check_spec;
pub(crate) mod completions;
pub(crate) mod conformance;
pub(crate) mod cross_check;
pub(crate) mod dump;
pub(crate) mod dylib_host;
pub(crate) mod generate;
pub(crate) mod init_spec;
pub(crate) mod minimize;
pub(crate) mod pack;
pub(crate) mod reference_loader;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod triage;
pub(crate) mod validate;

use crate::args::{Cli, Command};
use crate::failure::CommandResult;

/// Runs the subcommand of `cli`.
pub(crate) fn run(cli: &Cli) -> CommandResult {
    let global = &cli.global;
    match &cli.command {
        Command::Conformance(options) => conformance::run(global, options),
        Command::Replay(options) => replay::run(global, options),
        Command::Validate(options) => validate::run(global, options),
        Command::Dump(options) => dump::run(global, options),
        Command::Pack(options) => pack::run(global, options),
        Command::Run(options) => run::run(global, options),
        Command::CrossCheck(options) => cross_check::run(global, options),
        Command::Triage(options) => triage::run(global, options),
        Command::Minimize(options) => minimize::run(global, options),
        Command::Generate(options) => generate::run(global, options),
        Command::CheckSpec(options) => check_spec::run(global, options),
        Command::InitSpec(options) => init_spec::run(options),
        Command::Completions(options) => completions::run(options),
        Command::ReferenceLoader => reference_loader::run(),
        Command::DylibHost(options) => dylib_host::run(options),
    }
}
