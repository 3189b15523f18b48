//! Tables of answers and their outcomes.

use harness_protocol::{HexBytes, Returned};
use rstest::rstest;
use serde_json::json;

use super::*;

fn expect(stages: &[Stage]) -> Expect {
    Expect {
        stages: stages.to_vec(),
        rule: Some("SCP-X".into()),
        offset: Some(4),
        ..Expect::default()
    }
}

fn asking(want: Want) -> Vector {
    Vector { want, ..Vector::default() }
}

use Said::{Accepts, Rejects};
use Stage::*;

#[rstest]
#[case::accepted(&[Valid], Said::Stage(Valid), Outcome::Pass)]
#[case::rejected(&[Invalid], Said::Stage(Invalid), Outcome::Pass)]
#[case::any_listed_stage(&[Malformed, Invalid], Said::Stage(Invalid), Outcome::Pass)]
#[case::accepts_what_must_be_rejected(&[Invalid], Said::Stage(Valid), Outcome::WrongAccept)]
#[case::loads_what_must_be_rejected(&[Invalid], Said::Stage(Loaded), Outcome::WrongAccept)]
#[case::rejects_what_must_be_accepted(&[Valid], Said::Stage(Invalid), Outcome::WrongReject)]
#[case::unsupported_is_no_way_out(&[Valid], Said::Stage(Unsupported), Outcome::WrongReject)]
#[case::wrong_stage_among_rejections(&[Invalid], Said::Stage(Malformed), Outcome::WrongStage)]
#[case::wrong_stage_among_acceptances(&[Loaded], Said::Stage(Valid), Outcome::WrongStage)]
#[case::either_way_is_right(&[Loaded, Unsupported], Said::Stage(Unsupported), Outcome::Pass)]
#[case::either_way_but_not_this(&[Loaded, Unsupported], Said::Stage(Invalid), Outcome::WrongStage)]
#[case::code_0_matches_any_acceptance(&[Loaded], Accepts, Outcome::Pass)]
#[case::code_1_matches_any_rejection(&[Unresolvable], Rejects, Outcome::Pass)]
#[case::code_0_for_a_bad_file(&[Malformed], Accepts, Outcome::WrongAccept)]
#[case::code_1_for_a_good_file(&[Valid], Rejects, Outcome::WrongReject)]
fn stages_decide(#[case] stages: &[Stage], #[case] said: Said, #[case] outcome: Outcome) {
    let reply = Reply::default();
    let verdict = judge(&asking(Want::Load), &expect(stages), said, &reply, Strictness::default());
    assert_eq!(verdict.outcome, outcome, "{verdict:?}");
    assert_eq!(verdict.cause.is_empty(), outcome == Outcome::Pass);
}

#[rstest]
#[case::as_expected(Some("SCP-X"), Some(4), Outcome::Pass, false)]
#[case::other_rule(Some("SCP-Y"), Some(4), Outcome::WrongStage, true)]
#[case::other_offset(Some("SCP-X"), Some(5), Outcome::WrongStage, false)]
#[case::silent(None, None, Outcome::WrongStage, false)]
fn rules_are_noted_and_fail_only_when_strict(
    #[case] rule: Option<&str>,
    #[case] offset: Option<u64>,
    #[case] strict: Outcome,
    #[case] noted: bool,
) {
    let reply = Reply { rule: rule.map(Into::into), offset, ..Reply::default() };
    let expect = expect(&[Invalid]);
    let said = Said::Stage(Invalid);
    let lenient =
        judge(&asking(Want::Validate), &expect, said, &reply, Strictness { rules: false });
    assert_eq!((lenient.outcome, lenient.note.is_some()), (Outcome::Pass, noted));
    let verdict = judge(&asking(Want::Validate), &expect, said, &reply, Strictness { rules: true });
    assert_eq!(verdict.outcome, strict, "{verdict:?}");
}

#[test]
fn a_model_is_compared_only_when_the_file_is_accepted() {
    let expect = Expect { model: Some(json!({"a": 1})), ..expect(&[Valid, Unsupported]) };
    let reply = Reply { model: Some(json!({"a": 2})), ..Reply::default() };
    let outcome = |stage| {
        judge(&asking(Want::Validate), &expect, Said::Stage(stage), &reply, Strictness::default())
            .outcome
    };
    assert_eq!(outcome(Valid), Outcome::WrongModel);
    assert_eq!(outcome(Unsupported), Outcome::Pass);
}

#[rstest]
#[case::equal(Returned, Some(Returned::Int32 { value: 7 }), &[1], Outcome::Pass)]
#[case::other_value(Returned, Some(Returned::Int32 { value: 8 }), &[1], Outcome::WrongResult)]
#[case::other_type(Returned, Some(Returned::Int64 { value: 7 }), &[1], Outcome::WrongResult)]
#[case::no_result(Returned, None, &[1], Outcome::WrongResult)]
#[case::other_buffer(Returned, Some(Returned::Int32 { value: 7 }), &[2], Outcome::WrongResult)]
#[case::trapped(Trap, None, &[], Outcome::WrongResult)]
#[case::not_called(Loaded, None, &[], Outcome::WrongStage)]
fn calls_are_exact(
    #[case] stage: Stage,
    #[case] result: Option<harness_protocol::Returned>,
    #[case] buffer: &[u8],
    #[case] outcome: Outcome,
) {
    let expect = Expect {
        result: Some(Returned::Int32 { value: 7 }),
        buffers: vec![HexBytes(vec![1])],
        ..expect(&[Stage::Returned])
    };
    let reply = Reply { result, buffers: vec![HexBytes(buffer.to_vec())], ..Reply::default() };
    let verdict =
        judge(&asking(Want::Call), &expect, Said::Stage(stage), &reply, Strictness::default());
    assert_eq!(verdict.outcome, outcome, "{verdict:?}");
}

#[test]
fn a_nan_is_its_bits() {
    let quiet = Returned::Float32 { bits: 0x7fc0_0000 };
    let expect = Expect { result: Some(quiet.clone()), ..expect(&[Returned]) };
    let outcome = |bits| {
        let reply = Reply { result: Some(Returned::Float32 { bits }), ..Reply::default() };
        let said = Said::Stage(Returned);
        judge(&asking(Want::Call), &expect, said, &reply, Strictness::default()).outcome
    };
    assert_eq!(outcome(0x7fc0_0000), Outcome::Pass);
    assert_eq!(outcome(0x7fc0_0001), Outcome::WrongResult);
}

#[test]
fn missing_buffers_are_a_difference() {
    let expect = Expect { buffers: vec![HexBytes(vec![1])], ..expect(&[Returned]) };
    let said = Said::Stage(Returned);
    let verdict =
        judge(&asking(Want::Call), &expect, said, &Reply::default(), Strictness::default());
    assert_eq!(verdict.outcome, Outcome::WrongResult);
}
