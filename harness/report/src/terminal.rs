//! The summary for people: failures by rule with the next step, counts, findings, verdict.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use harness_protocol::exit;
use harness_runner::{Finding, Outcome, RunReport};
use owo_colors::{OwoColorize, Style};

use crate::group::{Group, failing};
use crate::limits::{MAX_GROUPS, MAX_LINE, MAX_REASONS};
use crate::text::harmless;

/// How to write a summary.
#[derive(Clone, Debug, Default)]
pub struct SummaryOptions {
    /// With colours; the caller knows whether somebody looks.
    pub color: bool,
    /// Words of the command line that repeat the run's target, for the replay lines; empty: `--impl` and
    /// the target, quoted.
    pub target: Option<String>,
}

/// The summary of `run`, ending in a newline.
#[must_use]
pub fn summary(run: &RunReport, options: &SummaryOptions) -> String {
    let paint = Paint { color: options.color };
    let mut text = String::new();
    let groups = failing(run);
    for group in groups.iter().take(MAX_GROUPS) {
        add_group(&mut text, run, group, options, paint);
    }
    if let Some(more) = groups.len().checked_sub(MAX_GROUPS).filter(|more| *more > 0) {
        line(&mut text, format_args!("… and {more} more groups of failures, see report.json\n"));
    }
    add_counts(&mut text, run, paint);
    for finding in &run.findings {
        add_finding(&mut text, finding, paint);
    }
    line(&mut text, format_args!("{}", verdict(run, paint)));
    text
}

/// Appends a line. Writing to a string does not fail.
fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "{content}");
}

fn add_group(
    text: &mut String,
    run: &RunReport,
    group: &Group<'_>,
    options: &SummaryOptions,
    paint: Paint,
) {
    let Some(first) = group.results.first() else { return };
    let style = if group.results.iter().any(|result| run.fails(result)) {
        Style::new().red().bold()
    } else {
        Style::new().yellow()
    };
    let count = group.results.len();
    let outcome = paint.with(&format!("{} ×{count}", group.outcome), style);
    let rule = paint.with(&harmless(group.rule, MAX_LINE), Style::new().bold());
    let why = harmless(&first.why, MAX_LINE);
    line(text, format_args!("{}", format!("{rule}  {outcome}  {why}").trim_end()));
    line(text, format_args!("    {}", harmless(&first.id, MAX_LINE)));
    line(text, format_args!("    {}", harmless(&first.cause, MAX_LINE)));
    for note in &first.notes {
        line(text, format_args!("    note: {}", harmless(note, MAX_LINE)));
    }
    let target =
        options.target.clone().unwrap_or_else(|| format!("--impl {}", quoted(&run.target)));
    let replay = format!("harness replay {} {target}", quoted(&first.id));
    line(text, format_args!("    {}\n", paint.with(&replay, Style::new().dimmed())));
}

fn add_counts(text: &mut String, run: &RunReport, paint: Paint) {
    for outcome in Outcome::ALL {
        let count = run.count(outcome);
        if count == 0 {
            continue;
        }
        let style = match outcome {
            Outcome::Pass => Style::new().green(),
            Outcome::Skip | Outcome::ExpectedFail => Style::new().yellow(),
            _ => Style::new().red(),
        };
        let name = paint.with(&format!("{:16}", outcome.name()), style);
        line(text, format_args!("  {name} {count:>6}"));
        if outcome == Outcome::Skip {
            add_skips(text, run);
        }
    }
    if !run.observations.is_empty() {
        line(text, format_args!("  memory: {}", run.observations));
    }
    line(text, format_args!(""));
}

/// Why vectors were skipped, and how many for each reason, the most first.
fn add_skips(text: &mut String, run: &RunReport) {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for result in run.cases.iter().filter(|result| result.outcome == Outcome::Skip) {
        *reasons.entry(&result.cause).or_default() += 1;
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (reason, count) in reasons.iter().take(MAX_REASONS) {
        line(text, format_args!("  {:>23}: {}", count, harmless(reason, MAX_LINE)));
    }
    if reasons.len() > MAX_REASONS {
        let more = reasons.len() - MAX_REASONS;
        line(text, format_args!("  {:>23}  {more} more reasons; the report has all", ""));
    }
}

fn add_finding(text: &mut String, finding: &Finding, paint: Paint) {
    let (mark, style) = if finding.fails {
        ("finding", Style::new().red().bold())
    } else {
        ("note", Style::new().yellow())
    };
    let content = harmless(&finding.text, 2 * MAX_LINE);
    line(text, format_args!("{}: {content}", paint.with(mark, style)));
}

fn verdict(run: &RunReport, paint: Paint) -> String {
    let failing = run.cases.iter().filter(|result| run.fails(result)).count();
    let tried = run.cases.iter().filter(|result| result.outcome != Outcome::Skip).count();
    let known = run.cases.iter().filter(|result| result.outcome == Outcome::ExpectedFail).count();
    let good = Style::new().green().bold();
    let bad = Style::new().red().bold();
    let (word, style, rest) = match run.exit_code() {
        code if run.interrupted && (untried(run) > 0 || code == exit::NOTHING_RAN) => {
            ("INTERRUPTED", bad, interruption(run))
        }
        exit::OK if known > 0 => {
            ("AS EXPECTED", good, format!("{known} of {tried} vectors fail, all in known ways"))
        }
        exit::OK => ("CONFORMS", good, format!("{tried} vectors, none fails")),
        exit::NOTHING_RAN => ("NOTHING RAN", bad, "no vector applies to this loader".into()),
        exit::DEVIATIONS_STALE => {
            ("DEVIATIONS STALE", bad, "the deviations file is not true any more".into())
        }
        _ if failing == 0 => ("DOES NOT CONFORM", bad, "see the findings above".into()),
        _ => ("DOES NOT CONFORM", bad, format!("{failing} of {tried} vectors fail")),
    };
    let name = harmless(&format!("{} {}", run.describe.name, run.describe.version), MAX_LINE);
    #[expect(clippy::cast_precision_loss, reason = "a duration for people")]
    let seconds = run.duration_us as f64 / 1e6;
    let word = paint.with(word, style);
    format!("{word}  {name} ({}): {rest} [{seconds:.2} s]", run.connection)
}

fn untried(run: &RunReport) -> usize {
    run.selected.saturating_sub(run.cases.len())
}

/// What an interrupted run did not get to, and what it found out until then.
pub(crate) fn interruption(run: &RunReport) -> String {
    let mut text = format!("{} of {} vectors were not tried", untried(run), run.selected);
    let failed = run.cases.iter().filter(|result| run.fails(result)).count();
    if failed > 0 {
        let _ = write!(text, ", {failed} failed");
    } else if run.findings.iter().any(|finding| finding.fails) {
        text.push_str(", see the findings above");
    }
    text
}

/// `word` as a shell reads it as one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", harmless(word, usize::MAX).replace('\'', r"'\''"))
}

#[derive(Clone, Copy)]
struct Paint {
    color: bool,
}

impl Paint {
    fn with(self, text: &str, style: Style) -> String {
        if self.color { text.style(style).to_string() } else { text.to_owned() }
    }
}
