//! Images, exports and scenarios: what is in memory is looked at, and loaders that lie about it are found
//! out. The module is the one that `linker.py` maps.

use std::collections::BTreeMap;
use std::path::Path;

use harness_protocol::linked::{ExpectedExport, ExpectedImage, Patch, Piece, Segment, Sum, Way};
use harness_protocol::scenario::{ExpectStep, ModuleAddress, ScenarioStep, Step};
use harness_protocol::{Call, Expect, Observe, Returned, Stage, TypeName, Vector, Want, exit};
use harness_runner::{
    CaseResult, Deviations, Implementation, Observations, Observed, Outcome, ProbeOptions,
    RunOptions, RunReport, Skip, Target, run,
};
use rstest::rstest;

use Outcome::{Crash, Pass, Protocol, WrongImage, WrongModel, WrongResult};

const PAGE: u64 = 4096;
const FAR: u64 = 0x7f12_3456_7000;

fn words(mode: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/linker.py");
    format!("python3 -S -E {} {mode}", shell_words::quote(script))
}

fn target(text: &str) -> Implementation {
    Target::parse(text, &ProbeOptions::default()).expect("it starts")
}

fn linker(mode: &str) -> Implementation {
    target(&format!("pipe:{}", words(mode)))
}

fn patch(at: u64, width: u8, relocation: &str, way: Way, symbol: Sum) -> Patch {
    let constant = 0_u64.wrapping_sub(at + 4);
    let relative = Sum { constant, plus: Vec::new(), minus: vec!["code".into()] };
    let rest = if width == 8 { Sum::number(0) } else { relative };
    Patch { at, width, relocation: relocation.into(), way, symbol, rest }
}

fn piece(at: u64, bytes: &[u8]) -> Piece {
    Piece { at, bytes: bytes.into() }
}

fn segment(at: u64, permissions: &str) -> Segment {
    Segment { at, permissions: permissions.into() }
}

fn images() -> Vec<ExpectedImage> {
    let code = ExpectedImage {
        name: "code".into(),
        size: 48,
        pieces: vec![piece(0, &[0x90; 8]), piece(40, b"\xb8\x07\0\0\0\xc3")],
        patches: vec![
            patch(8, 8, "abs64", Way::Direct, Sum::in_image("data", 4)),
            patch(16, 4, "plt32", Way::Stub, Sum::number(FAR)),
            patch(24, 4, "gotpcrel", Way::Slot, Sum::number(FAR)),
            patch(32, 4, "pc32", Way::Direct, Sum::in_image("data", 0)),
        ],
        segments: vec![segment(0, "rx")],
    };
    let data = ExpectedImage {
        name: "data".into(),
        size: PAGE + 16,
        pieces: vec![piece(0, b"data"), piece(PAGE, b"rodata")],
        patches: Vec::new(),
        segments: vec![segment(0, "rw"), segment(PAGE, "r")],
    };
    vec![code, data]
}

fn load() -> Vector {
    let export =
        |name: &str, at| ExpectedExport { name: name.into(), address: Sum::in_image("code", at) };
    Vector {
        id: "t/load".into(),
        rule: Some("T-IMAGE-BYTES".into()),
        base: "linked".into(),
        want: Want::Load,
        bytes: vec![1].into(),
        imports: BTreeMap::from([("far".into(), FAR)]),
        base_address: Some(0x6000_0000_0000),
        expect: Expect {
            stages: vec![Stage::Loaded],
            images: images(),
            exports: Some(vec![export("first", 0), export("seven", 40)]),
            ..Expect::default()
        },
        observe: vec![
            Observe::WriteXorExecute,
            Observe::Bytes,
            Observe::Permissions,
            Observe::Guard,
        ],
        ..Vector::default()
    }
}

fn one(loader: &Implementation, vector: Vector) -> CaseResult {
    let report = run(loader, &[vector], &RunOptions::default(), &|_| {}).expect("it runs");
    report.cases.into_iter().next().expect("one vector has one result")
}

fn assert_found(result: &CaseResult, outcome: Outcome, cause: &str) {
    assert_eq!(result.outcome, outcome, "{result:#?}");
    assert!(result.cause.contains(cause), "{}", result.cause);
    assert_eq!(result.isolated, outcome.is_failure().then_some(outcome));
}

