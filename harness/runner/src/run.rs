//! Running vectors against an implementation.

use std::thread;
use std::time::Instant;

use harness_protocol::Vector;

use crate::deviations::Coverage;
use crate::options::{Event, RunOptions};
use crate::settle::Plan;
use crate::worker;
use crate::{CaseResult, Choices, Connection, Implementation, RunReport, StartError, summary};

/// Why a run could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// There is no vector to run.
    #[error("no vector is selected")]
    NothingSelected,
    /// The implementation started once, but does not any more.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The operating system refused something that a run needs.
    #[error("a loader process cannot be driven: {0}")]
    System(#[from] std::io::Error),
    /// A worker panicked: a bug in the harness.
    #[error("a worker of the harness panicked")]
    Worker,
}

impl RunError {
    /// The exit code of a program that ends because of this.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        use harness_protocol::exit;
        match self {
            Self::NothingSelected => exit::NOTHING_RAN,
            Self::Start(_) => exit::IMPLEMENTATION,
            Self::System(_) | Self::Worker => exit::HARNESS_BUG,
        }
    }
}

/// Asks `implementation` every vector. `sink` is called with every result as soon as it is final, from the
/// worker's thread; the report has them in the order of `vectors`.
///
/// # Errors
/// When `vectors` is empty or the implementation cannot be started any more. Whatever a loader does with a
/// vector is a result, not an error.
pub fn run(
    implementation: &Implementation,
    vectors: &[Vector],
    options: &RunOptions,
    sink: &(dyn Fn(Event<'_>) + Sync),
) -> Result<RunReport, RunError> {
    if vectors.is_empty() {
        return Err(RunError::NothingSelected);
    }
    let started = Instant::now();
    let choices = effective_choices(implementation, options);
    let coverage = Coverage::new(options.deviations.as_ref(), vectors);
    let plan = Plan::new(implementation, options, vectors, &choices, &coverage, sink);
    let jobs = options.jobs.clamp(1, plan.runnable().max(1));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(|| work(&plan))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or(Err(RunError::Worker)))
    })?;
    let interrupted = plan.is_stopped();
    let (cases, findings) = plan.finish();
    Ok(summary::report(
        &summary::Context { implementation, options, vectors, choices, coverage: &coverage },
        cases,
        findings,
        interrupted,
        started.elapsed(),
    ))
}

/// Asks `implementation` one vector, for a replay. Deviations do not apply.
///
/// # Errors
/// See [`run`].
pub fn run_one(
    implementation: &Implementation,
    vector: &Vector,
    options: &RunOptions,
) -> Result<CaseResult, RunError> {
    let options = RunOptions { deviations: None, ..options.clone() };
    let report = run(implementation, std::slice::from_ref(vector), &options, &|_| {})?;
    report.cases.into_iter().next().ok_or(RunError::NothingSelected)
}

/// The user's readings over the deviations file's over the loader's own.
fn effective_choices(implementation: &Implementation, options: &RunOptions) -> Choices {
    let mut choices = implementation.describe.choices.clone();
    choices.extend(options.deviations.iter().flat_map(|file| file.choices.clone()));
    choices.extend(options.choices.clone());
    choices
}

/// One worker. An error makes the others stop too.
fn work(plan: &Plan<'_>) -> Result<(), RunError> {
    let done = match &plan.implementation.connection {
        Connection::OneShot { command } => worker::oneshot::work(plan, command).map_err(Into::into),
        Connection::Pipe { command } | Connection::Dylib { command, .. } => {
            worker::pipe::work(plan, command)
        }
    };
    if done.is_err() {
        plan.abandon();
    }
    done
}
