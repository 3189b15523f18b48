//! Whether a verdict is what a vector expects: the one place where the words of the protocol and those of verdicts
//! meet.

use harness_protocol::executed::{FaultAddress, SystemCalled, Trapped, breach};
use harness_protocol::{Expect, HexBytes, Returned, Stage};

use crate::limits::PAGE;
use crate::{Breach, Outcome, Place, Verdict};

/// How `verdict` differs from `expect`, one difference a line; empty when it is what was expected.
///
/// Images are known by the names of regions: `data` is the start of an image, `data.2` a later part of it, which begins
/// some whole pages further on. Whatever the expectation names, the verdict must say.
#[must_use]
pub fn compare(expect: &Expect, verdict: &Verdict) -> Vec<String> {
    let stage = verdict.outcome.stage();
    if !expect.stages.contains(&stage) {
        let stages: Vec<&str> = expect.stages.iter().map(|stage| stage.name()).collect();
        return vec![format!(
            "ended in {}, {} was expected",
            outcome(&verdict.outcome),
            stages.join(" or ")
        )];
    }
    match &verdict.outcome {
        Outcome::Returned { value, buffers } => {
            let mut differences = returned(expect, value, buffers);
            differences.extend(breaches(expect, &verdict.breaches));
            differences
        }
        Outcome::Exhausted(_) => Vec::new(),
        ended => trap(expect, ended).into_iter().collect(),
    }
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Returned { .. } => Stage::Returned.to_string(),
        Outcome::Trapped { cause, access, address, .. } => {
            let access = access.map(|access| format!(", {access}")).unwrap_or_default();
            let address = address.as_ref().map(|place| format!(" {place}")).unwrap_or_default();
            format!("trap ({cause}{access}{address})")
        }
        Outcome::Forbidden(call) => {
            format!("trap ({})", SystemCalled { abi: call.abi, number: call.number })
        }
        Outcome::Exhausted(resource) => format!("exhausted ({resource:?})"),
        Outcome::Killed(signal) => format!("trap (killed by signal {signal})"),
    }
}

fn returned(expect: &Expect, value: &Returned, buffers: &[HexBytes]) -> Vec<String> {
    let json = |value: &Returned| serde_json::to_string(value).unwrap_or_default();
    let mut differences = Vec::new();
    if let Some(expected) = expect.result.as_ref().filter(|expected| *expected != value) {
        differences.push(format!("returned {}, {} was expected", json(value), json(expected)));
    }
    if expect.result.is_some() && expect.buffers.len() != buffers.len() {
        let (found, expected) = (buffers.len(), expect.buffers.len());
        differences.push(format!("{found} buffers after the call, {expected} were expected"));
    }
    for (index, (expected, found)) in expect.buffers.iter().zip(buffers).enumerate() {
        let differs =
            expected.0.iter().zip(&found.0).position(|(expected, found)| expected != found);
        let shorter = expected.0.len().min(found.0.len());
        let differs = differs.or((expected.0.len() != found.0.len()).then_some(shorter));
        if let Some(offset) = differs {
            differences.push(format!("buffer {index} differs at offset {offset:#x}"));
        }
    }
    differences
}

/// The name that the protocol has for a broken promise.
#[must_use]
pub fn promise(breach: &Breach) -> String {
    match breach {
        // The callee keeps the low half of v8 alone, which is d8.
        Breach::Register { name, .. } => match name.strip_prefix('v') {
            Some(number) => format!("d{number}"),
            None => name.clone(),
        },
        Breach::StackPointer { .. } => breach::STACK_POINTER.into(),
        Breach::DirectionFlag => breach::DIRECTION_FLAG.into(),
        Breach::FloatControl { name, .. } => name.replace(' ', "-"),
        Breach::CallerStack { .. } => breach::CALLER_STACK.into(),
        Breach::BesideBuffer { .. } => breach::BESIDE_BUFFER.into(),
        Breach::NotRepeatable { .. } => breach::NOT_REPEATABLE.into(),
        Breach::Impure { .. } => breach::IMPURE.into(),
    }
}

