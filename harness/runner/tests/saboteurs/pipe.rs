//! Saboteurs on a pipe: each is found out, and none costs another case its answer.

use std::time::Duration;

use harness_protocol::exit;
use harness_runner::{FindingKind, Outcome, RunOptions, RunReport, run};
use rstest::rstest;

use crate::vectors::{pipe, vectors};

use Outcome::{Crash, Hang, Pass, Protocol, Skip, WrongAccept, WrongReject, WrongStage};

/// Long enough for a process that gets no processor for a while.
const PATIENT: Duration = Duration::from_secs(20);
/// For those that really hang.
const HASTY: Duration = Duration::from_millis(700);

/// Four vectors, accepted and rejected in turn, with so many in flight.
fn sabotage(mode: &str, in_flight: usize, deadline: Duration) -> RunReport {
    let options = RunOptions { deadline, in_flight, ..RunOptions::default() };
    run(&pipe(mode), &vectors(4), &options, &|_| {}).expect("it runs")
}

fn outcomes(report: &RunReport) -> Vec<Outcome> {
    report.cases.iter().map(|result| result.outcome).collect()
}

fn alternately(accepted: Outcome, rejected: Outcome) -> Vec<Outcome> {
    [accepted, rejected].repeat(2)
}

#[rstest]
#[case::good("good", Pass, Pass)]
#[case::accepts_all("accept-all", Pass, WrongAccept)]
#[case::rejects_all("reject-all", WrongReject, Pass)]
#[case::crashes_on_reject("crash-on-reject", Pass, Crash)]
#[case::exits_on_reject("exit-on-reject", Pass, Crash)]
#[case::answers_twice("twice", Protocol, Protocol)]
#[case::stale_numbers("stale", Protocol, Protocol)]
#[case::counts_itself("counts-itself", Protocol, Protocol)]
#[case::neighbours_number("neighbour", Protocol, Protocol)]
#[case::noise_on_stdout("noise", Protocol, Protocol)]
#[case::skips_all("skip-all", Skip, Skip)]
#[case::garbage("garbage", Protocol, Protocol)]
#[case::exits_at_once("exit-at-once", Crash, Crash)]
#[case::floods_stderr("flood-stderr", Pass, Pass)]
#[case::neither_stage_nor_skip("neither", Protocol, Protocol)]
#[case::both_stage_and_skip("both", Protocol, Protocol)]
#[case::unsupported_for_all("unsupported-all", WrongReject, WrongStage)]
#[case::endless_frame("long-frame", Protocol, Protocol)]
#[case::no_json("no-json", Protocol, Protocol)]
#[case::hello_again("hello-again", Protocol, Protocol)]
#[case::half_a_frame_and_exit("half-a-frame-and-exit", Protocol, Protocol)]
#[case::grandchild_holds_the_pipes("fork-and-exit", Crash, Crash)]
#[case::talkative("talkative", Pass, Pass)]
#[case::hungry("hungry", Pass, Pass)]
fn a_saboteur_is_found_out(
    #[case] mode: &str,
    #[case] accepted: Outcome,
    #[case] rejected: Outcome,
    #[values(1, 64)] in_flight: usize,
) {
    let report = sabotage(mode, in_flight, PATIENT);
    assert_eq!(outcomes(&report), alternately(accepted, rejected), "{:#?}", report.cases);
    let isolated = report.cases.iter().filter(|result| result.outcome.is_failure());
    for result in isolated {
        assert_eq!(result.isolated, Some(result.outcome), "{result:#?}");
        assert!(!result.cause.is_empty() && !result.why.is_empty());
    }
    let fine = (accepted, rejected) == (Pass, Pass);
    assert_eq!(report.exit_code(), if fine { exit::OK } else { exit::NONCONFORMANT });
}

#[rstest]
#[case::hangs("hang-on-two", Hang)]
#[case::crashes("crash-on-two", Crash)]
#[case::crashes_in_a_batch("in-batches", Crash)]
#[case::crashes_after_its_answer("crash-after-two", Crash)]
#[case::answers_twice("two-twice", Protocol)]
fn one_case_is_blamed_and_no_other(
    #[case] mode: &str,
    #[case] outcome: Outcome,
    #[values(1, 64)] in_flight: usize,
) {
    let report = sabotage(mode, in_flight, HASTY);
    let expected = [Pass, Pass, outcome, Pass];
    assert_eq!(outcomes(&report), expected, "{:#?}", report.cases);
    assert_eq!(report.cases[2].isolated, Some(outcome));
}

