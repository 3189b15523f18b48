//! Judging a scenario: one answer for each step, and modules known by what their loads reported.

use std::collections::HashMap;

use harness_protocol::Image;
use harness_protocol::scenario::{ExpectStep, ModuleAddress, ScenarioStep, Step, StepReply};

use crate::Outcome;
use crate::text::cut;

use super::{Verdict, json};

/// The verdict on the first step that is not as it must be; `None` when all are.
pub(super) fn judge(steps: &[ScenarioStep], replies: &[StepReply]) -> Option<Verdict> {
    if steps.len() != replies.len() {
        let (asked, answered) = (steps.len(), replies.len());
        let cause = format!("{answered} steps were answered, {asked} were asked");
        return Some(Verdict::new(Outcome::Protocol, cause));
    }
    let mut modules = Modules::default();
    for (number, (step, reply)) in steps.iter().zip(replies).enumerate() {
        if let Step::Load { handle, .. } | Step::Reload { handle, .. } = &step.step {
            modules.0.insert(handle, &reply.images);
        }
        if let Some((outcome, cause)) = modules.difference(&step.expect, reply) {
            let cause = format!("step {} ({}): {cause}", number + 1, words(&step.step));
            return Some(Verdict::new(outcome, cause));
        }
    }
    None
}

/// What a step does, in words.
fn words(step: &Step) -> String {
    match step {
        Step::Load { path, handle, .. } => format!("load {path} as {handle}"),
        Step::Reload { path, handle, .. } => format!("reload {path} as {handle}"),
        Step::Unload { path } => format!("unload {path}"),
        Step::Release { handle } => format!("release {handle}"),
        Step::Resolve { symbol } => format!("resolve {symbol}"),
        Step::Find { handle, symbol } => format!("find {symbol} in {handle}"),
        Step::Call { handle, call } => format!("call {} of {handle}", call.function),
    }
}

/// Handles with the images that their loads reported.
#[derive(Default)]
struct Modules<'a>(HashMap<&'a str, &'a [Image]>);

impl Modules<'_> {
    fn difference(&self, expect: &ExpectStep, reply: &StepReply) -> Option<(Outcome, String)> {
        let wrong = |outcome| move |cause| (outcome, cause);
        stage_differs(expect, reply)
            .map(wrong(Outcome::WrongStage))
            .or_else(|| result_differs(expect, reply).map(wrong(Outcome::WrongResult)))
            .or_else(|| self.address_differs(expect, reply))
            .or_else(|| self.images_differ(expect, reply).map(wrong(Outcome::WrongImage)))
    }

    fn address_differs(&self, expect: &ExpectStep, reply: &StepReply) -> Option<(Outcome, String)> {
        let ModuleAddress { handle, image, offset } = expect.address.as_ref()?;
        let Some(found) = self.images(handle).iter().find(|found| found.name == *image) else {
            let cause = format!("the load of `{handle}` did not report its image `{image}`");
            return Some((Outcome::WrongImage, cause));
        };
        let wanted = found.base.wrapping_add(*offset);
        if reply.address == Some(wanted) {
            return None;
        }
        let got = reply.address.map_or_else(|| "none".into(), |address| format!("{address:#x}"));
        let cause = format!(
            "the address is {got}, {wanted:#x} was expected ({image} of {handle} at {:#x} + {offset:#x})",
            found.base
        );
        Some((Outcome::WrongModel, cause))
    }

    fn images_differ(&self, expect: &ExpectStep, reply: &StepReply) -> Option<String> {
        let (same, other) = (expect.same_as.as_deref(), expect.other_than.as_deref());
        let mine = || occupied(&reply.images);
        if (same.is_some() || other.is_some()) && mine().is_empty() {
            return Some("no images are reported".into());
        }
        if let Some(handle) = same
            && mine() != occupied(self.images(handle))
        {
            let (mine, theirs) = (shown(&reply.images), shown(self.images(handle)));
            return Some(format!(
                "the module was loaded twice: {mine}, those of `{handle}` were expected: {theirs}"
            ));
        }
        let theirs = occupied(self.images(other?));
        let over =
            mine().into_iter().find(|image| theirs.iter().any(|other| meet(image, other)))?;
        let (name, base, other) = (cut(over.0), over.1, other?);
        Some(format!("image `{name}` at {base:#x} lies over one of `{other}`"))
    }

    fn images(&self, handle: &str) -> &[Image] {
        self.0.get(handle).copied().unwrap_or_default()
    }
}

/// Name, base and size.
type Place<'a> = (&'a str, u64, u64);

