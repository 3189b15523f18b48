//! Drives loaders under test and judges what they answer.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let vectors: Vec<harness_protocol::Vector> = Vec::new();
//! use harness_runner::{ProbeOptions, RunOptions, Target, run};
//!
//! let implementation = Target::parse("./my-loader", &ProbeOptions::default())?; // else exit code 3
//! let report = run(&implementation, &vectors, &RunOptions::default(), &|_event| {})?;
//! std::process::exit(report.exit_code().into());
//! # }
//! ```
//!
//! [`Target::parse`] finds out what `--impl` means, [`run`] asks every vector and returns a
//! [`RunReport`], [`run_one`] asks one, and [`Deviations`] are known failures with teeth. The expected
//! answer never leaves this process. Writing reports is left to `harness-report`.

mod attempt;
mod connection;
pub mod deviations;
mod expectation;
mod implementation;
pub mod judge;
pub mod limits;
mod observe;
mod options;
mod outcome;
mod probe;
mod result;
mod run;
#[cfg(test)]
mod sample;
mod settle;
mod skip;
mod summary;
mod sys;
mod text;
mod worker;

pub use deviations::{Deviation, Deviations, DeviationsError, Outcomes};
pub use expectation::Choices;
pub use implementation::{Connection, Implementation, StartError};
pub use options::{Event, RunOptions};
pub use outcome::Outcome;
pub use probe::{ProbeOptions, Target};
pub use result::{CaseResult, Crash, Observations, Observed, Skip};
pub use run::{RunError, run, run_one};
pub use summary::{Finding, FindingKind, RunReport};
