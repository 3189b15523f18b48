//! Files, their errors, staleness and blessing.

use std::path::Path;

use harness_protocol::Stage;
use rstest::rstest;

use super::*;
use crate::{CaseResult, Observations, RunReport, sample};

fn parse(text: &str) -> Result<Deviations, DeviationsError> {
    Deviations::parse(text, Path::new("d.yaml"))
}

#[test]
fn a_whole_file_survives_the_round_trip() {
    let text = "implementation: naive\nchoices:\n  scp.magic-order: value\ndeviations:\n- match: scp/x/*\n  \
                outcome: wrong-accept\n  reason: known\n  issue: '#7'\n  expires: 2027-01-31\n  \
                fault: no-crc\n  broad: true\n";
    let file = parse(text).unwrap();
    assert_eq!(file.deviations[0].expires, Some(jiff::civil::date(2027, 1, 31)));
    assert_eq!(parse(&file.to_yaml().unwrap()).unwrap(), file);
    assert_eq!(parse("# nothing yet\n").unwrap(), Deviations::default());
}

#[rstest]
#[case::not_yaml("deviations: [", "d.yaml:2:1: ")]
#[case::unknown_key("deviations:\n  - {match: a, outcom: crash, reason: r}\n", "d.yaml:2:16: ")]
#[case::unknown_outcome("deviations:\n- {match: a, outcome: boom, reason: r}\n", "d.yaml:2:")]
#[case::date(
    "deviations:\n- {match: a, outcome: crash, reason: r, expires: soon}\n",
    "`soon` is no date YYYY-MM-DD"
)]
#[case::no_reason(
    "deviations:\n- {match: a/b, outcome: crash, reason: ' '}\n",
    "d.yaml:2:11: `a/b` has no reason"
)]
#[case::pass("deviations:\n- {match: a, outcome: pass, reason: r}\n", "pass is no failure")]
#[case::glob("deviations:\n- {match: 'a[', outcome: crash, reason: r}\n", "d.yaml:2:12: ")]
fn errors_say_where(#[case] text: &str, #[case] part: &str) {
    let error = parse(text).unwrap_err().to_string();
    assert!(error.contains(part), "{error}");
}

fn entry(pattern: &str, outcome: Outcome) -> Deviation {
    Deviation {
        pattern: pattern.into(),
        outcome: Outcomes::One(outcome),
        reason: "known".into(),
        issue: None,
        expires: None,
        fault: None,
        broad: false,
    }
}

/// Applies `entries` to results with these ids and outcomes.
fn run(entries: Vec<Deviation>, outcomes: &[(&str, Outcome)]) -> (Vec<CaseResult>, Vec<String>) {
    let file = Deviations { deviations: entries, ..Deviations::default() };
    let vectors: Vec<_> =
        outcomes.iter().map(|(id, _)| sample::vector(id, &[Stage::Valid])).collect();
    let coverage = Coverage::new(Some(&file), &vectors);
    let mut results = Vec::new();
    for (index, (vector, (_, outcome))) in vectors.iter().zip(outcomes).enumerate() {
        let mut result = CaseResult::blank(vector, index, &[]);
        result.outcome = *outcome;
        coverage.apply(&mut result);
        results.push(result);
    }
    let today = Some(jiff::civil::date(2026, 6, 1));
    let problems = coverage.problems("naive", today, false, &results);
    (results, problems)
}

use Outcome::{Crash, ExpectedFail, Pass, Skip, UnexpectedPass, WrongAccept};

#[test]
fn a_known_failure_is_expected() {
    let (results, problems) = run(vec![entry("a/*", Crash)], &[("a/b", Crash), ("b", Crash)]);
    assert_eq!(results[0].outcome, ExpectedFail);
    assert_eq!(results[0].failed_as, Some(Crash));
    assert_eq!(results[1].outcome, Crash);
    assert_eq!(problems, [""; 0]);
}

#[rstest]
#[case::unmatched(vec![entry("z", Crash)], &[("a", Pass)], "matches no vector")]
#[case::passes(vec![entry("a", Crash)], &[("a", Pass)], "covers 1 vectors that pass")]
#[case::otherwise(vec![entry("a", Crash)], &[("a", WrongAccept)], "fail in another way")]
#[case::duplicate(vec![entry("a", Crash), entry("?", Crash)], &[("a", Crash)],
    "`a` and `?` match the same vectors")]
#[case::expired(vec![Deviation { expires: Some(jiff::civil::date(2026, 6, 1)), ..entry("a", Crash) }],
    &[("a", Crash)], "expired on 2026-06-01")]
fn an_untrue_entry_is_a_problem(
    #[case] entries: Vec<Deviation>,
    #[case] outcomes: &[(&str, Outcome)],
    #[case] part: &str,
) {
    let (_, problems) = run(entries, outcomes);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains(part), "{problems:?}");
}

#[test]
fn a_skip_is_neither_stale_nor_passed() {
    let (results, problems) = run(vec![entry("a", Crash)], &[("a", Skip)]);
    assert_eq!(results[0].outcome, Skip);
    assert_eq!(problems, [""; 0]);
}

#[test]
fn a_broad_glob_must_say_so() {
    let ids: Vec<_> = (0..21).map(|n| format!("a/{n}")).collect();
    let outcomes: Vec<_> = ids.iter().map(|id| (id.as_str(), Crash)).collect();
    let (_, problems) = run(vec![entry("a/*", Crash)], &outcomes);
    assert!(problems[0].contains("broad: true"), "{problems:?}");
    let broad = Deviation { broad: true, ..entry("a/*", Crash) };
    assert_eq!(run(vec![broad], &outcomes).1, [""; 0]);
}

