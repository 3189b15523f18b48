//! JUnit XML for build servers: a suite per part of the file, a test case per vector.
//!
//! Known failures (`expected-fail`) are shown as skipped with their reason: a build server knows no better
//! word, and as passes they would vanish. A deviation that does not hold any more is a failure.

use std::collections::BTreeMap;
use std::time::Duration;

use harness_protocol::Level;
use harness_runner::{CaseResult, Observations, Observed, Outcome, RunReport};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::ReportError;
use crate::group::place;
use crate::limits::{MAX_LINE, MAX_STDERR};
use crate::terminal::interruption;
use crate::text::harmless;

/// `run` as JUnit XML.
///
/// # Errors
/// When the XML cannot be written: a bug.
pub fn xml(run: &RunReport) -> Result<String, ReportError> {
    let name = format!("{} {}", run.describe.name, run.describe.version);
    let mut report = Report::new(harmless(&name, MAX_LINE));
    report.set_time(Duration::from_micros(run.duration_us));
    let mut suites: BTreeMap<&str, Vec<&CaseResult>> = BTreeMap::new();
    for result in &run.cases {
        suites.entry(place(&result.id)).or_default().push(result);
    }
    for (place, results) in suites {
        let mut suite = TestSuite::new(harmless(place, MAX_LINE));
        let micros = results.iter().map(|result| result.duration_us).sum();
        suite.set_time(Duration::from_micros(micros));
        let observations = Observations::of(results.iter().copied());
        if !observations.is_empty() {
            suite.add_property(("memory", observations.to_string().as_str()));
        }
        suite.add_test_cases(results.into_iter().map(|result| test_case(run, place, result)));
        report.add_test_suite(suite);
    }
    add_findings(run, &mut report);
    add_interruption(run, &mut report);
    report.to_string().map_err(|error| ReportError::Format(error.to_string()))
}

fn test_case(run: &RunReport, place: &str, result: &CaseResult) -> TestCase {
    let mut case = TestCase::new(harmless(&result.id, MAX_LINE), status(run, result));
    case.set_classname(harmless(place, MAX_LINE));
    case.set_time(Duration::from_micros(result.duration_us));
    if let Some(rule) = &result.rule {
        case.add_property(("rule", rule.as_str()));
    }
    if let Some(observed) = &result.observed {
        case.add_property(("memory", harmless(&in_words(observed), MAX_LINE).as_str()));
    }
    for note in &result.notes {
        case.add_property(("note", harmless(note, MAX_LINE).as_str()));
    }
    if let Some(crash) = result.crash.as_ref().filter(|crash| !crash.stderr.is_empty()) {
        case.set_system_err(end(&crash.stderr, MAX_STDERR));
    }
    case
}

fn in_words(observed: &Observed) -> String {
    match observed {
        Observed::Seen => "looked at".into(),
        Observed::Reported => "as reported".into(),
        Observed::NotSeen(reason) => format!("not seen: {reason}"),
    }
}

fn status(run: &RunReport, result: &CaseResult) -> TestCaseStatus {
    let skipped = |message: String| {
        let mut status = TestCaseStatus::skipped();
        status.set_message(harmless(&message, MAX_LINE));
        status
    };
    match result.outcome {
        Outcome::Pass => TestCaseStatus::success(),
        Outcome::Skip => skipped(result.cause.clone()),
        Outcome::ExpectedFail => {
            let reason = result.deviation.as_deref().unwrap_or_default();
            skipped(format!("known: {}: {reason}", result.failed_as.unwrap_or(result.outcome)))
        }
        outcome if result.level == Level::Should && !run.fails(result) && outcome.is_failure() => {
            skipped(format!("recommended only: {outcome}: {}", result.cause))
        }
        outcome => failure(outcome, result),
    }
}

fn failure(outcome: Outcome, result: &CaseResult) -> TestCaseStatus {
    let kind = if outcome.is_fault() { NonSuccessKind::Error } else { NonSuccessKind::Failure };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(harmless(&format!("{outcome}: {}", result.cause), MAX_LINE));
    status.set_type(outcome.name());
    if !result.why.is_empty() {
        status.set_description(harmless(&result.why, MAX_STDERR));
    }
    status
}

/// Findings that fail the run are failures of a suite of their own: else a build server would show green.
fn add_findings(run: &RunReport, report: &mut Report) {
    let failing: Vec<_> = run.findings.iter().filter(|finding| finding.fails).collect();
    if failing.is_empty() {
        return;
    }
    let mut suite = TestSuite::new("findings");
    for (number, finding) in failing.into_iter().enumerate() {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(harmless(&finding.text, MAX_LINE));
        suite.add_test_case(TestCase::new(format!("finding {}", number + 1), status));
    }
    report.add_test_suite(suite);
}

/// An interrupted run is an error of its own: vectors that were not tried do not stand in the file at all,
/// so without it the rest would look like the whole.
fn add_interruption(run: &RunReport, report: &mut Report) {
    if !run.interrupted {
        return;
    }
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message(format!("INTERRUPTED: {}", interruption(run)));
    status.set_type("interrupted");
    let mut suite = TestSuite::new("run");
    suite.add_test_case(TestCase::new("interrupted", status));
    report.add_test_suite(suite);
}

/// The last `limit` bytes of `text`, from a character on.
fn end(text: &str, limit: usize) -> &str {
    let start = text.ceil_char_boundary(text.len().saturating_sub(limit));
    text.get(start..).unwrap_or_default()
}
