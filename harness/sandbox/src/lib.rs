//! Runs the code of loaded modules and says what happened, in words that the code cannot forge.
//!
//! A [`Program`] is a module as it lies in memory; a [`Job`] is one call into it. [`plan`](job::plan) turns
//! both into a [`Setup`]: every region, register and budget, at fixed addresses. A [`Machine`] runs a setup
//! and reports the bare facts ([`Report`]); the native machine is a zygote process that forks for each setup,
//! the emulated one a program of its own around an instruction set emulator. [`verdict`] reads the facts:
//! what was returned, what trapped where, which promises of the calling convention were broken.

mod bytes;
mod convention;
pub mod emulated;
pub mod expect;
pub mod job;
pub mod limits;
pub mod machine;
pub mod module;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub mod native;
pub mod program;
pub mod registers;
pub mod verdict;

pub use job::{Budget, Calls, Convention, Job, Plan, PlanError};
pub use machine::{
    Call as MachineCall, Fill, Machine, MachineError, Region, Report, Resource, Setup, Stop,
    StopReason, SystemCall, SystemCallAbi, Tracing,
};
pub use program::{Architecture, Permissions, Program, Segment, Symbol};
pub use registers::Registers;
pub use verdict::{Answer, Breach, Outcome, Place, Verdict};