fn breaches(expect: &Expect, found: &[Breach]) -> Option<String> {
    let listed = |mut names: Vec<String>| {
        names.sort_unstable();
        names.dedup();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    let found = listed(found.iter().map(promise).collect());
    let expected = listed(expect.breaches.clone());
    (found != expected).then(|| format!("broken promises: {found}; expected: {expected}"))
}

/// How a trap or a system call differs.
fn trap(expect: &Expect, ended: &Outcome) -> Option<String> {
    if let (Outcome::Forbidden(call), Some(expected)) = (ended, &expect.system_call) {
        let made = SystemCalled { abi: call.abi, number: call.number };
        let number = expected.number;
        return (!expected.is(made)).then(|| format!("{made}, number {number} was expected"));
    }
    let Some(expected) = &expect.trap else {
        // A vector that names neither leaves open which trap it is.
        let call = expect.system_call.as_ref()?;
        let ended = outcome(ended);
        return Some(format!("ended in {ended}, system call {} was expected", call.number));
    };
    let Outcome::Trapped { cause, access, address, .. } = ended else {
        return Some(format!("ended in {}, a trap was expected", outcome(ended)));
    };
    if expected.access.is_some() && access.is_none() {
        return Some("the verdict does not say what was done with memory".into());
    }
    let trapped = Trapped { cause: Some(*cause), access: *access, ..Trapped::default() };
    expected.difference(&trapped).or_else(|| {
        let wanted = expected.address.as_ref()?;
        let found = address.as_ref();
        let place = found.map_or_else(|| "unknown".into(), ToString::to_string);
        (!found.is_some_and(|place| is_at(place, wanted)))
            .then(|| format!("the address is {place}, {wanted} was expected"))
    })
}

/// Whether a place is the expected one.
fn is_at(place: &Place, expected: &FaultAddress) -> bool {
    let region = place.region.as_ref().filter(|_| place.inside);
    let named = |is: &dyn Fn(&str) -> bool, wanted: u64| {
        region.is_some_and(|(name, offset)| is(name) && u64::try_from(*offset) == Ok(wanted))
    };
    match expected {
        FaultAddress::Null => place.address < PAGE,
        FaultAddress::Image { name, offset } => {
            named(&|region| region == name, *offset)
                || region.is_some_and(|part| is_in_part(part, name, *offset))
        }
        FaultAddress::Buffer { index, offset } => {
            let name = format!("buffer {index}");
            let of_call = format!("{name} of");
            named(&|region| region == name || region.starts_with(&of_call), *offset)
        }
        FaultAddress::Stack => region.is_some_and(|(name, _)| is_stack(name)),
        FaultAddress::BelowStack => {
            let beside = place.region.as_ref().filter(|_| !place.inside);
            beside.is_some_and(|(name, offset)| is_stack(name) && *offset < 0)
        }
        FaultAddress::Other { address } => place.address == *address,
    }
}

/// Whether a place in a part of an image is `wanted` bytes from the image's start, as far as pages tell.
fn is_in_part((part, offset): &(String, i64), image: &str, wanted: u64) -> bool {
    let is_part = part.strip_prefix(image).is_some_and(|rest| rest.starts_with('.'));
    let before = u64::try_from(*offset).ok().and_then(|offset| wanted.checked_sub(offset));
    is_part && before.is_some_and(|before| before > 0 && before % PAGE == 0)
}

fn is_stack(name: &str) -> bool {
    name == "stack" || name.starts_with("stack ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use harness_protocol::executed::{ExpectedSystemCall, ExpectedTrap};
    use harness_protocol::trap::{Access, Cause};
    use rstest::rstest;

    use super::*;
    use crate::Registers;
    use crate::machine::{Resource, SystemCall, SystemCallAbi};

    fn verdict(outcome: Outcome, breaches: Vec<Breach>) -> Verdict {
        Verdict {
            outcome,
            breaches,
            others: Vec::new(),
            pc: None,
            registers: Registers::X86_64(Box::default()),
            chain: Vec::new(),
            memory: Vec::new(),
            cpu: Duration::ZERO,
            instructions: None,
            trace: Vec::new(),
            machine: "native",
        }
    }

    fn returning(value: i32, buffer: &[u8]) -> Outcome {
        let buffers = vec![HexBytes(buffer.to_vec())];
        Outcome::Returned { value: Returned::Int32 { value }, buffers }
    }

    fn seven() -> Expect {
        Expect {
            stages: vec![Stage::Returned],
            result: Some(Returned::Int32 { value: 7 }),
            buffers: vec![HexBytes(vec![1, 2])],
            ..Expect::default()
        }
    }

    fn place(region: &str, offset: i64, inside: bool, address: u64) -> Place {
        let region = Some((region.to_owned(), offset));
        Place { address, region, inside, past: None, symbol: None }
    }

    fn trapped(cause: Cause, access: Option<Access>, address: Option<Place>) -> Outcome {
        Outcome::Trapped { cause, access, address, signal: None }
    }

    fn trapping(access: Option<Access>, address: Option<FaultAddress>) -> Expect {
        let trap = ExpectedTrap { causes: vec![Cause::Protected], access, address };
        Expect { stages: vec![Stage::Trap], trap: Some(trap), ..Expect::default() }
    }

    #[rstest]
    #[case::right(returning(7, &[1, 2]), "")]
    #[case::value(returning(8, &[1, 2]), "\"value\":7")]
    #[case::buffer(returning(7, &[1, 3]), "buffer 0 differs at offset 0x1")]
    #[case::short_buffer(returning(7, &[1]), "buffer 0 differs at offset 0x1")]
    #[case::no_buffers(
        Outcome::Returned { value: Returned::Int32 { value: 7 }, buffers: vec![] },
        "0 buffers"
    )]
    #[case::trap(trapped(Cause::Breakpoint, None, None), "returned was expected")]
    #[case::endless(Outcome::Exhausted(Resource::Cpu), "exhausted")]
    fn what_is_returned_is_compared(#[case] outcome: Outcome, #[case] words: &str) {
        assert_differs(&compare(&seven(), &verdict(outcome, vec![])), words);
    }

    fn assert_differs(differences: &[String], words: &str) {
        assert_eq!(differences.is_empty(), words.is_empty(), "{differences:?}");
        assert!(differences.concat().contains(words), "{differences:?}");
    }

    #[rstest]
    #[case::right(&["rbx", "mxcsr", "x87-control-word", "d8"], "")]
    #[case::one_missing(&["rbx", "mxcsr", "x87-control-word"], "expected: mxcsr, rbx, x87")]
    #[case::none(&[], "expected: none")]
    fn broken_promises_are_compared(#[case] names: &[&str], #[case] words: &str) {
        let register = |name: &str| Breach::Register { name: name.into(), before: 0, after: 1 };
        let control = |name| Breach::FloatControl { name, before: 0, after: 1 };
        let found =
            vec![control("mxcsr"), register("v8"), control("x87 control word"), register("rbx")];
        let breaches = names.iter().map(ToString::to_string).collect();
        let expect = Expect { breaches, ..seven() };
        assert_differs(&compare(&expect, &verdict(returning(7, &[1, 2]), found)), words);
    }

    #[rstest]
    #[case::right(Cause::Protected, Some(Access::Write), "")]
    #[case::another_cause(Cause::Unmapped, Some(Access::Write), "protected was expected")]
    #[case::another_access(Cause::Protected, Some(Access::Read), "write was expected")]
    #[case::silent(Cause::Protected, None, "does not say")]
    fn traps_are_compared(
        #[case] cause: Cause,
        #[case] access: Option<Access>,
        #[case] words: &str,
    ) {
        let expect = trapping(Some(Access::Write), None);
        assert_differs(&compare(&expect, &verdict(trapped(cause, access, None), vec![])), words);
    }

    #[rstest]
    #[case::image(FaultAddress::Image { name: "data".into(), offset: 4 }, place("data", 4, true, 0x9004), true)]
    #[case::part(FaultAddress::Image { name: "data".into(), offset: 4100 }, place("data.2", 4, true, 0x9004), true)]
    #[case::start_of_a_part(FaultAddress::Image { name: "data".into(), offset: 4 }, place("data.2", 4, true, 0x9004), false)]
    #[case::other_image(FaultAddress::Image { name: "data".into(), offset: 4 }, place("data2", 4, true, 0x9004), false)]
    #[case::other_offset(FaultAddress::Image { name: "data".into(), offset: 4 }, place("data", 5, true, 0x9005), false)]
    #[case::beside(FaultAddress::Image { name: "data".into(), offset: 4 }, place("data", 4, false, 0x9004), false)]
    #[case::buffer(FaultAddress::Buffer { index: 1, offset: 0 }, place("buffer 1", 0, true, 0x9000), true)]
    #[case::buffer_of_call(FaultAddress::Buffer { index: 1, offset: 0 }, place("buffer 1 of call 0", 0, true, 0x9000), true)]
    #[case::other_buffer(FaultAddress::Buffer { index: 1, offset: 0 }, place("buffer 10", 0, true, 0x9000), false)]
    #[case::stack(FaultAddress::Stack, place("stack", 99, true, 0x9000), true)]
    #[case::stack_of_call(FaultAddress::Stack, place("stack 3", 99, true, 0x9000), true)]
    #[case::below(FaultAddress::BelowStack, place("stack", -8, false, 0x9000), true)]
    #[case::above(FaultAddress::BelowStack, place("stack", 4096, false, 0x9000), false)]
    #[case::null(FaultAddress::Null, place("", 0, false, 8), true)]
    #[case::not_null(FaultAddress::Null, place("", 0, false, 4096), false)]
    fn places_are_compared(
        #[case] expected: FaultAddress,
        #[case] place: Place,
        #[case] right: bool,
    ) {
        let expect = trapping(None, Some(expected));
        let found = verdict(trapped(Cause::Protected, Some(Access::Write), Some(place)), vec![]);
        assert_eq!(compare(&expect, &found).is_empty(), right);
        let silent = verdict(trapped(Cause::Protected, None, None), vec![]);
        assert!(!compare(&expect, &silent).is_empty());
    }

    #[rstest]
    #[case::right(SystemCallAbi::Arm64, 1000, true)]
    #[case::another(SystemCallAbi::Arm64, 1001, false)]
    #[case::another_door(SystemCallAbi::I386, 1000, false)]
    fn system_calls_are_compared(
        #[case] abi: SystemCallAbi,
        #[case] number: u64,
        #[case] right: bool,
    ) {
        let call = Some(ExpectedSystemCall { abi: None, number: 1000 });
        let expect = Expect { stages: vec![Stage::Trap], system_call: call, ..Expect::default() };
        let made = Outcome::Forbidden(SystemCall { abi, number, arguments: [0; 6] });
        assert_eq!(compare(&expect, &verdict(made, vec![])).is_empty(), right);
        let other = verdict(trapped(Cause::Protected, None, None), vec![]);
        assert!(!compare(&expect, &other).is_empty());
        assert!(!compare(&expect, &verdict(Outcome::Killed(9), vec![])).is_empty());
        // Where the door may be closed, the trap is right, too.
        let either = Expect { system_call: call, ..trapping(None, None) };
        assert!(compare(&either, &other).is_empty());
    }
}