#[rstest]
#[case::good("good", Pass, "")]
#[case::told_of_the_base("places", Pass, "")]
#[case::wrong_byte(
    "wrong-byte",
    WrongImage,
    "image `code`, offset 0x3 holds cc 90 90 90 90, 90 90"
)]
#[case::dirty_tail(
    "dirty-tail",
    WrongImage,
    "image `data`, offset 0x100f holds 01, 00 was expected"
)]
#[case::unpatched(
    "unpatched",
    WrongImage,
    "image `code`, offset 0x8, relocation abs64: holds 00 00"
)]
#[case::truncated("truncated", WrongImage, "image `code`, offset 0x10, relocation plt32: holds")]
#[case::wrong_slot("wrong-slot", WrongImage, "relocation gotpcrel: holds")]
#[case::wrong_stub("wrong-stub", WrongImage, "and no stub: nothing is mapped at 0x7f1234567001")]
#[case::executable_data("executable-data", WrongImage, "a mapping is writable and executable")]
#[case::writable_rodata(
    "writable-rodata",
    WrongImage,
    "image `data`, offset 0x1000 allows rw, must be r"
)]
#[case::neighbour(
    "neighbour",
    WrongImage,
    "image `data`, memory right behind its last page is in use"
)]
#[case::moved("moved", WrongImage, "image `code`, offset 0x0 holds 49 bb")]
#[case::size("size-off-by-one", WrongImage, "image `code` has 49 bytes, 48 were expected")]
#[case::no_images("no-images", WrongModel, "export `first` is missing")]
#[case::one_image("one-image", WrongImage, "image `data` is not reported")]
#[case::export_missing("export-missing", WrongModel, "export `first` is missing")]
#[case::export_elsewhere("export-elsewhere", WrongModel, "export `first` is at")]
fn a_liar_about_memory_is_found_out(
    #[case] mode: &str,
    #[case] outcome: Outcome,
    #[case] cause: &str,
) {
    let result = one(&linker(mode), load());
    assert_found(&result, outcome, cause);
    assert_eq!(result.observed, Some(Observed::Seen));
}

#[rstest]
#[case::says_nothing("nowhere", Pass, "")]
#[case::honest("honest-nowhere", Pass, "")]
#[case::lies("lies-nowhere", WrongImage, "image `code`, offset 0x0 holds cc 90")]
fn what_cannot_be_looked_at_is_compared_as_reported(
    #[case] mode: &str,
    #[case] outcome: Outcome,
    #[case] cause: &str,
) {
    let result = one(&linker(mode), load());
    assert_found(&result, outcome, cause);
    let reported = result.observed == Some(Observed::Reported);
    assert_eq!(reported, mode != "nowhere", "{:?}", result.observed);
    assert_eq!(Observations::of([&result]).as_reported, usize::from(reported));
}

#[rstest]
#[case::bytes("wrong-byte", Observe::Bytes)]
#[case::permissions("writable-rodata", Observe::Permissions)]
#[case::guard("neighbour", Observe::Guard)]
fn only_what_is_asked_for_is_looked_at(#[case] mode: &str, #[case] what: Observe) {
    let mut vector = load();
    vector.observe.retain(|observe| *observe != what);
    assert_found(&one(&linker(mode), vector), Pass, "");
}

#[rstest]
#[case::good("good", Pass, "")]
#[case::wrong_byte("wrong-byte", WrongImage, "image `code`, offset 0x3 holds cc")]
#[case::writable_rodata("writable-rodata", WrongImage, "image `data`, offset 0x1000 allows rw")]
fn a_one_shot_is_looked_into_when_it_exits(
    #[case] mode: &str,
    #[case] outcome: Outcome,
    #[case] cause: &str,
) {
    let vector = Vector { imports: BTreeMap::new(), ..load() };
    let result = one(&target(&format!("oneshot:{} oneshot", words(mode))), vector);
    assert_found(&result, outcome, cause);
    assert_eq!(result.observed, Some(Observed::Seen));
}

