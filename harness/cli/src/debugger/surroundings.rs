//! What surrounds the place where a call ended: code, words of the stack, fields of the file.

use harness_sandbox::module::Origin;
use harness_sandbox::{Outcome, Place, verdict};

use super::disassembly::{self, Line};
use crate::execution::Execution;

/// Which instruction of a listing is meant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    /// The one at this address.
    At(u64),
    /// The one that ends here: the call to where control went astray, or the system call that was asked for.
    Until(u64),
}

impl Mark {
    /// Whether it means `line`.
    pub(super) fn marks(self, line: &Line) -> bool {
        match self {
            Self::At(address) => line.address == address,
            Self::Until(address) => line.end() == address,
        }
    }

    /// What is shown before the instruction.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::At(_) => "▶",
            Self::Until(_) => "↳",
        }
    }
}

/// The code that stopped; where control was not in code, the code that it was called from.
pub(super) fn listing(execution: &Execution<'_>) -> (Vec<Line>, Mark) {
    let program = &execution.module.program;
    let pc = execution.verdict.registers.pc();
    let here = execution.verdict.pc.as_ref().map(|_| disassembly::around(program, pc));
    let caller = execution.verdict.chain.first().map(|place| place.address);
    match (here.unwrap_or_default(), caller) {
        (here, Some(caller)) if here.is_empty() => {
            (disassembly::around(program, caller), Mark::Until(caller))
        }
        (here, _) => {
            // The processor is past a system call when it asks.
            let asked = matches!(execution.verdict.outcome, Outcome::Forbidden(_));
            let asked = asked && here.iter().any(|line| line.end() == pc);
            (here, if asked { Mark::Until(pc) } else { Mark::At(pc) })
        }
    }
}

/// A word of the stack.
pub(super) struct Word {
    pub(super) address: u64,
    pub(super) value: u64,
    /// What the value means as an address, if it does.
    pub(super) meaning: Option<String>,
}

/// The words from the stack pointer on.
pub(super) fn stack(execution: &Execution<'_>) -> Vec<Word> {
    let size = if execution.module.program.architecture.pointer_size() == 8 { 8 } else { 4 };
    let words = execution
        .stack
        .chunks_exact(size)
        .map(|bytes| bytes.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte)));
    let addresses = (execution.verdict.registers.sp()..).step_by(size);
    let meaning = |value: u64| {
        let setup = &execution.plan.setup;
        if value == setup.landing {
            return Some("return to the caller".to_owned());
        }
        let place = verdict::place(setup, &execution.module.program, value);
        if !place.inside && place.past != Some(0) {
            return None;
        }
        let text = place.to_string();
        let (_, said) = text.split_once([' ', ','])?;
        let said = said.trim_start();
        Some(said.strip_prefix("in ").unwrap_or(said).to_owned())
    };
    addresses
        .zip(words)
        .map(|(address, value)| Word { address, value, meaning: meaning(value) })
        .collect()
}

/// The fields of the file that decided what lies where control was, where it came from, and what was accessed:
/// the narrowest stretch first.
pub(super) fn origins<'a>(execution: &Execution<'a>) -> Vec<&'a Origin> {
    let mut origins: Vec<&Origin> = of_import(execution).collect();
    for origin in places(execution).into_iter().flat_map(|place| origins_of(execution, place)) {
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    if origins.is_empty() {
        // Control is lost without a trace: what is known is where it began.
        let entry = execution.plan.job.entry;
        origins = origins_of(execution, (entry, entry.saturating_add(1)));
    }
    origins
}

/// The fields that decided what lies in a stretch of memory, the narrowest first.
fn origins_of<'a>(execution: &Execution<'a>, (start, end): (u64, u64)) -> Vec<&'a Origin> {
    let overlap = |o: &&Origin| o.address < end && start < o.address.saturating_add(o.size);
    let mut found: Vec<&Origin> = execution.module.origins.iter().filter(overlap).collect();
    found.sort_by_key(|origin| origin.size);
    found
}

/// The relocations that put the address in question somewhere, if it is that of an import.
fn of_import<'a>(execution: &Execution<'a>) -> impl Iterator<Item = &'a Origin> {
    let address = match &execution.verdict.outcome {
        Outcome::Trapped { address: Some(place), .. } => Some(place.address),
        _ => None,
    };
    let import = execution.imports.iter().find(|(_, known)| Some(**known) == address);
    let origins = execution.module.origins.iter();
    let of = move |origin: &&Origin| {
        import.is_some_and(|(name, _)| origin.symbol.as_ref() == Some(name))
    };
    origins.filter(of).take(NEAREST_USES)
}

/// Relocations of an import that are named: one is enough to find the others.
const NEAREST_USES: usize = 4;

/// Calls of the chain whose relocations are looked for.
const NEAREST_CALLS: usize = 2;

/// Longest call instruction in bytes.
const CALL: u64 = 8;

/// The stretches of memory that a stop is about.
fn places(execution: &Execution<'_>) -> Vec<(u64, u64)> {
    let verdict = &execution.verdict;
    let mut places = Vec::new();
    if let Some(pc) = &verdict.pc {
        let line = disassembly::line(&execution.module.program, pc.address);
        places.push((pc.address, line.map_or(pc.address + 1, |line| line.end())));
    }
    if let Outcome::Trapped { address: Some(place), .. } = &verdict.outcome {
        places.push((place.address, place.address.saturating_add(1)));
    }
    let calls = verdict.chain.iter().take(NEAREST_CALLS);
    places.extend(calls.map(|place| (call_before(place), place.address)));
    places
}

/// Where the call instruction before a return address may start, at the earliest: not before its function.
fn call_before(returns_to: &Place) -> u64 {
    let into = returns_to.symbol.as_ref().map_or(CALL, |(_, into)| *into);
    returns_to.address.saturating_sub(CALL.min(into))
}