#[test]
fn a_file_for_somebody_else_is_a_problem() {
    let file = Deviations { implementation: Some("other".into()), ..Deviations::default() };
    let problems = Coverage::new(Some(&file), &[]).problems("naive", None, false, &[]);
    assert!(problems[0].contains("`other`"), "{problems:?}");
}

fn report(outcomes: &[(&str, Outcome)]) -> RunReport {
    let (cases, _) = run(Vec::new(), outcomes);
    RunReport {
        target: String::new(),
        connection: "pipe".into(),
        describe: harness_protocol::Describe { name: "naive".into(), ..Default::default() },
        choices: Default::default(),
        selected: cases.len(),
        cases,
        observations: Observations::default(),
        counts: Default::default(),
        findings: Vec::new(),
        interrupted: false,
        enforce_should: false,
        duration_us: 0,
    }
}

fn patterns(file: &Deviations) -> Vec<(&str, Outcome, &str)> {
    let single = |outcomes: &Outcomes| match outcomes {
        Outcomes::One(outcome) => *outcome,
        Outcomes::Any(many) => panic!("{many:?}"),
    };
    let entries = file.deviations.iter();
    entries
        .map(|entry| (entry.pattern.as_str(), single(&entry.outcome), entry.reason.as_str()))
        .collect()
}

const NEW: &str = "blessed, not yet explained";

#[test]
fn blessing_groups_what_fails_alike() {
    let report = report(&[
        ("f/a/x/1", Crash),
        ("f/a/x/2", Crash),
        ("f/a/y/1", Crash),
        ("f/b/1", Pass),
        ("f/b/2", WrongAccept),
        ("f/c", WrongAccept),
        ("f/c/1", Pass),
        ("f/d/1", Skip),
        ("f/e/1", Pass),
        ("f/e/1{x}", Crash),
        ("f/[g]/1", WrongAccept),
        ("f/[g]/2", WrongAccept),
    ]);
    let file = Deviations::blessed(None, &report);
    let expected = [
        ("f/[[]g[]]/*", WrongAccept, NEW),
        ("f/a/*", Crash, NEW),
        ("f/b/2", WrongAccept, NEW),
        ("f/c", WrongAccept, NEW),
        ("f/e/1[{]x[}]", Crash, NEW),
    ];
    assert_eq!(patterns(&file), expected);
    assert_eq!(file.implementation.as_deref(), Some("naive"));
}

#[test]
fn what_was_blessed_comes_out_as_expected() {
    let outcomes = [
        ("f/a/1", Crash),
        ("f/a/2", WrongAccept),
        ("f/b/1", Crash),
        ("f/b/2", Crash),
        ("f/c/1", Pass),
        ("g/[1]", Crash),
    ];
    let file = Deviations::blessed(None, &report(&outcomes));
    let (results, problems) = run(file.deviations, &outcomes);
    assert_eq!(problems, [""; 0]);
    assert!(results.iter().all(|result| matches!(result.outcome, ExpectedFail | Pass)));
    assert!(!results.iter().any(|result| result.outcome == UnexpectedPass));
}

#[test]
fn blessing_keeps_what_is_still_true_and_its_reason() {
    let old = Deviations {
        deviations: vec![entry("f/a/1", Crash), entry("f/b/*", Crash), entry("f/z", Crash)],
        ..Deviations::default()
    };
    let report = report(&[
        ("f/a/1", Crash),
        ("f/a/2", Crash),
        ("f/a/3", Crash),
        ("f/b/1", Crash),
        ("f/b/2", Pass),
    ]);
    let file = Deviations::blessed(Some(&old), &report);
    // `f/a/*` would reach over the entry that is kept.
    let expected = [
        ("f/a/1", Crash, "known"),
        ("f/a/2", Crash, NEW),
        ("f/a/3", Crash, NEW),
        ("f/b/1", Crash, NEW),
    ];
    assert_eq!(patterns(&file), expected);
}

#[test]
fn an_entry_may_name_rules_and_several_outcomes() {
    let text = "deviations:\n- {match: 'rule:R-*', outcome: [crash, wrong-accept], reason: r}\n";
    let file = parse(text).unwrap();
    assert_eq!(parse(&file.to_yaml().unwrap()).unwrap(), file);
    let mut rejecting = sample::vector("scp/a", &[Stage::Invalid]);
    rejecting.rule = Some("R-1".into());
    let mut partner = sample::vector("scp/b", &[Stage::Valid]);
    partner.rule = Some("R-1".into()); // stands at the rule's boundary, but does not break it
    let vectors = [rejecting, partner];
    let coverage = Coverage::new(Some(&file), &vectors);
    for (index, outcome, expected) in [
        (0, Crash, ExpectedFail),
        (0, WrongAccept, ExpectedFail),
        (0, Outcome::Hang, Outcome::Hang),
        (1, Pass, Pass),
    ] {
        let mut result = CaseResult::blank(&vectors[index], index, &vectors[index].expect.stages);
        result.outcome = outcome;
        coverage.apply(&mut result);
        assert_eq!(result.outcome, expected);
    }
}

#[test]
fn blessing_keeps_an_entry_that_names_a_rule() {
    let text = "deviations:\n- {match: 'rule:R-1', outcome: [crash, wrong-accept], reason: r}\n";
    let file = parse(text).unwrap();
    let mut vector = sample::vector("scp/a", &[Stage::Invalid]);
    vector.rule = Some("R-1".into());
    let mut result = CaseResult::blank(&vector, 0, &vector.expect.stages);
    result.outcome = Crash;
    let run = RunReport { cases: vec![result], ..report(&[]) };
    let blessed = Deviations::blessed(Some(&file), &run);
    assert_eq!(blessed.deviations, file.deviations);
}
