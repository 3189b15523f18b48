//! Whether two machines say the same of one call, and where they part.

use harness_sandbox::{Outcome, Place, Program, Verdict};

use crate::debugger::trace_line;

/// What differs between two verdicts of one setup. `either`: processors differ in whether the call ends in a trap
/// or a system call (`sysenter` of AMD64).
pub(super) fn differences(first: &Verdict, second: &Verdict, either: bool) -> Vec<String> {
    let (one, other) = (first.machine, second.machine);
    let mut differences = Vec::new();
    if either && kinds_differ(&first.outcome, &second.outcome) {
        return differences;
    }
    if !same_end(&first.outcome, &second.outcome) {
        let (a, b) = (end(&first.outcome), end(&second.outcome));
        differences.push(format!("{one}: {a}; {other}: {b}"));
    }
    if matches!(first.outcome, Outcome::Exhausted(_)) {
        return differences; // where a call is stopped depends on how fast the machine is
    }
    let others = (&first.others, &second.others);
    if others.0 != others.1 {
        differences.push(format!("other calls, {one}: {:?}; {other}: {:?}", others.0, others.1));
    }
    if first.breaches != second.breaches {
        let (a, b) = (&first.breaches, &second.breaches);
        differences.push(format!("broken promises, {one}: {a:?}; {other}: {b:?}"));
    }
    let pc = |verdict: &Verdict| verdict.pc.as_ref().map(|pc| pc.address);
    if pc(first) != pc(second) {
        let text =
            |verdict: &Verdict| verdict.pc.as_ref().map_or("none".to_owned(), Place::to_string);
        differences.push(format!("pc, {one}: {}; {other}: {}", text(first), text(second)));
    }
    differences.extend(memory(first, second));
    differences
}

/// Whether one is a trap and the other a system call.
fn kinds_differ(first: &Outcome, second: &Outcome) -> bool {
    let trapped = |outcome: &Outcome| matches!(outcome, Outcome::Trapped { .. });
    let asked = |outcome: &Outcome| matches!(outcome, Outcome::Forbidden(_));
    trapped(first) && asked(second) || asked(first) && trapped(second)
}

/// The first byte of each region that is not the same.
fn memory(first: &Verdict, second: &Verdict) -> Vec<String> {
    let both = first.memory.iter().zip(&second.memory);
    let mut differences: Vec<String> = both
        .filter_map(|((name, address, one), (_, _, other))| {
            let at = (0..one.len().max(other.len())).find(|at| one.get(*at) != other.get(*at))?;
            let byte = |bytes: &[u8]| {
                bytes.get(at).map_or_else(|| "nothing".to_owned(), |byte| format!("{byte:#04x}"))
            };
            let (a, b) = (byte(one), byte(other));
            let place = address + at as u64;
            let (one, other) = (first.machine, second.machine);
            Some(format!("memory of {name} at {place:#x}, {one}: {a}; {other}: {b}"))
        })
        .collect();
    if first.memory.len() != second.memory.len() {
        differences.push("one machine reports more memory than the other".to_owned());
    }
    differences
}

/// Whether two calls ended in the same way. What one machine does not know is not compared.
fn same_end(first: &Outcome, second: &Outcome) -> bool {
    match (first, second) {
        (Outcome::Exhausted(_), Outcome::Exhausted(_)) => true, // one counts time, the other instructions
        (
            Outcome::Trapped { cause, access, address, signal },
            Outcome::Trapped { cause: c, access: a, address: place, signal: s },
        ) => {
            let known = |one: &Option<Place>| one.as_ref().map(|place| place.address);
            cause == c
                && both(*access, *a)
                && both(known(address), known(place))
                && both(*signal, *s)
        }
        _ => first == second,
    }
}

fn both<T: PartialEq>(first: Option<T>, second: Option<T>) -> bool {
    first.zip(second).is_none_or(|(first, second)| first == second)
}

fn end(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Returned { value, buffers } => format!("returned {value:?} {buffers:?}"),
        Outcome::Trapped { cause, access, address, signal } => {
            let access = access.map_or("", |access| access.name());
            let address = address.as_ref().map_or_else(String::new, Place::to_string);
            format!("trap {cause} {access} {address} {signal:?}")
        }
        other => format!("{other:?}"),
    }
}

