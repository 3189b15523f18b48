//! What a run says as a whole: exit codes, selections, readings, deviations, events.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use harness_protocol::{Level, Stage, exit};
use harness_runner::limits::MAX_WAITING_FAILURES;
use harness_runner::{
    Deviations, Event, FindingKind, Outcome, RunError, RunOptions, RunReport, run, run_one,
};
use rstest::rstest;

use crate::vectors::{expect, pipe, vectors};

fn with_deviations(mode: &str, yaml: &str) -> RunReport {
    let deviations = Deviations::parse(yaml, Path::new("deviations.yaml")).expect("valid YAML");
    let options = RunOptions { deviations: Some(deviations), ..RunOptions::default() };
    run(&pipe(mode), &vectors(4), &options, &|_| {}).expect("it runs")
}

#[rstest]
#[case::all_known("accept-all", "{match: 't/[13]', outcome: wrong-accept, reason: r}", exit::OK)]
#[case::one_unknown(
    "accept-all",
    "{match: t/1, outcome: wrong-accept, reason: r}",
    exit::NONCONFORMANT
)]
#[case::wrong_outcome(
    "accept-all",
    "{match: 't/[13]', outcome: crash, reason: r}",
    exit::DEVIATIONS_STALE
)]
#[case::unexpected_pass("good", "{match: t/1, outcome: crash, reason: r}", exit::DEVIATIONS_STALE)]
#[case::unmatched("good", "{match: t/x, outcome: crash, reason: r}", exit::DEVIATIONS_STALE)]
fn deviations_have_teeth(#[case] mode: &str, #[case] entry: &str, #[case] code: u8) {
    let report = with_deviations(mode, &format!("deviations:\n- {entry}\n"));
    assert_eq!(report.exit_code(), code, "{:#?}", report.findings);
}

#[test]
fn what_is_blessed_passes() {
    let report = run(&pipe("accept-all"), &vectors(4), &RunOptions::default(), &|_| {}).unwrap();
    let blessed = Deviations::blessed(None, &report).to_yaml().unwrap();
    assert_eq!(with_deviations("accept-all", &blessed).exit_code(), exit::OK);
}

#[test]
fn nothing_selected_is_an_error() {
    let error = run(&pipe("good"), &[], &RunOptions::default(), &|_| {}).unwrap_err();
    assert!(matches!(error, RunError::NothingSelected));
    assert_eq!(error.exit_code(), exit::NOTHING_RAN);
}

#[test]
fn nothing_that_applies_is_nothing_that_ran() {
    let options = RunOptions { format: Some("other".into()), ..RunOptions::default() };
    let report = run(&pipe("good"), &vectors(3), &options, &|_| {}).unwrap();
    assert_eq!((report.count(Outcome::Skip), report.exit_code()), (3, exit::NOTHING_RAN));
}

#[test]
fn recommendations_fail_only_when_enforced() {
    let mut vectors = vectors(2);
    vectors[1].level = Level::Should;
    let code = |mode: &str, enforce_should| {
        let options = RunOptions { enforce_should, ..RunOptions::default() };
        run(&pipe(mode), &vectors, &options, &|_| {}).unwrap().exit_code()
    };
    assert_eq!(code("accept-all", false), exit::OK);
    assert_eq!(code("accept-all", true), exit::NONCONFORMANT);
    assert_eq!(code("crash-on-reject", false), exit::NONCONFORMANT);
}

#[test]
fn an_undeclared_reading_is_recognised_and_can_be_declared() {
    let mut vectors = vectors(4);
    for (number, vector) in vectors.iter_mut().enumerate() {
        let stage = if number % 2 == 0 { Stage::Invalid } else { Stage::Valid };
        let readings = BTreeMap::from([("value".to_owned(), expect(stage))]);
        vector.readings = BTreeMap::from([("t.order".to_owned(), readings)]);
    }
    let loader = pipe("follows-value");
    let report = run(&loader, &vectors, &RunOptions::default(), &|_| {}).unwrap();
    let finding = report.findings.iter().find(|f| f.kind == FindingKind::Reading).unwrap();
    assert!(finding.text.starts_with("4 failures follow reading `value`"), "{}", finding.text);
    assert!(finding.text.contains("--choice t.order=value"));
    let choices = BTreeMap::from([("t.order".to_owned(), "value".to_owned())]);
    let options = RunOptions { choices, ..RunOptions::default() };
    assert_eq!(run(&loader, &vectors, &options, &|_| {}).unwrap().exit_code(), exit::OK);
}

