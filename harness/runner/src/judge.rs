//! Judging one answer against one expectation. Pure: no process, no clock, no file.
//!
//! The order of the checks is the order of a load: accepted or rejected, stage, model, exports, call. The
//! first difference is the outcome. A scenario is judged step by step.

mod executed;
mod exports;
pub mod model;
mod scenario;
mod trim;

pub use executed::is_right_death;
pub(crate) use executed::may_die;
pub use trim::trimmed;

use harness_protocol::{Expect, Reply, Stage, Vector, Want};

use crate::text::cut;
use crate::{CaseResult, Outcome};

/// What a loader said about the file. A one-shot loader without JSON says no stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It named the stage.
    Stage(Stage),
    /// It accepted the file (exit code 0).
    Accepts,
    /// It rejected the file (exit code 1).
    Rejects,
}

impl Said {
    /// Whether the file was accepted.
    #[must_use]
    pub fn accepts(self) -> bool {
        match self {
            Self::Stage(stage) => stage.accepts(),
            Self::Accepts => true,
            Self::Rejects => false,
        }
    }

    fn stage(self) -> Option<Stage> {
        match self {
            Self::Stage(stage) => Some(stage),
            Self::Accepts | Self::Rejects => None,
        }
    }

    /// The stage after `before`, when one was named.
    fn named(self, before: &str) -> String {
        self.stage().map(|stage| format!("{before}{stage}")).unwrap_or_default()
    }

    fn is_right(self, expect: &Expect) -> bool {
        match self {
            Self::Stage(stage) => expect.stages.contains(&stage),
            _ => expect.stages.iter().any(|stage| stage.accepts() == self.accepts()),
        }
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stage(stage) => stage.fmt(f),
            Self::Accepts => f.write_str("accepted"),
            Self::Rejects => f.write_str("rejected"),
        }
    }
}

/// How strictly to judge.
#[derive(Clone, Copy, Debug, Default)]
pub struct Strictness {
    /// A rejection must also name the expected rule and offset, where the vector has them. Meant for a
    /// loader that knows the spec's ids, such as the reference loader.
    pub rules: bool,
}

/// What an answer is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The outcome.
    pub outcome: Outcome,
    /// One line that says why it is not `pass`.
    pub cause: String,
    /// A remark that changes nothing about the outcome.
    pub note: Option<String>,
}

impl Verdict {
    /// A verdict other than `pass`.
    #[must_use]
    pub fn new(outcome: Outcome, cause: impl Into<String>) -> Self {
        Self { outcome, cause: cause.into(), note: None }
    }

    fn pass(note: Option<String>) -> Self {
        Self { outcome: Outcome::Pass, cause: String::new(), note }
    }
}

/// Judges an answer to `vector` that is not a skip against what is right under the readings that hold.
///
/// A rule that differs from the expected one is only noted unless `strictness.rules`; then it is
/// `wrong-stage`, because a rule is a finer stage and the stages themselves agree.
#[must_use]
pub fn judge(
    vector: &Vector,
    expect: &Expect,
    said: Said,
    reply: &Reply,
    strictness: Strictness,
) -> Verdict {
    let want = vector.want;
    if let Some(verdict) = judge_stage(want, expect, said, reply) {
        return verdict;
    }
    if !said.accepts() {
        return judge_rule(expect, reply, strictness);
    }
    let model = expect.model.as_ref().zip(reply.model.as_ref());
    if let Some(difference) = model.and_then(|(want, got)| model::difference(want, got)) {
        return Verdict::new(Outcome::WrongModel, difference);
    }
    let exports = expect.exports.as_ref().zip(reply.exports.as_ref());
    if let Some(cause) =
        exports.and_then(|(want, got)| exports::difference(want, got, &reply.images))
    {
        return Verdict::new(Outcome::WrongModel, cause);
    }
    if want == Want::Scenario {
        return scenario::judge(&vector.steps, &reply.steps).unwrap_or_else(|| Verdict::pass(None));
    }
    let executed = matches!(said, Said::Stage(Stage::Returned)) || want == Want::Call;
    if executed && let Some(cause) = executed::difference(expect, said, reply) {
        return Verdict::new(Outcome::WrongResult, cause);
    }
    Verdict::pass(None)
}

/// Whether the answer in `result` is the one that `expect` wants.
pub(crate) fn agrees(vector: &Vector, expect: &Expect, result: &CaseResult) -> bool {
    let Some(reply) = &result.got else { return false };
    if result.failed_as.unwrap_or(result.outcome) == Outcome::WrongImage && expect.accepts() {
        return false; // What was seen in memory is not part of the reply.
    }
    let Some(said) = said(reply, result) else { return false };
    let verdict = judge(vector, expect, said, reply, Strictness::default());
    verdict.outcome == Outcome::Pass
}

