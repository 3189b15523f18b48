//! W^X is seen, not believed.

use harness_protocol::{Observe, Vector, Want};
use harness_runner::{FindingKind, Observed, Outcome, RunOptions, RunReport, run};
use rstest::rstest;

use crate::vectors::{pipe, script, vector};

/// A load that is looked at, a load that is not, and one that must be rejected.
fn loads() -> Vec<Vector> {
    let mut loads = vec![
        vector(0, true, Want::Load),
        vector(1, true, Want::Load),
        vector(2, false, Want::Load),
    ];
    loads[0].observe = vec![Observe::WriteXorExecute];
    loads[2].observe = vec![Observe::WriteXorExecute];
    loads
}

fn outcomes(report: &RunReport) -> Vec<Outcome> {
    report.cases.iter().map(|result| result.outcome).collect()
}

use Outcome::{Pass, WrongImage};

#[rstest]
#[case::clean("good", Pass)]
#[case::writable_code("writable-code", WrongImage)]
fn a_pipe_is_looked_at_while_it_holds_the_image(#[case] mode: &str, #[case] outcome: Outcome) {
    let report = run(&pipe(mode), &loads(), &RunOptions::default(), &|_| {}).unwrap();
    assert_eq!(outcomes(&report), [outcome, Pass, Pass], "{:#?}", report.cases);
    assert_eq!(report.cases[0].observed, Some(Observed::Seen));
    assert_eq!(report.cases[1].observed, None);
    assert_eq!(report.cases[0].cause.contains("rwx"), outcome == WrongImage);
}

#[test]
fn an_image_that_cannot_be_found_is_not_seen() {
    let loads = &loads()[..1];
    let report = run(&pipe("image-elsewhere"), loads, &RunOptions::default(), &|_| {}).unwrap();
    assert!(matches!(report.cases[0].observed, Some(Observed::NotSeen(_))));
    assert!(report.findings.iter().any(|finding| finding.kind == FindingKind::NotObserved));
}

#[test]
fn a_run_that_does_not_look_says_so() {
    let options = RunOptions { observe: false, ..RunOptions::default() };
    let report = run(&pipe("writable-code"), &loads(), &options, &|_| {}).unwrap();
    assert!(matches!(report.cases[0].observed, Some(Observed::NotSeen(_))));
}

const MAP: &str = "import mmap, os; m = mmap.mmap(-1, 4096, prot=7); os._exit(0)";

#[rstest]
#[case::itself("[ $first = 1 ] || exit 1; exec python3 -S -E -c \"$MAP\"", WrongImage)]
#[case::below_a_wrapper("[ $first = 1 ] || exit 1; python3 -S -E -c \"$MAP\"; exit 0", WrongImage)]
#[case::clean("[ $first = 1 ]", Pass)]
fn a_one_shot_is_looked_at_when_it_exits(#[case] body: &str, #[case] outcome: Outcome) {
    let body = format!("MAP='{MAP}'; {body}");
    let report = run(&script(&body), &loads(), &RunOptions::default(), &|_| {}).unwrap();
    assert_eq!(outcomes(&report), [outcome, Pass, Pass], "{:#?}", report.cases);
    if let Some(Observed::NotSeen(reason)) = &report.cases[0].observed {
        panic!("not observed here: {reason}");
    }
}