#[rstest]
#[case::half_a_frame("half-a-frame", Protocol)]
#[case::closes_stdin("close-stdin", Hang)]
#[case::closes_stdout("close-stdout", Protocol)]
fn a_silent_saboteur_is_found_out(#[case] mode: &str, #[case] outcome: Outcome) {
    let options = RunOptions { deadline: HASTY, in_flight: 1, ..RunOptions::default() };
    let report = run(&pipe(mode), &vectors(2), &options, &|_| {}).unwrap();
    assert_eq!(outcomes(&report), [outcome, outcome], "{:#?}", report.cases);
}

#[rstest]
#[case::hangs_on_the_third("hang-third", Hang)]
#[case::crashes_on_the_third("crash-third", Crash)]
#[case::wrong_on_the_third("wrong-third", WrongReject)]
#[case::stale_on_the_third("stale-third", Protocol)]
fn state_that_leaks_between_cases_is_named(#[case] mode: &str, #[case] outcome: Outcome) {
    let report = sabotage(mode, 1, HASTY);
    let third = &report.cases[2];
    assert_eq!((third.outcome, third.isolated), (outcome, Some(Pass)), "{:#?}", report.cases);
    assert!(third.notes.iter().any(|note| note.contains("state leaks")), "{third:#?}");
    assert!(report.findings.iter().any(|finding| finding.kind == FindingKind::Flaky));
    assert_eq!(report.exit_code(), exit::NONCONFORMANT);
}

#[test]
fn a_culprit_that_does_not_repeat_is_not_forgotten() {
    let report = sabotage("crash-third", 64, PATIENT);
    let crashes = report.count(Crash);
    assert!(crashes >= 1, "{:#?}", report.cases);
    assert_eq!(report.count(Pass) + crashes, 4);
}

#[test]
fn a_crash_says_how_and_why() {
    let report = sabotage("crash-on-reject", 64, PATIENT);
    let crash = report.cases[1].crash.clone().unwrap();
    assert_eq!(crash.signal.as_deref(), Some("SIGSEGV"));
    assert!(crash.stderr.contains("one byte too far"));
    assert!(report.cases[1].cause.contains("SIGSEGV"));
}

#[test]
fn only_the_end_of_stderr_is_kept() {
    let report = sabotage("flood-stderr", 64, PATIENT);
    assert_eq!(report.exit_code(), exit::OK);
}

#[test]
fn both_pipes_may_be_full() {
    let mut large = vectors(30);
    large.iter_mut().for_each(|vector| vector.bytes.0.resize(60_000, 0));
    let options =
        RunOptions { in_flight_bytes: 16 << 20, deadline: PATIENT, ..RunOptions::default() };
    let report = run(&pipe("talkative"), &large, &options, &|_| {}).unwrap();
    assert_eq!(report.count(Pass), 30);
}

#[rstest]
#[case("skip-all", "skipped 4 of 4")]
#[case("skip-silently", "4 skips without a reason")]
fn skips_are_bounded(#[case] mode: &str, #[case] text: &str) {
    let report = sabotage(mode, 64, PATIENT);
    let finding = report.findings.iter().find(|finding| finding.text.contains(text)).unwrap();
    assert!(finding.fails && finding.kind == FindingKind::Skips);
    assert_eq!(report.exit_code(), exit::NONCONFORMANT);
}

#[rstest]
#[case::by_a_signal("crash-at-bye", exit::NONCONFORMANT, Some(Crash))]
#[case::with_a_flood("flood-after-bye", exit::NONCONFORMANT, Some(Protocol))]
#[case::with_a_code("exit-code-at-bye", exit::OK, None)]
fn a_bad_end_is_a_finding(#[case] mode: &str, #[case] code: u8, #[case] blamed: Option<Outcome>) {
    let report = sabotage(mode, 64, PATIENT);
    match blamed {
        // Alone, every case ends so: the last one is blamed.
        Some(outcome) => assert_eq!(report.cases[3].outcome, outcome, "{report:#?}"),
        None => assert!(report.findings.iter().any(|f| f.kind == FindingKind::Farewell)),
    }
    assert_eq!(report.exit_code(), code, "{report:#?}");
}

#[test]
fn workers_share_the_vectors() {
    let options = RunOptions { jobs: 3, deadline: PATIENT, ..RunOptions::default() };
    let report = run(&pipe("crash-on-two"), &vectors(200), &options, &|_| {}).unwrap();
    assert_eq!((report.count(Pass), report.count(Crash)), (199, 1));
    let indices: Vec<_> = report.cases.iter().map(|result| result.index).collect();
    assert!(indices.iter().copied().eq(0..200));
}