#[test]
fn who_rejects_everything_follows_no_reading() {
    let mut vectors = vectors(4);
    for (number, vector) in vectors.iter_mut().enumerate() {
        let stage = if number % 2 == 0 { Stage::Invalid } else { Stage::Valid };
        let readings = BTreeMap::from([("value".to_owned(), expect(stage))]);
        vector.readings = BTreeMap::from([("t.order".to_owned(), readings)]);
    }
    let report = run(&pipe("reject-all"), &vectors, &RunOptions::default(), &|_| {}).unwrap();
    assert!(!report.findings.iter().any(|finding| finding.kind == FindingKind::Reading));
}

#[test]
fn events_count_up_to_the_total() {
    let seen = Mutex::new(Vec::new());
    let sink = |event: Event<'_>| {
        if let Event::CaseDone { done, total, .. } = event {
            seen.lock().unwrap().push((done, total));
        }
    };
    let options = RunOptions { jobs: 2, ..RunOptions::default() };
    run(&pipe("good"), &vectors(9), &options, &sink).unwrap();
    let expected: Vec<_> = (1..=9).map(|done| (done, 9)).collect();
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[rstest]
fn enough_failures_are_enough(#[values(false, true)] isolate: bool) {
    let options = RunOptions { max_failures: Some(1), isolate, ..RunOptions::default() };
    let report = run(&pipe("accept-all"), &vectors(200), &options, &|_| {}).unwrap();
    assert!(report.interrupted && report.cases.len() < 200);
    assert_eq!(report.exit_code(), exit::NONCONFORMANT);
    let failed = report.cases.iter().find(|result| result.outcome.is_failure()).unwrap();
    assert_eq!(failed.isolated, isolate.then_some(failed.outcome));
}

#[test]
fn known_failures_are_not_counted() {
    let text =
        "deviations:\n- {match: 't/*[13579]', outcome: wrong-accept, reason: r, broad: true}\n";
    let deviations = Deviations::parse(text, Path::new("d.yaml")).unwrap();
    let options =
        RunOptions { max_failures: Some(1), deviations: Some(deviations), ..RunOptions::default() };
    let report = run(&pipe("accept-all"), &vectors(6), &options, &|_| {}).unwrap();
    assert!(!report.interrupted);
    assert_eq!(report.count(Outcome::ExpectedFail), 3);
}

/// Vectors are handed out in order, so what is behind can be told by what is known already.
#[test]
fn failures_do_not_wait_for_the_end() {
    let most_missing = Mutex::new((0, 0));
    let sink = |event: Event<'_>| {
        if let Event::CaseDone { done, result, .. } = event {
            let mut seen = most_missing.lock().unwrap();
            seen.0 = seen.0.max(result.index + 1);
            seen.1 = seen.1.max(seen.0 - done);
        }
    };
    let options = RunOptions { in_flight: 4, ..RunOptions::default() };
    let report = run(&pipe("accept-all"), &vectors(120), &options, &sink).unwrap();
    assert_eq!(report.count(Outcome::WrongAccept), 60);
    assert!(report.cases.iter().all(|r| r.isolated.is_some() == r.outcome.is_failure()));
    let missing = most_missing.lock().unwrap().1;
    assert!(missing <= MAX_WAITING_FAILURES + 4, "{missing} results were held back");
}

#[test]
fn one_vector_is_replayed() {
    let result = run_one(&pipe("accept-all"), &vectors(2)[1], &RunOptions::default()).unwrap();
    assert_eq!(result.outcome, Outcome::WrongAccept);
}
