//! One call into a program, and the setup that a machine needs for it.

use std::time::Duration;

use harness_protocol::{Argument, TypeName};

pub use crate::machine::Budget;
use crate::machine::Setup;
use crate::{Architecture, Program};

/// How arguments are passed and who keeps what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Convention {
    /// System V on AMD64: the C convention of Linux there.
    SystemV,
    /// The C convention of Windows on AMD64.
    Win64,
    /// The C convention of ARM64.
    Aapcs64,
    /// The C convention of 32-bit x86.
    Cdecl,
    /// 32-bit x86, with the arguments removed by the callee.
    Stdcall,
}

impl Convention {
    /// The C convention of Linux for an architecture.
    #[must_use]
    pub fn c(architecture: Architecture) -> Self {
        match architecture {
            Architecture::X86_64 => Self::SystemV,
            Architecture::Arm64 => Self::Aapcs64,
            Architecture::X86_32 => Self::Cdecl,
        }
    }

    /// The architecture that it belongs to.
    #[must_use]
    pub fn architecture(self) -> Architecture {
        match self {
            Self::SystemV | Self::Win64 => Architecture::X86_64,
            Self::Aapcs64 => Architecture::Arm64,
            Self::Cdecl | Self::Stdcall => Architecture::X86_32,
        }
    }
}

/// How often to call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Calls {
    /// Once.
    #[default]
    Once,
    /// Twice with the same arguments; both calls must give the same, and change no memory but their stack.
    Pure,
    /// So many times at once, each from a thread with arguments (and buffers) of its own.
    AtOnce(usize),
}

impl Default for Budget {
    /// A second on the processor, ten by the clock, a hundred million instructions.
    fn default() -> Self {
        Self {
            cpu: Duration::from_secs(1),
            wall: Duration::from_secs(10),
            instructions: Some(100_000_000),
        }
    }
}

/// One call into a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Address of the function's first instruction.
    pub entry: u64,
    /// How to pass the arguments.
    pub convention: Convention,
    /// The arguments.
    pub args: Vec<Argument>,
    /// Type of the result.
    pub returns: TypeName,
    /// How often to call.
    pub calls: Calls,
    /// When to stop.
    pub budget: Budget,
}

/// A setup, and what must be known to read its report.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What the machine gets.
    pub setup: Setup,
    /// The job that it came from.
    pub job: Job,
    /// For each call, where the buffers of its non-null pointer arguments lie: (address, bytes), in order.
    pub buffers: Vec<Vec<(u64, usize)>>,
}

/// Why a job cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The convention is not one of the program's architecture.
    #[error("{convention:?} is not a calling convention of {architecture}")]
    Convention {
        /// The convention of the job.
        convention: Convention,
        /// The architecture of the program.
        architecture: Architecture,
    },
    /// Two parts of memory would overlap or touch, or one would leave the addresses that there are.
    #[error("{first} and {second} would overlap at {address:#x}")]
    Overlap {
        /// One part.
        first: String,
        /// The other.
        second: String,
        /// Where.
        address: u64,
    },
    /// A number that has a cap.
    #[error("{what}: {given} is more than {most}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        given: usize,
        /// How many there may be.
        most: usize,
    },
}

/// Lays out memory and registers for `job`: the program's segments, for each call a poisoned stack and the
/// buffers that its arguments point to, and every register poisoned that carries no argument.
///
/// # Errors
/// When job and program do not fit each other.
pub fn plan(program: &Program, job: Job) -> Result<Plan, PlanError> {
    let _ = (program, job);
    todo_plan()
}

fn todo_plan() -> Result<Plan, PlanError> {
    Err(PlanError::TooMany { what: "plans", given: 1, most: 0 })
}
