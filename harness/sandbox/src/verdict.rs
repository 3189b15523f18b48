//! What a report means: results by type, traps by place, broken promises.

use std::time::Duration;

use harness_protocol::trap::{Access, Cause};
use harness_protocol::{HexBytes, Returned, Stage};

use crate::machine::{Report, Resource, SystemCall};
use crate::{Plan, Program, Registers};

/// What came of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// How it ended; of several calls, how the first ended that did not return, else the first.
    pub outcome: Outcome,
    /// Promises that the code broke although it returned.
    pub breaches: Vec<Breach>,
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

/// An address, said by what it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address.
    pub address: u64,
    /// The region that holds it, or the nearest one, and the distance from its start (negative: before it).
    pub region: Option<(String, i64)>,
    /// Whether the address lies in that region (else beside it).
    pub inside: bool,
    /// The symbol at or before it in the same region, and the distance.
    pub symbol: Option<(String, u64)>,
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
    let _ = (program, plan, machine);
    let stop = report.stops.into_iter().next();
    Verdict {
        outcome: Outcome::Exhausted(Resource::Wall),
        breaches: Vec::new(),
        pc: None,
        registers: stop.map_or_else(|| Registers::X86_64(Box::default()), |stop| stop.registers),
        chain: Vec::new(),
        memory: Vec::new(),
        cpu: report.cpu,
        instructions: report.instructions,
        trace: report.trace,
        machine,
    }
}
