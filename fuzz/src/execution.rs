//! Any bytes, executed: the sandbox holds, and what it says agrees with itself.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use harness_protocol::trap::{Access, Cause};
use harness_protocol::{Argument, Returned, TypeName};
use harness_sandbox::limits::{ARENA_LOW, PAGE, WORK_LOW};
use harness_sandbox::native::Native;
use harness_sandbox::{
    Architecture, Budget, Calls, Convention, Job, Machine as _, Outcome, Permissions, Plan,
    Program, Resource, Segment, Verdict, job, verdict,
};

use crate::limits::{EXECUTED_CPU, MAX_EXECUTED};

/// Where the code lies; a page that can be written follows the page after it.
const BASE: u64 = 0x3000_0000_0000;

/// `mov eax, 42; ret`: run after every input.
const CANARY: [u8; 6] = [0xb8, 42, 0, 0, 0, 0xc3];

/// One counter a kind of ending.
const ENDINGS: usize = 64;

#[cfg_attr(
    all(fuzzing, target_os = "linux"),
    expect(unsafe_code, reason = "libFuzzer looks for counters in a section of this name"),
    // SAFETY: the section holds nothing but bytes that libFuzzer reads and clears, and this is one byte a slot.
    unsafe(link_section = "__libfuzzer_extra_counters")
)]
static COUNTERS: [AtomicU8; ENDINGS] = [const { AtomicU8::new(0) }; ENDINGS];

thread_local! {
    static MACHINE: RefCell<Option<Native>> = const { RefCell::new(None) };
}

/// Runs `input` as a function of this processor; bytes beyond [`MAX_EXECUTED`] are left out.
///
/// # Panics
/// When the sandbox is lost, when its verdict contradicts the memory that there was, or when the next case is
/// not run as if nothing had happened.
pub fn blob(input: &[u8]) {
    if !cfg!(target_arch = "x86_64") {
        return; // the corpus is code of AMD64
    }
    let code = &input[..input.len().min(MAX_EXECUTED)];
    let verdict = run(code);
    count(&verdict);
    let program = program(code);
    agrees(&plan(&program), &verdict);
    let canary = run(&CANARY);
    let value = Returned::Int32 { value: 42 };
    assert!(
        matches!(&canary.outcome, Outcome::Returned { value: returned, .. } if *returned == value)
            && canary.breaches.is_empty(),
        "the case after this one: {:x?} {:x?}",
        canary.outcome,
        canary.breaches,
    );
}

fn program(code: &[u8]) -> Program {
    let segment = |name: &str, address, bytes: &[u8], size, permissions| Segment {
        name: name.to_owned(),
        address,
        bytes: bytes.to_vec(),
        size,
        permissions,
    };
    let size = (code.len() as u64).max(1);
    let data = BASE + size.next_multiple_of(PAGE) + PAGE;
    let segments = vec![
        segment("code", BASE, code, size, Permissions::Rx),
        segment("data", data, &[], PAGE, Permissions::Rw),
    ];
    Program { architecture: Architecture::X86_64, segments, symbols: Vec::new() }
}

fn plan(program: &Program) -> Plan {
    let buffer = Argument::Pointer { bytes: Some(vec![0; 16].into()) };
    let job = Job {
        entry: BASE,
        convention: Convention::SystemV,
        args: vec![Argument::Int64 { value: 1 }, buffer],
        returns: TypeName::Int32,
        calls: Calls::Once,
        budget: Budget { cpu: EXECUTED_CPU, wall: Duration::from_secs(10), instructions: None },
    };
    match job::plan(program, job) {
        Ok(plan) => plan,
        Err(error) => panic!("{error}"),
    }
}

fn run(code: &[u8]) -> Verdict {
    let program = program(code);
    let plan = plan(&program);
    let report = MACHINE.with_borrow_mut(|machine| {
        let start = || Native::start().unwrap_or_else(|error| panic!("{error}"));
        machine.get_or_insert_with(start).run(&plan.setup).unwrap_or_else(|error| panic!("{error}"))
    });
    verdict::read(&program, &plan, report, "native")
}

