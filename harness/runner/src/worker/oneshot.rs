//! The worker of a one-shot connection: a process per case.

use std::ffi::OsString;
use std::io;

use crate::connection::oneshot::OneShot;
use crate::settle::Plan;
use crate::worker::add_isolated;

/// Works until no vector is left or the run is stopped.
pub(crate) fn work(plan: &Plan<'_>, command: &[OsString]) -> io::Result<()> {
    let is_stopped = || plan.is_stopped();
    let loader = OneShot {
        command,
        deadline: plan.options.deadline,
        address_space: plan.address_space(),
        is_stopped: &is_stopped,
    };
    while !plan.is_stopped() {
        let Some(index) = plan.next_pipelined().or_else(|| plan.next_observed()) else { break };
        one(plan, &loader, index)?;
    }
    Ok(())
}

fn one(plan: &Plan<'_>, loader: &OneShot<'_>, index: usize) -> io::Result<()> {
    let question = plan.question(index);
    let asked = plan.asked(index);
    let Some(attempt) = loader.run(&question, asked.as_ref())? else { return Ok(()) };
    let mut result = plan.judged(index, attempt);
    if result.outcome.is_failure()
        && plan.options.isolate
        && let Some(again) = loader.run(&question, asked.as_ref())?
    {
        let outcome = plan.judged(index, again).outcome;
        add_isolated(&mut result, outcome, "not every time");
    }
    plan.settle(result);
    Ok(())
}
