//! `harness check-spec [FILE]`: whether a spec is complete, by reading it and by making its vectors.

use std::path::PathBuf;

use blobspec::{Readings, Spec, lint::lint};
use harness_generate::findings;
use harness_protocol::exit;
use serde_json::{Value, json};

use crate::args::Global;
use crate::failure::CommandResult;
use crate::output::outln;
use crate::{formats, input, selection, style};

/// Check a spec: unknown names, clauses without a rule, rules that nothing breaks alone, untested choices
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The spec; without it, what --spec or --format names
    file: Option<PathBuf>,
    /// List every rule as a sentence, with the clause it stands on
    #[arg(long)]
    rules: bool,
}

/// One line of the result.
struct Line {
    place: String,
    kind: &'static str,
    subject: String,
    message: String,
    fails: bool,
}

/// Checks the spec; 1 when something in it needs an answer. Entangled rules are listed but are no mistake:
/// two sentences of a document may imply each other.
pub(crate) fn run(global: &Global, options: &Options) -> CommandResult {
    let spec = match &options.file {
        Some(path) => Spec::load(&input::display(path), &input::read(path)?)?,
        None => formats::spec(global)?,
    };
    let suite = selection::suite(&spec, &Readings::new())?;
    let file = options
        .file
        .as_ref()
        .map_or_else(|| format!("{}.yaml", spec.format().id), |path| input::display(path));
    let mut lines: Vec<Line> = lint(&spec)
        .into_iter()
        .map(|lint| Line {
            place: format!("{file}:{}", lint.line),
            kind: lint.kind,
            subject: lint.subject,
            message: lint.message,
            fails: true,
        })
        .collect();
    lines.extend(findings(&spec, &suite).into_iter().map(|finding| Line {
        place: file.clone(),
        fails: finding.kind != "entangled-rule",
        kind: finding.kind,
        subject: finding.subject,
        message: finding.message,
    }));
    if global.json {
        outln!("{}", as_json(&spec, suite.vectors.len(), &lines));
    } else {
        print(&spec, suite.vectors.len(), &lines);
        if options.rules {
            print_rules(&spec);
        }
    }
    Ok(if lines.iter().any(|line| line.fails) { exit::NONCONFORMANT } else { exit::OK })
}

fn print(spec: &Spec, vectors: usize, lines: &[Line]) {
    let format = spec.format();
    for line in lines {
        let kind = if line.fails { style::bad(line.kind) } else { style::dim(line.kind) };
        outln!("{}: {kind}: {}: {}", line.place, line.subject, line.message);
    }
    let active = format.rules.iter().filter(|rule| rule.active).count();
    outln!(
        "{} {}: {} clauses, {} records, {} regions, {active} active rules of {}, {} choices, {vectors} vectors: {}",
        format.title,
        format.version,
        format.clauses.len(),
        format.records.len(),
        format.regions.len(),
        format.rules.len(),
        spec.choices().count(),
        match lines.iter().filter(|line| line.fails).count() {
            0 => style::good("nothing left open"),
            number => style::bad(&format!("{number} left open")),
        }
    );
}

fn print_rules(spec: &Spec) {
    let format = spec.format();
    for rule in &format.rules {
        let sentence = harness_codec::rules::describe(format, rule);
        let active = if rule.active { "" } else { " (only under another reading)" };
        outln!("\n{} [{}]{active}\n  {sentence}", style::name(&rule.id), rule.stage);
        if let Some(clause) = format.clause(&rule.clause) {
            outln!("  {}", style::dim(&format!("{}: \"{}\"", clause.section, clause.quote)));
        }
        outln!("  {}", style::dim(&format!("why: {}", rule.why)));
    }
}

fn as_json(spec: &Spec, vectors: usize, lines: &[Line]) -> Value {
    let format = spec.format();
    let findings: Vec<Value> = lines
        .iter()
        .map(|line| json!({"place": line.place, "kind": line.kind, "subject": line.subject, "message": line.message, "fails": line.fails}))
        .collect();
    let rules: Vec<Value> = format
        .rules
        .iter()
        .map(|rule| {
            json!({"id": rule.id, "kind": rule.kind, "stage": rule.stage.name(), "active": rule.active, "clause": rule.clause,
                   "choice": rule.choice, "why": rule.why, "sentence": harness_codec::rules::describe(format, rule)})
        })
        .collect();
    json!({"format": format.id, "version": format.version, "vectors": vectors, "findings": findings, "rules": rules})
}
