//! Loaders that call code which does not return: who may die of it, and who must not.

use std::time::Duration;

use harness_protocol::executed::{ExpectedTrap, FaultAddress};
use harness_protocol::trap::{Access, Cause};
use harness_protocol::{Call, Expect, Needs, Returned, Stage, TypeName, Vector, Want};
use harness_runner::{Outcome, RunOptions, run};
use rstest::rstest;

use crate::vectors::{pipe, script, vector};

use Outcome::{Crash, Pass, Skip, WrongReject, WrongResult};

/// Long enough for a process that gets no processor for a while.
const PATIENT: Duration = Duration::from_secs(20);

fn calling(number: u8, expect: Expect, containment: bool) -> Vector {
    let call = Call { function: "f".into(), args: Vec::new(), returns: TypeName::Void };
    Vector {
        call: Some(call),
        expect,
        needs: Needs { containment, ..Needs::default() },
        ..vector(number, true, Want::Call)
    }
}

/// Code that reads address 0.
fn null_read(number: u8) -> Vector {
    let trap = ExpectedTrap {
        causes: vec![Cause::Unmapped],
        access: Some(Access::Read),
        address: Some(FaultAddress::Null),
    };
    let expect = Expect { stages: vec![Stage::Trap], trap: Some(trap), ..Expect::default() };
    calling(number, expect, false)
}

/// Code that returns and has changed a register that is not its own.
fn breaking(number: u8) -> Vector {
    let expect = Expect {
        stages: vec![Stage::Returned],
        result: Some(Returned::Void),
        breaches: vec!["rbx".into()],
        ..Expect::default()
    };
    calling(number, expect, true)
}

fn outcomes(mode: &str, vectors: &[Vector]) -> Vec<Outcome> {
    let options = RunOptions { deadline: PATIENT, jobs: 1, ..RunOptions::default() };
    let report = run(&pipe(mode), vectors, &options, &|_| {}).expect("it runs");
    report.cases.iter().map(|result| result.outcome).collect()
}

#[rstest]
#[case::dies("call", Pass)]
#[case::gets_a_process_of_its_own("call-in-one-process", Pass)]
#[case::dies_as_a_shell_says("call-exiting-as-a-shell", Pass)]
#[case::gives_up("call-aborting", Crash)]
#[case::rejects("call-rejecting", WrongReject)]
#[case::returns("call-returning", WrongResult)]
#[case::says_how_it_ends("call-trapping", Pass)]
#[case::says_it_wrongly("call-trapping-elsewhere", WrongResult)]
#[case::contains_and_dies("contained-call", Crash)]
#[case::contains_and_says_so("contained-call-trapping", Pass)]
fn code_that_traps(#[case] mode: &str, #[case] outcome: Outcome) {
    let vectors: Vec<Vector> = (0..3).map(null_read).collect();
    assert_eq!(outcomes(mode, &vectors), [outcome; 3]);
}

/// An answer and then death is no death in place of an answer.
#[test]
fn who_answers_first_does_not_die_of_the_code() {
    let found = outcomes("call-answering-first", &[null_read(0), null_read(1)]);
    assert!(found.iter().all(|outcome| outcome.is_failure()), "{found:?}");
}

#[rstest]
#[case::uncontained("call-breaking", Skip)]
#[case::right("contained-call-breaking", Pass)]
#[case::silent("contained-call-returning", WrongResult)]
fn code_that_does_harm(#[case] mode: &str, #[case] outcome: Outcome) {
    assert_eq!(outcomes(mode, &[breaking(0)]), [outcome]);
}

#[rstest]
#[case::dies("kill -SEGV $$", Pass)]
#[case::dies_of_something_else("kill -ILL $$", Crash)]
#[case::ends_well("exit 0", WrongResult)]
#[case::rejects("exit 1", WrongReject)]
fn one_shot_loaders_are_judged_alike(#[case] body: &str, #[case] outcome: Outcome) {
    let options = RunOptions { deadline: PATIENT, ..RunOptions::default() };
    let mut loader = script(body);
    loader.describe.wants = vec![Want::Call];
    let report = run(&loader, &[null_read(0)], &options, &|_| {}).expect("it runs");
    assert_eq!(report.cases[0].outcome, outcome, "{}", report.cases[0].cause);
}
