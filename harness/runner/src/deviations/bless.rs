//! Writing a deviations file from what actually failed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Outcomes, Subject};
use crate::limits::MAX_DEVIATION_MATCHES;
use crate::{CaseResult, Deviation, Deviations, Outcome, RunReport};

/// The reason of entries that nobody has explained yet.
const UNEXPLAINED: &str = "blessed, not yet explained";

/// What a vector did: nothing wrong, or failed so. Vectors that were skipped are not here.
type Failures<'a> = BTreeMap<&'a str, Option<Outcome>>;

impl Deviations {
    /// The file that makes `report` come out as expected. Entries of `previous` that are still true stay
    /// as they are; the other failures are grouped under the longest id prefixes below which every vector
    /// fails the same way.
    #[must_use]
    pub fn blessed(previous: Option<&Self>, report: &RunReport) -> Self {
        let mut failures: Failures<'_> = report
            .cases
            .iter()
            .filter(|result| result.outcome != Outcome::Skip)
            .map(|result| (result.id.as_str(), failure(result)))
            .collect();
        let old = previous.map_or(&[][..], |file| &file.deviations);
        let subjects: BTreeMap<&str, Subject<'_>> = report
            .cases
            .iter()
            .map(|result| (result.id.as_str(), Subject::of_result(result)))
            .collect();
        let kept = keep_true(old, &subjects, &mut failures);
        let mut deviations = kept;
        for (pattern, outcome, count) in grouped(&failures) {
            let broad = count > MAX_DEVIATION_MATCHES;
            let known = old
                .iter()
                .find(|e| e.pattern == pattern && e.outcome == Outcomes::One(outcome))
                .cloned();
            deviations.push(known.map_or_else(
                || Deviation {
                    pattern,
                    outcome: Outcomes::One(outcome),
                    reason: UNEXPLAINED.into(),
                    issue: None,
                    expires: None,
                    fault: None,
                    broad,
                },
                |entry| Deviation { broad: broad || entry.broad, ..entry },
            ));
        }
        Self {
            implementation: Some(report.describe.name.clone()),
            choices: previous.map(|file| file.choices.clone()).unwrap_or_default(),
            deviations,
        }
    }
}

fn failure(result: &CaseResult) -> Option<Outcome> {
    let outcome = result.failed_as.unwrap_or(result.outcome);
    outcome.is_failure().then_some(outcome)
}

/// The entries that are true of every vector they match. Their vectors count as not failing from here on:
/// no new group may reach over them, or they would be matched twice.
fn keep_true(
    entries: &[Deviation],
    subjects: &BTreeMap<&str, Subject<'_>>,
    failures: &mut Failures<'_>,
) -> Vec<Deviation> {
    let mut kept = Vec::new();
    for entry in entries {
        let Ok(matcher) = entry.matcher() else { continue };
        let is_match =
            |id: &&str| subjects.get(id).is_some_and(|subject| matcher.is_match(*subject));
        let matching: Vec<_> = failures.keys().copied().filter(is_match).collect();
        let is_true = |id: &&str| {
            failures
                .get(*id)
                .copied()
                .flatten()
                .is_some_and(|outcome| entry.outcome.contains(outcome))
        };
        let size = matching.len() <= MAX_DEVIATION_MATCHES || entry.broad;
        if size && !matching.is_empty() && matching.iter().all(is_true) {
            failures.extend(matching.into_iter().map(|id| (id, None)));
            kept.push(entry.clone());
        }
    }
    kept
}

/// Patterns that cover exactly the failures, with their outcome and how many vectors they match.
fn grouped(failures: &Failures<'_>) -> Vec<(String, Outcome, usize)> {
    let mut groups = Vec::new();
    let ids: Vec<_> = failures.keys().copied().collect();
    let formats: BTreeSet<_> = ids.iter().map(|id| head(id, 0)).collect();
    for format in formats {
        let below: Vec<_> = ids.iter().copied().filter(|id| head(id, 0) == format).collect();
        split(&below, 1, failures, &mut groups);
    }
    groups
}

/// Splits `ids`, which agree in their first `depth` segments, into groups.
fn split(
    ids: &[&str],
    depth: usize,
    failures: &Failures<'_>,
    groups: &mut Vec<(String, Outcome, usize)>,
) {
    let prefixes: BTreeSet<_> = ids.iter().map(|id| head(id, depth)).collect();
    for prefix in prefixes {
        let below: Vec<_> = ids.iter().copied().filter(|id| head(id, depth) == prefix).collect();
        let outcomes: BTreeSet<_> =
            below.iter().map(|id| failures.get(id).copied().flatten()).collect();
        match (outcomes.iter().next(), outcomes.len(), &below[..]) {
            (Some(None), 1, _) => {}
            (Some(Some(outcome)), 1, [only]) => {
                groups.push((globset::escape(only), *outcome, 1));
            }
            (Some(Some(outcome)), 1, _) if below.iter().all(|id| id.len() > prefix.len()) => {
                groups.push((format!("{}/*", globset::escape(prefix)), *outcome, below.len()));
            }
            _ => {
                let (exact, deeper): (Vec<_>, Vec<_>) =
                    below.into_iter().partition(|id| *id == prefix);
                for id in exact {
                    if let Some(outcome) = failures.get(id).copied().flatten() {
                        groups.push((globset::escape(id), outcome, 1));
                    }
                }
                split(&deeper, depth + 1, failures, groups);
            }
        }
    }
}

/// The first `depth + 1` segments of `id`.
fn head(id: &str, depth: usize) -> &str {
    let end = id.match_indices('/').nth(depth).map_or(id.len(), |(at, _)| at);
    id.get(..end).unwrap_or(id)
}
