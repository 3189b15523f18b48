//! Failures that have one cause, as far as their rule and outcome tell.

use std::collections::BTreeMap;

use harness_runner::{CaseResult, Outcome, RunReport};

/// Results with the same rule and outcome, in vector order.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// The rule; where vectors have none, the first two segments of their ids.
    pub rule: &'a str,
    /// Their outcome.
    pub outcome: Outcome,
    /// The results, at least one.
    pub results: Vec<&'a CaseResult>,
}

/// The failing and unexpectedly passing results of `run`, the largest group first.
#[must_use]
pub fn failing(run: &RunReport) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let failed = |result: &&CaseResult| {
        result.outcome.is_failure() || result.outcome == Outcome::UnexpectedPass
    };
    for result in run.cases.iter().filter(failed) {
        groups.entry((rule(result), result.outcome)).or_default().push(result);
    }
    let mut groups: Vec<_> = groups
        .into_iter()
        .map(|((rule, outcome), results)| Group { rule, outcome, results })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.results.len()));
    groups
}

/// The rule that a result is about, or what stands for it.
#[must_use]
pub fn rule(result: &CaseResult) -> &str {
    result.rule.as_deref().unwrap_or_else(|| place(&result.id))
}

/// The first two segments of a vector's id: format and the part of the file it is about.
#[must_use]
pub fn place(id: &str) -> &str {
    let end = id.match_indices('/').nth(1).map_or(id.len(), |(at, _)| at);
    id.get(..end).unwrap_or(id)
}