#[test]
fn what_a_command_line_cannot_say_is_skipped() {
    let loader = target("oneshot:true");
    let report = run(&loader, &[load(), scenario()], &RunOptions::default(), &|_| {}).unwrap();
    for (result, part) in report.cases.iter().zip(["the imports", "the steps of a scenario"]) {
        let Some(Skip::Derived(reason)) = &result.skip else { panic!("{result:#?}") };
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(report.exit_code(), exit::NOTHING_RAN);
}

#[rstest]
#[case::by_id("t/load")]
#[case::by_rule("rule:T-IMAGE-*")]
fn a_known_wrong_image_is_expected(#[case] pattern: &str) {
    let outcomes = |mode: &str, outcome: &str| -> RunReport {
        let text =
            format!("deviations:\n- {{match: '{pattern}', outcome: {outcome}, reason: r}}\n");
        let deviations = Deviations::parse(&text, Path::new("d.yaml")).unwrap();
        let options = RunOptions { deviations: Some(deviations), ..RunOptions::default() };
        run(&linker(mode), &[load()], &options, &|_| {}).unwrap()
    };
    let known = outcomes("wrong-byte", "wrong-image");
    assert_eq!((known.cases[0].outcome, known.exit_code()), (Outcome::ExpectedFail, exit::OK));
    assert_eq!(outcomes("good", "wrong-image").exit_code(), exit::DEVIATIONS_STALE);
    assert_eq!(outcomes("wrong-byte", "wrong-model").exit_code(), exit::DEVIATIONS_STALE);
}

fn step(step: Step, expect: ExpectStep) -> ScenarioStep {
    ScenarioStep { step, expect }
}

fn loading(path: &str, handle: &str, expect: ExpectStep) -> ScenarioStep {
    let load = Step::Load { path: path.into(), bytes: Some(vec![1].into()), handle: handle.into() };
    step(load, ExpectStep { stages: vec![Stage::Loaded], ..expect })
}

/// One module under two paths, looked up, called, replaced and taken away.
fn scenario() -> Vector {
    let call = Call { function: "seven".into(), args: Vec::new(), returns: TypeName::Int32 };
    let seven = ModuleAddress { handle: "a".into(), image: "code".into(), offset: 40 };
    let nothing = ExpectStep::default;
    let steps = vec![
        loading("a.t", "a", nothing()),
        loading("./a.t", "again", ExpectStep { same_as: Some("a".into()), ..nothing() }),
        step(
            Step::Find { handle: "a".into(), symbol: "seven".into() },
            ExpectStep { address: Some(seven), ..nothing() },
        ),
        step(
            Step::Call { handle: "a".into(), call },
            ExpectStep {
                stages: vec![Stage::Returned],
                result: Some(Returned::Int32 { value: 7 }),
                ..nothing()
            },
        ),
        step(
            Step::Reload { path: "a.t".into(), bytes: None, handle: "new".into() },
            ExpectStep { stages: vec![Stage::Loaded], other_than: Some("a".into()), ..nothing() },
        ),
        step(Step::Unload { path: "a.t".into() }, nothing()),
        step(
            Step::Unload { path: "a.t".into() },
            ExpectStep { stages: vec![Stage::Unresolvable], ..nothing() },
        ),
    ];
    Vector {
        id: "t/scenario".into(),
        base: "linked".into(),
        want: Want::Scenario,
        steps,
        expect: Expect { stages: vec![Stage::Returned], ..Expect::default() },
        ..Vector::default()
    }
}

#[rstest]
#[case::good("good", Pass, "")]
#[case::loads_twice(
    "loads-twice",
    WrongImage,
    "step 2 (load ./a.t as again): the module was loaded twice"
)]
#[case::finds_elsewhere("finds-elsewhere", WrongModel, "step 3 (find seven in a): the address is")]
#[case::wrong_result("wrong-result", WrongResult, "step 4 (call seven of a): returned")]
#[case::reloads_the_old_one(
    "reloads-old",
    WrongImage,
    "step 5 (reload a.t as new): image `code` at"
)]
#[case::forgets_a_step("forgets-a-step", Protocol, "6 steps were answered, 7 were asked")]
#[case::dies("dies", Crash, "killed by SIGSEGV")]
fn scenarios_are_judged_step_by_step(
    #[case] mode: &str,
    #[case] outcome: Outcome,
    #[case] cause: &str,
) {
    assert_found(&one(&linker(mode), scenario()), outcome, cause);
}

#[test]
fn every_scenario_is_the_first_that_its_process_is_asked() {
    let mut vectors = vec![scenario(), load(), scenario()];
    for (number, vector) in vectors.iter_mut().enumerate() {
        vector.id = format!("t/{number}");
    }
    let report = run(&linker("remembers"), &vectors, &RunOptions::default(), &|_| {}).unwrap();
    assert_eq!(report.count(Pass), 3, "{:#?}", report.cases);
}
