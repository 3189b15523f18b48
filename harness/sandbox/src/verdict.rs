//! What a report means: results by type, traps by place, broken promises.

mod breaches;
mod chain;
mod extended;
mod place;
mod results;
#[cfg(test)]
mod tests;

use std::time::Duration;

use harness_protocol::trap::{Access, Cause};
use harness_protocol::{HexBytes, Returned, Stage};

use crate::machine::{Report, Resource, Stop, StopReason, SystemCall};
use crate::{Plan, Program, Registers};
pub use place::{Place, place};
use results::Memory;

/// What came of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// How it ended; of several calls, how the first ended that did not return, else the first.
    pub outcome: Outcome,
    /// Promises that the code broke although every call returned; of several calls, those of the first that
    /// broke any.
    pub breaches: Vec<Breach>,
    /// What the calls after the first returned, when all did.
    pub others: Vec<Answer>,
    /// Where control was at the end; `None` when it returned.
    pub pc: Option<Place>,
    /// All registers at the end.
    pub registers: Registers,
    /// Addresses in code found on the stack, innermost first: a guess at the chain of calls.
    pub chain: Vec<Place>,
    /// The kept regions after the run: name, address, bytes.
    pub memory: Vec<(String, u64, Vec<u8>)>,
    /// Processor time used.
    pub cpu: Duration,
    /// Instructions run, where the machine counts them.
    pub instructions: Option<u64>,
    /// Addresses as asked for by [`crate::Tracing`].
    pub trace: Vec<u64>,
    /// Name of the machine.
    pub machine: &'static str,
}

/// What a call came back with.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What it returned.
    pub value: Returned,
    /// The buffers of its non-null pointer arguments afterwards.
    pub buffers: Vec<HexBytes>,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Every call returned.
    Returned {
        /// What the first call returned.
        value: Returned,
        /// The buffers of its non-null pointer arguments afterwards.
        buffers: Vec<HexBytes>,
    },
    /// An instruction trapped.
    Trapped {
        /// What kind of trap.
        cause: Cause,
        /// What was being done with memory, where memory is the cause.
        access: Option<Access>,
        /// The address that was accessed, where it is known, and what it belongs to.
        address: Option<Place>,
        /// The signal and its `si_code`.
        signal: Option<(i32, i32)>,
    },
    /// The code asked the operating system for something, which nothing may.
    Forbidden(SystemCall),
    /// A budget was used up.
    Exhausted(Resource),
    /// The operating system ended the process with this signal.
    Killed(i32),
}

impl Outcome {
    /// The stage that the protocol calls this.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self {
            Self::Returned { .. } => Stage::Returned,
            Self::Trapped { .. } | Self::Forbidden(_) | Self::Killed(_) => Stage::Trap,
            Self::Exhausted(_) => Stage::Exhausted,
        }
    }
}

/// A promise that code broke although it returned.
#[derive(Clone, Debug, PartialEq)]
pub enum Breach {
    /// A register that the callee must keep.
    Register {
        /// Its name.
        name: String,
        /// What it held (low 128 bits).
        before: u128,
        /// What it holds.
        after: u128,
    },
    /// The stack pointer does not stand where the convention says.
    StackPointer {
        /// Where it should stand.
        expected: u64,
        /// Where it stands.
        found: u64,
    },
    /// The direction flag is set.
    DirectionFlag,
    /// The floating-point control bits changed (`mxcsr`, `x87 control word`, `fpcr`).
    FloatControl {
        /// Which word.
        name: &'static str,
        /// What it held.
        before: u64,
        /// What it holds.
        after: u64,
    },
    /// Words above the arguments, which belong to the caller, changed.
    CallerStack {
        /// Address of the first.
        address: u64,
    },
    /// Bytes beside a buffer changed.
    BesideBuffer {
        /// Which buffer.
        index: usize,
        /// The first changed byte, counted from the buffer's start (negative: before it).
        offset: i64,
    },
    /// A function that is marked pure gave two results for the same arguments.
    NotRepeatable {
        /// The first result.
        first: Returned,
        /// The second.
        second: Returned,
    },
    /// A function that is marked pure changed memory.
    Impure {
        /// The first changed byte.
        place: Place,
    },
}

/// Reads a report.
#[must_use]
pub fn read(program: &Program, plan: &Plan, report: Report, machine: &'static str) -> Verdict {
    let place = |address| place::place(&plan.setup, program, address);
    let memory = Memory::new(&plan.setup, &report.memory);
    let mut verdict = Verdict {
        outcome: Outcome::Killed(0),
        breaches: Vec::new(),
        others: Vec::new(),
        pc: None,
        registers: plan.setup.calls[0].registers.clone(),
        chain: Vec::new(),
        memory: Vec::new(),
        cpu: report.cpu,
        instructions: report.instructions,
        trace: report.trace,
        machine,
    };
    match decisive(&report.stops) {
        Some(stop) => {
            verdict.outcome = outcome(stop.reason, place);
            verdict.pc = Some(place(stop.registers.pc()));
            verdict.chain = chain::chain(program, stop).into_iter().map(place).collect();
            verdict.registers = stop.registers.clone();
        }
        None if !report.stops.is_empty() => {
            let mut answers = results::answers(program, plan, &report.stops, &memory).into_iter();
            if let Some(Answer { value, buffers }) = answers.next() {
                verdict.outcome = Outcome::Returned { value, buffers };
            }
            verdict.others = answers.collect();
            verdict.breaches = breaches::breaches(program, plan, &report.stops, &memory);
            verdict.registers = report.stops[0].registers.clone();
        }
        // A machine that says nothing of any call lost the child before it began.
        None => {}
    }
    let names = plan.setup.regions.iter().filter(|region| region.kept);
    let kept = names.zip(report.memory);
    verdict.memory =
        kept.map(|(region, bytes)| (region.name.clone(), region.address, bytes)).collect();
    verdict
}

/// The first stop that is no return. One that was only abandoned counts when nothing else explains it.
fn decisive(stops: &[Stop]) -> Option<&Stop> {
    let is = |wanted: fn(&StopReason) -> bool| stops.iter().find(|stop| wanted(&stop.reason));
    is(|reason| !matches!(reason, StopReason::Landed | StopReason::Abandoned))
        .or_else(|| is(|reason| matches!(reason, StopReason::Abandoned)))
}

/// What the reason of a stop that is no return means.
fn outcome(reason: StopReason, place: impl Fn(u64) -> Place) -> Outcome {
    match reason {
        StopReason::Trapped(trap) => Outcome::Trapped {
            cause: trap.cause,
            access: trap.access,
            address: trap.address.map(place),
            signal: trap.signal,
        },
        StopReason::SystemCall(call) => Outcome::Forbidden(call),
        StopReason::Exhausted(resource) => Outcome::Exhausted(resource),
        StopReason::Killed(signal) => Outcome::Killed(signal),
        StopReason::Abandoned | StopReason::Landed => Outcome::Exhausted(Resource::Wall),
    }
}
