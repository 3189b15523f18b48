//! `harness validate FILE…`: what is wrong with a file, by the spec.

use std::path::PathBuf;

use blobspec::Format;
use harness_codec::{Decoded, Verdict, Violation, decode};
use harness_protocol::exit;
use serde_json::{Value, json};

use crate::args::Global;
use crate::failure::CommandResult;
use crate::output::outln;
use crate::{formats, input, style};

/// Check files against the spec and say which rules they break, where and why it matters
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Files; `-` is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Say nothing, only exit with 0 or 1
    #[arg(short, long)]
    quiet: bool,
}

/// Validates the files; 1 when one of them is not valid, and what cannot be read does not stop the rest.
pub(crate) fn run(global: &Global, options: &Options) -> CommandResult {
    let mut code = exit::OK;
    let mut results = Vec::new();
    for path in &options.files {
        let file = match input::read(path) {
            Ok(file) => file,
            Err(failure) if options.files.len() > 1 => {
                failure.print(global);
                code = code.max(failure.code);
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let format = formats::format(global, &formats::spec_for(global, path, &file)?)?;
        let decoded = decode(&format, &file);
        if decoded.verdict != Verdict::Valid {
            code = code.max(exit::NONCONFORMANT);
        }
        let name = input::display(path);
        if global.json {
            results.push(as_json(&format, &decoded, &name));
        } else if !options.quiet {
            print(&format, &decoded, &name);
        }
    }
    if global.json {
        outln!("{}", Value::Array(results));
    }
    Ok(code)
}

fn print(format: &Format, decoded: &Decoded, name: &str) {
    let (title, version) = (&format.title, &format.version);
    let Verdict::Rejected { stage, .. } = &decoded.verdict else {
        outln!("{name}: {} {title} {version}", style::good("valid"));
        return;
    };
    let number = decoded.violations.len();
    let plural = if number == 1 { "violation" } else { "violations" };
    outln!("{name}: {} as {title} {version}, {number} {plural}", style::bad(stage.name()));
    for violation in &decoded.violations {
        print_violation(format, violation);
    }
}

fn print_violation(format: &Format, violation: &Violation) {
    let rule = &format.rules[violation.rule];
    outln!("  {} at offset {:#x}: {}", style::bad(&rule.id), violation.offset, violation.detail);
    if let Some(clause) = format.clause(&rule.clause) {
        outln!("    {}", style::dim(&format!("{}: \"{}\"", clause.section, clause.quote)));
    }
    outln!("    {}", style::dim(&format!("why: {}", rule.why)));
}

fn as_json(format: &Format, decoded: &Decoded, name: &str) -> Value {
    let violations: Vec<Value> =
        decoded.violations.iter().map(|violation| violation_json(format, violation)).collect();
    let stage = match &decoded.verdict {
        Verdict::Valid => "valid",
        Verdict::Rejected { stage, .. } => stage.name(),
    };
    json!({"file": name, "format": format.id, "stage": stage, "violations": violations})
}

/// A violation with everything that the spec knows about its rule.
pub(crate) fn violation_json(format: &Format, violation: &Violation) -> Value {
    let rule = &format.rules[violation.rule];
    json!({
        "rule": rule.id,
        "stage": rule.stage.name(),
        "offset": violation.offset,
        "detail": violation.detail,
        "clause": format.clause(&rule.clause).map(|clause| clause.quote.as_str()),
        "choice": rule.choice,
        "why": rule.why,
    })
}
