//! Saboteurs that are run once per case.

use std::time::Duration;

use harness_protocol::{Argument, Call, Returned, Stage, TypeName, Vector, Want, exit};
use harness_runner::{Outcome, RunOptions, RunReport, run};
use rstest::rstest;

use crate::vectors::{expect, script, vector, vectors};

use Outcome::{
    Crash, Hang, OverBudget, Pass, Protocol, Skip, WrongAccept, WrongReject, WrongResult,
};

fn sabotage(body: &str, vectors: &[Vector], options: &RunOptions) -> RunReport {
    run(&script(body), vectors, options, &|_| {}).expect("it runs")
}

const GOOD: &str = "[ $first = 1 ]";

#[rstest]
#[case::good(GOOD, Pass, Pass)]
#[case::accepts_all("exit 0", Pass, WrongAccept)]
#[case::rejects_all("exit 1", WrongReject, Pass)]
#[case::crashes_on_reject("[ $first = 1 ] || kill -SEGV $$", Pass, Crash)]
#[case::another_code_is_no_rejection("[ $first = 1 ] || exit 2", Pass, Crash)]
#[case::a_traceback_is_no_rejection(
    "[ $first = 1 ] || { echo 'Traceback (most recent call last):' >&2; exit 1; }",
    Pass,
    Crash
)]
#[case::warnings_on_stderr_are_free("echo careful >&2; [ $first = 1 ]", Pass, Pass)]
#[case::prose_on_stdout_is_free("echo \"{oops\"; [ $first = 1 ]", Pass, Pass)]
#[case::floods_both("yes | head -c 300000; yes | head -c 300000 >&2; [ $first = 1 ]", Pass, Pass)]
#[case::leaves_a_child_behind("sleep 1000 & [ $first = 1 ]", Pass, Pass)]
#[case::contradicts_itself("echo '{\"stage\": \"valid\"}'; [ $first = 1 ]", Pass, Protocol)]
#[case::refines("[ $first = 1 ] || { echo '{\"stage\": \"invalid\"}'; exit 1; }", Pass, Pass)]
#[case::unsupported("exit 89", Skip, Outcome::WrongStage)]
fn a_saboteur_is_found_out(
    #[case] body: &str,
    #[case] accepted: Outcome,
    #[case] rejected: Outcome,
) {
    let options = RunOptions { deadline: Duration::from_secs(20), ..RunOptions::default() };
    let report = sabotage(body, &vectors(4), &options);
    let outcomes: Vec<_> = report.cases.iter().map(|result| result.outcome).collect();
    assert_eq!(outcomes, [accepted, rejected].repeat(2), "{:#?}", report.cases);
    let fine = (accepted, rejected) == (Pass, Pass);
    assert_eq!(report.exit_code(), if fine { exit::OK } else { exit::NONCONFORMANT });
}

#[test]
fn a_hang_is_killed_with_its_children() {
    let options = RunOptions { deadline: Duration::from_millis(300), ..RunOptions::default() };
    let report = sabotage("sleep 1000", &vectors(1), &options);
    assert_eq!((report.cases[0].outcome, report.cases[0].isolated), (Hang, Some(Hang)));
}

#[test]
fn a_crash_says_how_and_why() {
    let report = sabotage("echo boom >&2; kill -ABRT $$", &vectors(1), &RunOptions::default());
    let crash = report.cases[0].crash.clone().unwrap();
    assert_eq!((crash.signal.as_deref(), crash.stderr.as_str()), (Some("SIGABRT"), "boom\n"));
}

#[test]
fn memory_over_the_budget_is_no_pass() {
    // More than this test program itself ever used: the kernel counts the starter's peak as well.
    let options = RunOptions { max_rss_kib: Some(200 << 10), ..RunOptions::default() };
    let body = "exec python3 -S -E -c 'b\"x\" * (400 << 20)'";
    let report = sabotage(body, &vectors(1), &options);
    assert_eq!(report.cases[0].outcome, OverBudget, "{:#?}", report.cases);
}

#[test]
fn unsupported_for_everything_is_a_finding() {
    let mut all = vectors(4);
    all.iter_mut().for_each(|vector| vector.needs.architecture = Some("x86_64".into()));
    let report = sabotage("exit 89", &all, &RunOptions::default());
    assert!(report.findings.iter().any(|finding| finding.text.contains("skipped 4 of 4")));
    assert_eq!(report.exit_code(), exit::NONCONFORMANT);
}

fn call() -> Vector {
    let mut vector = vector(0, true, Want::Call);
    vector.call = Some(Call {
        function: "add".into(),
        args: vec![Argument::Int32 { value: 3 }, Argument::Int32 { value: 4 }],
        returns: TypeName::Int32,
    });
    vector.expect = expect(Stage::Returned);
    vector.expect.result = Some(Returned::Int32 { value: 7 });
    vector
}

#[rstest]
#[case::right(
    "[ \"$2 $3 $4 $5\" = 'add int32 int32:3 int32:4' ] && \
    echo '{\"result\": {\"type\": \"int32\", \"value\": 7}}'",
    Pass
)]
#[case::wrong("echo '{\"result\": {\"type\": \"int32\", \"value\": 8}}'", WrongResult)]
#[case::silent("exit 0", WrongResult)]
fn calls_are_words_on_the_command_line(#[case] body: &str, #[case] outcome: Outcome) {
    let report = sabotage(body, &[call()], &RunOptions::default());
    assert_eq!(report.cases[0].outcome, outcome, "{:#?}", report.cases);
}