/// What the loader said. Without a stage the outcome tells, unless either answer would have been right.
fn said(reply: &Reply, result: &CaseResult) -> Option<Said> {
    if let Some(stage) = reply.stage {
        return Some(Said::Stage(stage));
    }
    let accepting = result.expected.iter().filter(|stage| stage.accepts()).count();
    match result.failed_as.unwrap_or(result.outcome) {
        Outcome::WrongAccept => Some(Said::Accepts),
        Outcome::WrongReject => Some(Said::Rejects),
        Outcome::Pass | Outcome::UnexpectedPass if accepting == 0 => Some(Said::Rejects),
        Outcome::Pass | Outcome::UnexpectedPass if accepting == result.expected.len() => {
            Some(Said::Accepts)
        }
        _ => None,
    }
}

fn judge_stage(want: Want, expect: &Expect, said: Said, reply: &Reply) -> Option<Verdict> {
    if said.is_right(expect) {
        return None;
    }
    let may_accept = expect.accepts();
    let may_reject = expect.stages.iter().any(|stage| !stage.accepts());
    let expected = stages(expect);
    let message = reply.message.as_deref().map(cut).filter(|text| !text.is_empty());
    let message = message.map(|text| format!(": {text}")).unwrap_or_default();
    Some(match (said.accepts(), may_accept, may_reject) {
        (true, false, _) => {
            let rule = expect.rule.as_ref().map(|rule| format!(" ({rule})")).unwrap_or_default();
            Verdict::new(
                Outcome::WrongAccept,
                format!("accepted{}, must be rejected as {expected}{rule}", said.named(" as ")),
            )
        }
        (false, true, false) => {
            let rule = reply.rule.as_deref().map(|rule| format!(" ({})", cut(rule)));
            let rule = rule.unwrap_or_default();
            Verdict::new(
                Outcome::WrongReject,
                format!(
                    "rejected{}{rule}, must be accepted as {expected}{message}",
                    said.named(" as ")
                ),
            )
        }
        _ if want == Want::Call && execution_differs(expect, said) => Verdict::new(
            Outcome::WrongResult,
            format!("the call ended in {said}, {expected} was expected{message}"),
        ),
        _ => Verdict::new(
            Outcome::WrongStage,
            format!("answered {said}, {expected} was expected{message}"),
        ),
    })
}

/// Whether both sides executed the function and it ended in another way.
fn execution_differs(expect: &Expect, said: Said) -> bool {
    let executes = |stage: Stage| matches!(stage, Stage::Trap | Stage::Exhausted | Stage::Returned);
    said.stage().is_some_and(executes) && expect.stages.iter().copied().any(executes)
}

fn judge_rule(expect: &Expect, reply: &Reply, strictness: Strictness) -> Verdict {
    let rule_differs = expect.rule.is_some() && reply.rule != expect.rule;
    let offset_differs = expect.offset.is_some() && reply.offset != expect.offset;
    let said = place(reply.rule.as_deref(), reply.offset);
    let wanted = place(expect.rule.as_deref(), expect.offset);
    if strictness.rules && (rule_differs || offset_differs) {
        let cause = format!("the stage is right, but the answer blames {said} instead of {wanted}");
        return Verdict::new(Outcome::WrongStage, cause);
    }
    let noted = rule_differs && reply.rule.is_some();
    Verdict::pass(noted.then(|| format!("blames {said}, the vector violates {wanted}")))
}

fn place(rule: Option<&str>, offset: Option<u64>) -> String {
    let rule = rule.map_or_else(|| "no rule".into(), cut);
    offset.map_or_else(|| rule.clone(), |offset| format!("{rule} at offset {offset:#x}"))
}

fn call_difference(expect: &Expect, reply: &Reply) -> Option<String> {
    if let Some(expected) = &expect.result {
        let Some(result) = &reply.result else {
            return Some(format!("no result, {} was expected", json(expected)));
        };
        if result != expected {
            return Some(format!("returned {}, {} was expected", json(result), json(expected)));
        }
    }
    if expect.buffers.is_empty() {
        return None;
    }
    if expect.buffers.len() != reply.buffers.len() {
        let (got, want) = (reply.buffers.len(), expect.buffers.len());
        return Some(format!("{got} buffers after the call, {want} were expected"));
    }
    let mut pairs = expect.buffers.iter().zip(&reply.buffers).enumerate();
    let (index, (want, got)) = pairs.find(|(_, (want, got))| want != got)?;
    let (got, want) = (json(got), json(want));
    Some(format!("buffer {index} holds {got} after the call, {want} was expected"))
}

/// `value` as JSON, cut.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).map_or_else(|error| error.to_string(), |text| cut(&text))
}

fn stages(expect: &Expect) -> String {
    let names: Vec<_> = expect.stages.iter().map(|stage| stage.name()).collect();
    names.join(" or ")
}

#[cfg(test)]
mod tests;