/// The first instruction that only one machine runs, or that the same instructions gave different results.
pub(super) fn parting(program: &Program, first: &Verdict, second: &Verdict) -> String {
    let (one, other) = (&first.trace, &second.trace);
    let length = one.len().max(other.len());
    let Some(at) = (0..length).find(|at| one.get(*at) != other.get(*at)) else {
        let last = one.last().map(|address| trace_line(program, *address));
        let last = last.unwrap_or_else(|| "none was traced".to_owned());
        return format!("the same {length} instructions ran on both, the last: {last}");
    };
    let line = |verdict: &Verdict, at: usize| {
        let address = verdict.trace.get(at);
        address.map_or_else(|| "nothing more".to_owned(), |address| trace_line(program, *address))
    };
    let before = at.checked_sub(1).map(|before| line(first, before));
    let before = before.unwrap_or_else(|| "the first instruction".to_owned());
    let (a, b) = (line(first, at), line(second, at));
    let (one, other) = (first.machine, second.machine);
    format!("they part at instruction {at}, after {before}: {one} {a}; {other} {b}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use harness_protocol::Returned;
    use harness_protocol::trap::{Access, Cause};
    use harness_sandbox::{
        Architecture, Permissions, Registers, Resource, Segment, SystemCall, SystemCallAbi,
    };

    use super::*;

    fn verdict(machine: &'static str, outcome: Outcome) -> Verdict {
        Verdict {
            outcome,
            breaches: Vec::new(),
            others: Vec::new(),
            pc: None,
            registers: Registers::X86_64(Box::default()),
            chain: Vec::new(),
            memory: vec![("data".to_owned(), 0x1000, vec![1, 2])],
            cpu: Duration::ZERO,
            instructions: None,
            trace: Vec::new(),
            machine,
        }
    }

    fn returned(value: i32) -> Outcome {
        Outcome::Returned { value: Returned::Int32 { value }, buffers: Vec::new() }
    }

    fn trapped(address: Option<u64>) -> Outcome {
        let place =
            |address| Place { address, region: None, inside: false, past: None, symbol: None };
        Outcome::Trapped {
            cause: Cause::Unmapped,
            access: Some(Access::Read),
            address: address.map(place),
            signal: None,
        }
    }

    #[test]
    fn what_agrees_and_what_does_not() {
        let call = SystemCall { abi: SystemCallAbi::I386, number: 20, arguments: [0; 6] };
        let (cpu, instructions) =
            (Outcome::Exhausted(Resource::Cpu), Outcome::Exhausted(Resource::Instructions));
        for (first, second, either, count) in [
            (returned(1), returned(1), false, 0),
            (returned(1), returned(2), false, 1),
            (trapped(Some(0)), trapped(None), false, 0),
            (trapped(Some(0)), trapped(Some(8)), false, 1),
            (trapped(None), returned(1), false, 1),
            (trapped(None), Outcome::Forbidden(call), false, 1),
            (trapped(None), Outcome::Forbidden(call), true, 0),
            (trapped(None), returned(1), true, 1),
            (cpu, instructions, false, 0),
        ] {
            let (one, other) = (verdict("native", first), verdict("emulated", second));
            let found = differences(&one, &other, either);
            assert_eq!(found.len(), count, "{found:?}");
        }
    }

    #[test]
    fn a_byte_of_memory_that_differs_is_named() {
        let one = verdict("native", returned(1));
        let mut other = verdict("emulated", returned(1));
        other.memory[0].2[1] = 3;
        let found = differences(&one, &other, false);
        assert_eq!(found, ["memory of data at 0x1001, native: 0x02; emulated: 0x03"]);
    }

    #[test]
    fn the_first_instruction_that_differs_is_named() {
        let segment = Segment {
            name: "code".to_owned(),
            address: 0x1000,
            bytes: vec![0x90, 0x90, 0xc3],
            size: 3,
            permissions: Permissions::Rx,
        };
        let program = Program {
            architecture: Architecture::X86_64,
            segments: vec![segment],
            symbols: vec![],
        };
        let mut one = verdict("native", returned(1));
        let mut other = verdict("emulated", returned(1));
        one.trace = vec![0x1000, 0x1001, 0x1002];
        other.trace = vec![0x1000, 0x1002];
        let text = parting(&program, &one, &other);
        assert!(text.contains("they part at instruction 1"), "{text}");
        assert!(text.contains("native 0x1001") && text.contains("emulated 0x1002"), "{text}");
        other.trace = one.trace.clone();
        assert!(parting(&program, &one, &other).contains("the same 3 instructions"), "{text}");
    }
}
