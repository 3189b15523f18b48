//! Workers: each drives processes of its own until no vector is left.

pub(crate) mod oneshot;
pub(crate) mod pipe;

use crate::{CaseResult, Outcome};

/// Records what became of a failing vector when it was run again alone.
pub(crate) fn add_isolated(result: &mut CaseResult, isolated: Outcome, how: &str) {
    result.isolated = Some(isolated);
    if isolated != result.outcome {
        result.notes.push(format!("{how}: alone in a fresh process the outcome is {isolated}"));
    }
}
