//! What a machine is given and what it reports: bare facts, the same for silicon and for emulation.
//!
//! Both travel between processes, so everything here is plain data. Nothing here knows formats or types.

use std::time::Duration;

pub use harness_protocol::executed::SystemCallAbi;
use harness_protocol::trap::{Access, Cause};
use serde::{Deserialize, Serialize};

use crate::{Architecture, Permissions, Registers};

/// Something that runs setups.
pub trait Machine {
    /// Runs one setup in a process (or emulator state) that nothing ran in before.
    ///
    /// # Errors
    /// When the machine cannot run it: never because of what the code did.
    fn run(&mut self, setup: &Setup) -> Result<Report, MachineError>;

    /// Runs many setups as fast as the machine can, which may be in one process; the reports are in the order
    /// of the setups. Whatever did not simply return is run again as [`Self::run`] does.
    ///
    /// # Errors
    /// As [`Self::run`].
    fn run_batch(&mut self, setups: &[Setup]) -> Result<Vec<Report>, MachineError> {
        setups.iter().map(|setup| self.run(setup)).collect()
    }

    /// What this machine is, in a word for people and reports: `native`, `emulated`.
    fn name(&self) -> &'static str;

    /// Whether it runs instructions of this architecture.
    fn runs(&self, architecture: Architecture) -> bool;
}

/// Why a setup could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// The machine cannot be started here.
    #[error("the {machine} machine cannot be started: {why}")]
    Start {
        /// Its name.
        machine: &'static str,
        /// What is missing or was refused.
        why: String,
    },
    /// The setup asks for something that the machine does not have or cannot give.
    #[error("the {machine} machine cannot run this: {why}")]
    Setup {
        /// Its name.
        machine: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The machine's process ended or answered nonsense. The next setup starts a new one.
    #[error("the {machine} machine failed: {why}")]
    Lost {
        /// Its name.
        machine: &'static str,
        /// What it did.
        why: String,
    },
}

/// Everything that one run needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// Whose instructions to run.
    pub architecture: Architecture,
    /// All memory that there is, by ascending address. No two share a page; stacks and buffers keep a distance
    /// from everything else, but segments of one image may touch.
    pub regions: Vec<Region>,
    /// The calls to make, at least one.
    pub calls: Vec<Call>,
    /// Whether the calls are made at once, each by a thread of its own, or one after the other.
    pub concurrent: bool,
    /// Address outside all regions; a call is over when control arrives there.
    pub landing: u64,
    /// When to stop a run.
    pub budget: Budget,
    /// What to note along the way; machines that cannot leave it empty.
    pub tracing: Tracing,
    /// Whether accesses beyond a region's `size` but on its last page are faults, where the machine can tell.
    pub byte_bounds: bool,
}

/// When to stop a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Longest time on the processor.
    pub cpu: Duration,
    /// Longest time by the clock.
    pub wall: Duration,
    /// Most instructions, where the machine counts them.
    pub instructions: Option<u64>,
}

/// What to note along the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tracing {
    /// Nothing.
    #[default]
    None,
    /// The address of each basic block when it first runs.
    Blocks,
    /// The address of each instruction, up to [`crate::limits::MAX_TRACE`].
    Instructions,
}

/// Memory of one permission; whatever lies outside all regions does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// For people: `code`, `stack`, `buffer 0`.
    pub name: String,
    /// Where it starts, a multiple of the page size.
    pub address: u64,
    /// Bytes in memory; the machine rounds up to pages, and what it adds is zero.
    pub size: u64,
    /// What may be done with it.
    pub permissions: Permissions,
    /// What it holds where `bytes` says nothing.
    pub fill: Fill,
    /// Offset of `bytes` in the region.
    pub offset: u64,
    /// What it holds there.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// Whether [`Report::memory`] gives its content after the run. Set for writable memory only.
    pub kept: bool,
}

/// What memory holds before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// Zero.
    Zero,
    /// [`crate::limits::POISON`] in every eight bytes.
    Poison,
}

/// A call, as the processor sees it: all registers, `pc` at the function and `sp` at a stack that holds the
/// arguments; the return address (on the stack, or in the link register) is [`Setup::landing`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// What every register holds at the first instruction.
    pub registers: Registers,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How each call ended, in the order of [`Setup::calls`]. Calls after one that did not land are missing
    /// when calls are made one after the other; of calls at once, those that were stopped along with another
    /// are [`StopReason::Abandoned`].
    pub stops: Vec<Stop>,
    /// The kept regions at the end, in the order of [`Setup::regions`].
    #[serde(with = "crate::bytes")]
    pub memory: Vec<Vec<u8>>,
    /// Processor time used.
    pub cpu: Duration,
    /// Instructions run, where the machine counts them.
    pub instructions: Option<u64>,
    /// Addresses as [`Setup::tracing`] asked for.
    pub trace: Vec<u64>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// Why it ended.
    pub reason: StopReason,
    /// All registers at that moment; of an instruction that trapped, as before it.
    pub registers: Registers,
    /// Bytes at the stack pointer, as many as can be read up to [`crate::limits::STACK_WINDOW`].
    #[serde(with = "serde_bytes")]
    pub stack: Vec<u8>,
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopReason {
    /// Control arrived at the landing address.
    Landed,
    /// An instruction trapped.
    Trapped(Trap),
    /// The code asked the operating system for something. Nothing was done.
    SystemCall(SystemCall),
    /// A budget was used up.
    Exhausted(Resource),
    /// The operating system ended the process with this signal, without a word (out of memory, say).
    Killed(i32),
    /// Another of several calls at once was not to go on.
    Abandoned,
}

/// A trap, as the processor or the emulator reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trap {
    /// What kind of trap.
    pub cause: Cause,
    /// What was being done with memory, where memory is the cause.
    pub access: Option<Access>,
    /// The address that was accessed, where it is known.
    pub address: Option<u64>,
    /// The signal and its `si_code`, where there is one.
    pub signal: Option<(i32, i32)>,
}

/// What the code asked the operating system for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemCall {
    /// By which door it came.
    pub abi: SystemCallAbi,
    /// Number of the call.
    pub number: u64,
    /// Its arguments, as the registers of that door hold them.
    pub arguments: [u64; 6],
}

/// What can be used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Time on the processor.
    Cpu,
    /// Time by the clock.
    Wall,
    /// Instructions.
    Instructions,
}