/// The images that take room, by their names.
fn occupied(images: &[Image]) -> Vec<Place<'_>> {
    let place = |image: &&Image| image.size > 0;
    let mut places: Vec<_> = images
        .iter()
        .filter(place)
        .map(|image| (image.name.as_str(), image.base, image.size))
        .collect();
    places.sort_unstable();
    places
}

fn meet(one: &Place<'_>, other: &Place<'_>) -> bool {
    let within = |(_, base, size): &Place<'_>, address: u64| {
        address.checked_sub(*base).is_some_and(|offset| offset < *size)
    };
    within(one, other.1) || within(other, one.1)
}

fn shown(images: &[Image]) -> String {
    let places: Vec<_> = occupied(images)
        .into_iter()
        .map(|(name, base, _)| format!("{} at {base:#x}", cut(name)))
        .collect();
    if places.is_empty() { "none".into() } else { places.join(", ") }
}

fn stage_differs(expect: &ExpectStep, reply: &StepReply) -> Option<String> {
    let right =
        reply.stage.map_or(expect.stages.is_empty(), |stage| expect.stages.contains(&stage));
    if right {
        return None;
    }
    let got = reply.stage.map_or_else(|| "no stage".into(), |stage| stage.to_string());
    let wanted: Vec<_> = expect.stages.iter().map(|stage| stage.name()).collect();
    let wanted = if wanted.is_empty() { "no stage".into() } else { wanted.join(" or ") };
    let message = reply.message.as_deref().map(|text| format!(": {}", cut(text)));
    Some(format!("answered {got}, {wanted} was expected{}", message.unwrap_or_default()))
}

fn result_differs(expect: &ExpectStep, reply: &StepReply) -> Option<String> {
    let expected = expect.result.as_ref()?;
    if reply.result.as_ref() == Some(expected) {
        return None;
    }
    let got = reply.result.as_ref().map_or_else(|| "nothing".into(), json);
    Some(format!("returned {got}, {} was expected", json(expected)))
}

#[cfg(test)]
mod tests {
    use harness_protocol::{Call, Returned, Stage, TypeName};
    use rstest::rstest;

    use super::*;

    fn images(base: u64) -> Vec<Image> {
        let image = |name: &str, base| Image { name: name.into(), base, size: 16, bytes: None };
        vec![image("code", base), image("data", base + 0x1000)]
    }

    fn loaded(base: u64) -> StepReply {
        StepReply { stage: Some(Stage::Loaded), images: images(base), ..StepReply::default() }
    }

    fn load(handle: &str, expect: ExpectStep) -> ScenarioStep {
        let step = Step::Load { path: "a.smf".into(), bytes: None, handle: handle.into() };
        ScenarioStep { step, expect: ExpectStep { stages: vec![Stage::Loaded], ..expect } }
    }

    /// A load of `a`, then `step`.
    fn verdict(step: ScenarioStep, reply: StepReply) -> (Outcome, String) {
        let steps = [load("a", ExpectStep::default()), step];
        let verdict = judge(&steps, &[loaded(0x1_0000), reply]);
        verdict.map_or((Outcome::Pass, String::new()), |verdict| (verdict.outcome, verdict.cause))
    }

    fn assert_verdict(found: &(Outcome, String), outcome: Outcome, cause: &str) {
        assert_eq!(found.0, outcome, "{found:?}");
        let full = if cause.is_empty() { String::new() } else { format!("step 2 {cause}") };
        assert_eq!(found.1, full);
    }

