//! One call into a program, and the setup that a machine needs for it.

mod layout;
#[cfg(test)]
mod tests;

use std::time::Duration;

use harness_protocol::{Argument, TypeName};

pub use crate::convention::Convention;
use crate::convention::{Arrival, Word, returned_sp, stack_bytes};
use crate::limits::{CALLER_AREA, LANDING, LANDING_32, MAX_ARGUMENTS, MAX_BUFFER, MAX_THREADS};
pub use crate::machine::Budget;
use crate::machine::{Call, Setup, Tracing};
use crate::{Architecture, Program};
use layout::Work;

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
    /// For each call, the stack that it runs on.
    pub stacks: Vec<Stack>,
}

/// The stack of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Where the stack pointer must stand when the call has returned.
    pub returned: u64,
    /// The first byte that belongs to the caller, above the arguments.
    pub caller: u64,
    /// The end of the stack.
    pub end: u64,
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
    /// Two parts of memory would overlap, or lie so close that running off one would not be noticed.
    #[error("{first} and {second} would overlap at {address:#x}")]
    Overlap {
        /// One part.
        first: String,
        /// The other.
        second: String,
        /// Where.
        address: u64,
    },
    /// A segment cannot lie where it should.
    #[error("{segment} at {address:#x}: {why}")]
    Segment {
        /// Its name.
        segment: String,
        /// Where it should lie.
        address: u64,
        /// What is wrong.
        why: &'static str,
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
    /// No call at all.
    #[error("a job needs at least one call")]
    NoCalls,
}

/// Lays out memory and registers for `job`: the program's segments, for each call a poisoned stack and the
/// buffers that its arguments point to, and every register poisoned that carries no argument.
///
/// Stacks and buffers have fixed addresses, from [`crate::limits::WORK_LOW`] (`WORK_LOW_32`) on.
///
/// # Errors
/// When job and program do not fit each other.
pub fn plan(program: &Program, job: Job) -> Result<Plan, PlanError> {
    let (count, concurrent) = check(program, &job)?;
    let architecture = program.architecture;
    let landing = landing(architecture);
    let mut work = Work::new(architecture);
    let (mut calls, mut stacks, mut buffers) = (Vec::new(), Vec::new(), Vec::new());
    let mut of_call = Vec::new();
    for index in 0..count {
        let of_many = (count > 1).then_some(index);
        let end = work.stack(of_many)?;
        if concurrent || index == 0 {
            of_call = work.buffers(&job.args, of_many.filter(|_| concurrent))?;
        }
        let words = words(&job.args, &of_call, architecture);
        let size = stack_bytes(job.convention, &words);
        let sp = job.convention.entry_sp(end - CALLER_AREA, size);
        let arrival = Arrival::new(job.convention, &words, job.entry, sp, landing);
        work.put(sp, arrival.stack);
        calls.push(Call { registers: arrival.registers });
        stacks.push(Stack {
            returned: returned_sp(job.convention, sp, size),
            caller: sp + size,
            end,
        });
        buffers.push(of_call.clone());
    }
    let regions = layout::regions(program, work)?;
    let (budget, tracing, byte_bounds) = (job.budget, Tracing::None, false);
    let setup =
        Setup { architecture, regions, calls, concurrent, landing, budget, tracing, byte_bounds };
    Ok(Plan { setup, job, buffers, stacks })
}

impl Plan {
    /// The same plan for machines that see bounds within pages: buffers end where their bytes end, not with
    /// the page.
    #[must_use]
    pub fn with_byte_bounds(mut self) -> Self {
        self.setup.byte_bounds = true;
        for &(address, bytes) in self.buffers.iter().flatten() {
            for region in &mut self.setup.regions {
                if region.address <= address && address <= region.address + region.size {
                    region.size = address - region.address + bytes as u64;
                }
            }
        }
        self
    }
}

/// How many calls a job is, and whether at once.
fn check(program: &Program, job: &Job) -> Result<(usize, bool), PlanError> {
    let (convention, architecture) = (job.convention, program.architecture);
    if convention.architecture() != architecture {
        return Err(PlanError::Convention { convention, architecture });
    }
    let (count, concurrent) = match job.calls {
        Calls::Once => (1, false),
        Calls::Pure => (2, false),
        Calls::AtOnce(threads) => (threads, true),
    };
    if count == 0 {
        return Err(PlanError::NoCalls);
    }
    at_most("calls at once", count, MAX_THREADS)?;
    at_most("arguments", job.args.len(), MAX_ARGUMENTS)?;
    for buffer in job.args.iter().filter_map(Argument::buffer) {
        at_most("bytes of a buffer", buffer.len(), MAX_BUFFER)?;
    }
    Ok((count, concurrent))
}

fn at_most(what: &'static str, given: usize, most: usize) -> Result<(), PlanError> {
    if given > most { Err(PlanError::TooMany { what, given, most }) } else { Ok(()) }
}

/// Where calls return to.
fn landing(architecture: Architecture) -> u64 {
    match architecture {
        Architecture::X86_64 | Architecture::Arm64 => LANDING,
        Architecture::X86_32 => LANDING_32,
    }
}

/// The arguments as bits, pointers being the addresses of `buffers`, null ones zero.
fn words(args: &[Argument], buffers: &[(u64, usize)], architecture: Architecture) -> Vec<Word> {
    let mut buffers = buffers.iter();
    let word = |arg: &Argument| {
        let buffer = arg.buffer().and_then(|_| buffers.next());
        Word::new(arg, buffer.map_or(0, |&(address, _)| address), architecture)
    };
    args.iter().map(word).collect()
}