/// What may be done with an address; the machine's own pages are whatever they are.
fn permissions(plan: &Plan, address: u64) -> Option<Permissions> {
    let regions = plan.setup.regions.iter();
    let holds = |start: u64, size: u64| address.wrapping_sub(start) < size.next_multiple_of(PAGE);
    regions
        .filter(|region| holds(region.address, region.size))
        .map(|region| region.permissions)
        .next()
}

/// Checks a verdict against the memory of its case.
fn agrees(plan: &Plan, verdict: &Verdict) {
    let Outcome::Trapped { cause, access, address, .. } = &verdict.outcome else {
        let killed =
            matches!(verdict.outcome, Outcome::Killed(_) | Outcome::Exhausted(Resource::Wall));
        assert!(!killed, "nothing here should end like this: {:x?}", verdict.outcome);
        return;
    };
    let Some(place) = address else { return };
    if (ARENA_LOW..WORK_LOW).contains(&place.address) {
        return;
    }
    let there = permissions(plan, place.address);
    let consistent = match (cause, access) {
        // An access may begin in memory and end beside it.
        (Cause::Unmapped, _) => there.is_none(),
        (Cause::Protected, Some(Access::Write)) => there.is_some_and(|p| p != Permissions::Rw),
        (Cause::Protected, Some(Access::Fetch)) => there.is_some_and(|p| p != Permissions::Rx),
        (Cause::Protected, _) => false, // everything can be read
        (Cause::NonCanonical, _) => there.is_none(),
        _ => true,
    };
    assert!(consistent, "{there:?} at that address: {:x?} at {:x?}", verdict.outcome, verdict.pc);
    assert!(access.is_some(), "an address, but not what was done with it: {:x?}", verdict.outcome);
}

fn count(verdict: &Verdict) {
    let slot = match &verdict.outcome {
        Outcome::Returned { .. } => verdict.breaches.len().min(5),
        Outcome::Forbidden(call) => 6 + call.abi as usize,
        Outcome::Exhausted(resource) => 10 + *resource as usize,
        Outcome::Killed(_) => 14,
        Outcome::Trapped { cause, access, .. } => {
            16 + 4 * (*cause as usize) + access.map_or(0, |access| 1 + access as usize)
        }
    };
    let counter = &COUNTERS[slot % ENDINGS];
    counter.store(counter.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests {
    use super::*;

    #[test]
    fn every_byte_as_an_instruction_is_survived() {
        for byte in 0..=255_u8 {
            blob(&[byte; 20]);
        }
    }

    #[test]
    fn a_verdict_that_contradicts_the_memory_is_noticed() {
        let code = [0x31, 0xc0, 0x89, 0x00]; // xor eax, eax; mov [rax], eax
        let mut verdict = run(&code);
        let plan = plan(&program(&code));
        agrees(&plan, &verdict);
        let Outcome::Trapped { address, .. } = &mut verdict.outcome else { panic!("{verdict:?}") };
        address.as_mut().unwrap().address = BASE;
        assert!(std::panic::catch_unwind(|| agrees(&plan, &verdict)).is_err());
    }

    #[test]
    fn endings_have_counters_of_their_own() {
        let counted = |code: &[u8]| {
            let before: Vec<u8> =
                COUNTERS.iter().map(|slot| slot.load(Ordering::Relaxed)).collect();
            count(&run(code));
            COUNTERS.iter().zip(before).position(|(slot, old)| slot.load(Ordering::Relaxed) != old)
        };
        let codes: [&[u8]; 5] =
            [&CANARY, &[0x0f, 0x0b], &[0xcc], &[0x0f, 0x05], &[0x31, 0xc0, 0x8b, 0x00]];
        let slots: std::collections::BTreeSet<_> = codes.iter().map(|code| counted(code)).collect();
        assert_eq!(slots.len(), codes.len());
    }
}