    #[rstest]
    #[case::once(loaded(0x1_0000), Outcome::Pass, "")]
    #[case::twice(
        loaded(0x5_0000),
        Outcome::WrongImage,
        "(load a.smf as b): the module was loaded twice: \
        code at 0x50000, data at 0x51000, those of `a` were expected: code at 0x10000, data at 0x11000"
    )]
    #[case::no_images(StepReply { images: Vec::new(), ..loaded(0) }, Outcome::WrongImage,
        "(load a.smf as b): no images are reported")]
    #[case::refused(StepReply { stage: Some(Stage::Invalid), message: Some("busy".into()), ..StepReply::default() },
        Outcome::WrongStage, "(load a.smf as b): answered invalid, loaded was expected: busy")]
    #[case::silent(
        StepReply::default(),
        Outcome::WrongStage,
        "(load a.smf as b): answered no stage, loaded was expected"
    )]
    fn one_path_is_one_module(
        #[case] reply: StepReply,
        #[case] outcome: Outcome,
        #[case] cause: &str,
    ) {
        let step = load("b", ExpectStep { same_as: Some("a".into()), ..ExpectStep::default() });
        assert_verdict(&verdict(step, reply), outcome, cause);
    }

    #[rstest]
    #[case::apart(0x5_0000, Outcome::Pass, "")]
    #[case::the_old_one(
        0x1_0000,
        Outcome::WrongImage,
        "(reload a.smf as b): image `code` at 0x10000 lies over one of `a`"
    )]
    #[case::half_over(
        0x1_0008,
        Outcome::WrongImage,
        "(reload a.smf as b): image `code` at 0x10008 lies over one of `a`"
    )]
    fn a_reload_is_another_module(
        #[case] base: u64,
        #[case] outcome: Outcome,
        #[case] cause: &str,
    ) {
        let step = Step::Reload { path: "a.smf".into(), bytes: None, handle: "b".into() };
        let expect = ExpectStep {
            stages: vec![Stage::Loaded],
            other_than: Some("a".into()),
            ..ExpectStep::default()
        };
        assert_verdict(&verdict(ScenarioStep { step, expect }, loaded(base)), outcome, cause);
    }

    #[rstest]
    #[case::right(Some(0x1_1004), "data", Outcome::Pass, "")]
    #[case::wrong(
        Some(4),
        "data",
        Outcome::WrongModel,
        "(find x in a): the address is 0x4, 0x11004 was \
        expected (data of a at 0x11000 + 0x4)"
    )]
    #[case::none(
        None,
        "data",
        Outcome::WrongModel,
        "(find x in a): the address is none, 0x11004 was \
        expected (data of a at 0x11000 + 0x4)"
    )]
    #[case::image_unknown(
        Some(4),
        "tls",
        Outcome::WrongImage,
        "(find x in a): the load of `a` did not report its image `tls`"
    )]
    fn addresses_are_those_of_modules(
        #[case] address: Option<u64>,
        #[case] image: &str,
        #[case] outcome: Outcome,
        #[case] cause: &str,
    ) {
        let step = Step::Find { handle: "a".into(), symbol: "x".into() };
        let place = ModuleAddress { handle: "a".into(), image: image.into(), offset: 4 };
        let expect = ExpectStep { address: Some(place), ..ExpectStep::default() };
        let reply = StepReply { address, ..StepReply::default() };
        assert_verdict(&verdict(ScenarioStep { step, expect }, reply), outcome, cause);
    }

    #[rstest]
    #[case::right(Stage::Returned, Some(7), Outcome::Pass, "")]
    #[case::wrong(
        Stage::Returned,
        Some(8),
        Outcome::WrongResult,
        "(call f of a): returned \
        {\"type\":\"int32\",\"value\":8}, {\"type\":\"int32\",\"value\":7} was expected"
    )]
    #[case::nothing(
        Stage::Returned,
        None,
        Outcome::WrongResult,
        "(call f of a): returned nothing, \
        {\"type\":\"int32\",\"value\":7} was expected"
    )]
    #[case::not_found(
        Stage::Unresolvable,
        None,
        Outcome::WrongStage,
        "(call f of a): answered unresolvable, returned was expected"
    )]
    fn calls_return(
        #[case] stage: Stage,
        #[case] value: Option<i32>,
        #[case] outcome: Outcome,
        #[case] cause: &str,
    ) {
        let call = Call { function: "f".into(), args: Vec::new(), returns: TypeName::Int32 };
        let expect = ExpectStep {
            stages: vec![Stage::Returned],
            result: Some(Returned::Int32 { value: 7 }),
            ..ExpectStep::default()
        };
        let step = ScenarioStep { step: Step::Call { handle: "a".into(), call }, expect };
        let result = value.map(|value| Returned::Int32 { value });
        let reply = StepReply { stage: Some(stage), result, ..StepReply::default() };
        assert_verdict(&verdict(step, reply), outcome, cause);
    }

    #[rstest]
    #[case(0)]
    #[case(2)]
    fn every_step_is_answered_once(#[case] answers: usize) {
        let steps = [load("a", ExpectStep::default())];
        let verdict = judge(&steps, &vec![loaded(0x1_0000); answers]).unwrap();
        assert_eq!(verdict.outcome, Outcome::Protocol);
        assert_eq!(verdict.cause, format!("{answers} steps were answered, 1 were asked"));
    }

    #[test]
    fn who_has_nothing_to_say_names_no_stage() {
        let step = Step::Release { handle: "a".into() };
        let step = ScenarioStep { step, expect: ExpectStep::default() };
        assert_eq!(verdict(step.clone(), StepReply::default()).0, Outcome::Pass);
        let cause = "(release a): answered loaded, no stage was expected";
        assert_verdict(&verdict(step, loaded(0)), Outcome::WrongStage, cause);
    }
}
