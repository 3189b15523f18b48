//! `harness replay CASE`: one vector, in full.

mod elf;
mod execution;
mod gdb;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use harness_codec::decode;
use harness_protocol::scenario::Step;
use harness_protocol::{Vector, Want, exit};
use harness_runner::{CaseResult, Outcome, RunOptions, run_one};

use super::conformance::{BUILT_IN, find};
use super::dump;
use crate::args::Global;
use crate::failure::{CommandResult, Failure};
use crate::output::{out, outln};
use crate::selection::{frozen, suite};
use crate::{formats, input, style};

/// Run one vector and show everything about it: the file, what is expected, what was answered
///
/// A vector that calls a function is run in the harness's own sandbox and shown as `run` does, unless a loader is
/// named with --impl.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Id of the vector, as reports name it
    case: String,
    /// Implementation to ask [default: the built-in reference loader, for calls the sandbox]
    #[arg(long = "impl", value_name = "LOADER")]
    implementation: Option<String>,
    /// Take the vectors from JSON files in this folder instead of making them
    #[arg(long, value_name = "DIR")]
    vectors: Option<PathBuf>,
    /// Also write the vector's file here
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Use the emulator although the processor here could run the code
    #[arg(long, conflicts_with_all = ["implementation", "gdb"])]
    emulate: bool,
    /// Start gdb before the first instruction of the called function; no sandbox is around it then, but gdb stops at
    /// every system call
    #[arg(long, conflicts_with_all = ["implementation", "json"])]
    gdb: bool,
    /// More arguments for gdb, such as -batch -ex 'x/3i $pc'
    #[arg(last = true, value_name = "GDB-ARG", requires = "gdb")]
    gdb_args: Vec<OsString>,
}

/// Replays the vector; 1 when the answer is not the expected one.
pub(crate) fn run(global: &Global, options: &Options) -> CommandResult {
    let spec = formats::spec_of_vector(global, &options.case)?;
    let readings = formats::readings(global);
    let vectors = match &options.vectors {
        Some(folder) => frozen(folder)?,
        None => suite(&spec, &readings)?.vectors,
    };
    let vector = vectors
        .iter()
        .find(|vector| vector.id == options.case)
        .ok_or_else(|| unknown(&options.case, &vectors))?;
    if let Some(path) = &options.save {
        input::write(path, &vector.bytes.0)?;
    }
    if options.gdb {
        return gdb::debug(&spec.under(&readings)?, vector, &options.gdb_args);
    }
    if vector.want == Want::Call && options.implementation.is_none() {
        return execution::replay(global, &spec.under(&readings)?, vector, options.emulate);
    }
    let loader = options.implementation.as_deref().unwrap_or(BUILT_IN);
    let implementation = find(loader, &Arc::new(AtomicBool::new(false)))?;
    let run_options = RunOptions {
        format: Some(spec.format().id.clone()),
        choices: readings.clone(),
        isolate: false,
        ..RunOptions::default()
    };
    let result = run_one(&implementation, vector, &run_options)
        .map_err(|error| Failure::new(error.exit_code(), error.to_string(), None))?;
    if global.json {
        outln!("{}", serde_json::json!({"vector": vector, "result": result}));
    } else {
        let format = spec.under(&readings)?;
        if vector.steps.is_empty() {
            let decoded = decode(&format, &vector.bytes.0);
            out!("{}", dump::text(&format, &decoded, &vector.bytes.0, &vector.id, false));
        } else {
            outln!("{}", vector.id);
            steps(vector, &result);
        }
        print(vector, &result);
    }
    Ok(match result.outcome {
        Outcome::Pass => exit::OK,
        Outcome::Skip => exit::NOTHING_RAN,
        _ => exit::NONCONFORMANT,
    })
}

/// The steps of a scenario with what is expected of each and what came of it; files by their size.
fn steps(vector: &Vector, result: &CaseResult) {
    let answers = result.got.as_ref().map(|reply| reply.steps.as_slice()).unwrap_or_default();
    for (number, step) in vector.steps.iter().enumerate() {
        outln!("{:>3}  {}", number + 1, in_words(&step.step));
        let expect = serde_json::to_string(&step.expect).unwrap_or_default();
        outln!("     {} {expect}", style::dim("expected"));
        if let Some(answer) = answers.get(number) {
            let answer = serde_json::to_string(answer).unwrap_or_default();
            outln!("     {} {answer}", style::dim("answered"));
        }
    }
}

fn in_words(step: &Step) -> String {
    let file = |bytes: &Option<harness_protocol::HexBytes>| {
        bytes.as_ref().map_or_else(String::new, |b| format!(", {} bytes written before", b.0.len()))
    };
    match step {
        Step::Load { path, bytes, handle } => format!("load {path} as `{handle}`{}", file(bytes)),
        Step::Reload { path, bytes, handle } => {
            format!("reload {path} as `{handle}`{}", file(bytes))
        }
        Step::Unload { path } => format!("unload {path}"),
        Step::Release { handle } => format!("release `{handle}`"),
        Step::Resolve { symbol } => format!("resolve {symbol}"),
        Step::Find { handle, symbol } => format!("find {symbol} in `{handle}`"),
        Step::Call { handle, call } => format!("call {} of `{handle}`", call.function),
    }
}

fn print(vector: &Vector, result: &CaseResult) {
    let line = |label: &str, text: &str| {
        if !text.is_empty() {
            outln!("{:>10}  {text}", style::dim(label));
        }
    };
    outln!();
    line("base", &vector.base);
    line("edit", &vector.edit);
    line("rule", vector.rule.as_deref().unwrap_or_default());
    line("why", &vector.why);
    line("twin", vector.twin.as_deref().unwrap_or_default());
    let stages: Vec<&str> = result.expected.iter().map(|stage| stage.name()).collect();
    line("expected", &stages.join(" or "));
    for (choice, readings) in &vector.readings {
        for (reading, expect) in readings {
            let stages: Vec<&str> = expect.stages.iter().map(|stage| stage.name()).collect();
            line("reading", &format!("{choice}={reading}: {}", stages.join(" or ")));
        }
    }
    if let Some(reply) = &result.got {
        line("answered", &serde_json::to_string(reply).unwrap_or_default());
    }
    line("crash", &result.crash.as_ref().map(ToString::to_string).unwrap_or_default());
    result.notes.iter().for_each(|note| line("note", note));
    let outcome = result.outcome.to_string();
    let verdict =
        if result.outcome == Outcome::Pass { style::good(&outcome) } else { style::bad(&outcome) };
    let cause = if result.cause.is_empty() { String::new() } else { format!(": {}", result.cause) };
    line("outcome", &format!("{verdict}{cause}"));
}

fn unknown(case: &str, vectors: &[Vector]) -> Failure {
    let last = case.rsplit('/').next().unwrap_or(case);
    let near: Vec<&str> = vectors
        .iter()
        .map(|vector| vector.id.as_str())
        .filter(|id| id.contains(case) || id.ends_with(last))
        .take(5)
        .collect();
    let help = if near.is_empty() {
        "`harness conformance --list` shows all ids".to_owned()
    } else {
        format!("similar: {}", near.join(", "))
    };
    Failure::usage_with(format!("there is no vector `{case}`"), help)
}
