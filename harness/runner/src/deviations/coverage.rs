//! Which entry covers which vector of a run, and which entries are not true any more.

use std::collections::BTreeSet;

use harness_protocol::Vector;
use jiff::civil::Date;

use super::Subject;
use crate::limits::MAX_DEVIATION_MATCHES;
use crate::{CaseResult, Deviation, Deviations, Outcome};

/// The entries of a deviations file laid over the vectors of a run.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    implementation: Option<String>,
    entries: Vec<Deviation>,
    /// For every vector the entries that match it; more than one is an error.
    matches: Vec<Vec<usize>>,
}

impl Coverage {
    pub(crate) fn new(file: Option<&Deviations>, vectors: &[Vector]) -> Self {
        let Some(file) = file else { return Self::default() };
        let matchers: Vec<_> = file.deviations.iter().map(|entry| entry.matcher().ok()).collect();
        let matches_of = |vector: &Vector| {
            let hits = matchers.iter().enumerate().filter(|(_, matcher)| {
                matcher.as_ref().is_some_and(|matcher| matcher.is_match(Subject::of_vector(vector)))
            });
            hits.map(|(entry, _)| entry).collect()
        };
        Self {
            implementation: file.implementation.clone(),
            entries: file.deviations.clone(),
            matches: vectors.iter().map(matches_of).collect(),
        }
    }

    fn entry_of(&self, result: &CaseResult) -> Option<&Deviation> {
        self.entries.get(*self.matches.get(result.index)?.first()?)
    }

    /// The outcome that [`apply`](Self::apply) gives `result`.
    pub(crate) fn outcome(&self, result: &CaseResult) -> Outcome {
        let Some(entry) = self.entry_of(result) else { return result.outcome };
        match result.outcome {
            Outcome::Pass => Outcome::UnexpectedPass,
            outcome if entry.outcome.contains(outcome) => Outcome::ExpectedFail,
            outcome => outcome,
        }
    }

    /// Turns a failure that is known into `expected-fail`, and a pass that is not into `unexpected-pass`.
    pub(crate) fn apply(&self, result: &mut CaseResult) {
        let Some(entry) = self.entry_of(result) else { return };
        let known = self.outcome(result);
        let before = std::mem::replace(&mut result.outcome, known);
        match before {
            Outcome::Skip => return,
            Outcome::Pass => {
                result.cause = format!("passes, `{}` says {}", entry.pattern, entry.outcome);
            }
            outcome if entry.outcome.contains(outcome) => result.failed_as = Some(outcome),
            _ => {
                let note = format!("`{}` says {}", entry.pattern, entry.outcome);
                result.notes.push(note);
            }
        }
        result.deviation = Some(entry.reason.clone());
    }

    /// What is not true in the file, a line each. `partial`: the run did not try every vector.
    pub(crate) fn problems(
        &self,
        implementation: &str,
        today: Option<Date>,
        partial: bool,
        results: &[CaseResult],
    ) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(other) = self.implementation.as_ref().filter(|name| *name != implementation) {
            problems.push(format!("the deviations are those of `{other}`, not `{implementation}`"));
        }
        for (index, entry) in self.entries.iter().enumerate() {
            let count = self.matches.iter().filter(|entries| entries.contains(&index)).count();
            let mut problem = |text: String| problems.push(format!("`{}` {text}", entry.pattern));
            if let (Some(expires), Some(today)) = (entry.expires, today)
                && today >= expires
            {
                problem(format!("expired on {expires}: {}", entry.reason));
            }
            if count == 0 && !partial {
                problem("matches no vector".into());
            }
            if count > MAX_DEVIATION_MATCHES && !entry.broad {
                problem(format!(
                    "matches {count} vectors; say `broad: true` if all are meant (more than \
                     {MAX_DEVIATION_MATCHES})"
                ));
            }
            self.untrue(index, entry, results).into_iter().for_each(problem);
        }
        problems.extend(self.duplicates());
        problems
    }

    /// Where the vectors that an entry covers pass, or fail in another way.
    fn untrue(&self, index: usize, entry: &Deviation, results: &[CaseResult]) -> Vec<String> {
        let first = |result: &&CaseResult| {
            self.matches.get(result.index).and_then(|entries| entries.first()) == Some(&index)
        };
        let covered: Vec<_> = results.iter().filter(first).collect();
        let mut found = Vec::new();
        let passes = |result: &&&CaseResult| result.outcome == Outcome::UnexpectedPass;
        if let Some(example) = covered.iter().find(passes) {
            let count = covered.iter().filter(passes).count();
            found.push(format!("covers {count} vectors that pass, the first is {}", example.id));
        }
        let otherwise = |result: &&&CaseResult| result.outcome.is_failure();
        if let Some(example) = covered.iter().find(otherwise) {
            let count = covered.iter().filter(otherwise).count();
            found.push(format!(
                "says {}, {count} vectors fail in another way, the first is {}: {}",
                entry.outcome, example.id, example.outcome
            ));
        }
        found
    }

    fn duplicates(&self) -> Vec<String> {
        let mut pairs = BTreeSet::new();
        for entries in &self.matches {
            if let [first, second, ..] = entries[..] {
                pairs.insert((first, second));
            }
        }
        let name = |index: usize| self.entries.get(index).map_or("", |entry| &entry.pattern);
        pairs
            .into_iter()
            .map(|(a, b)| format!("`{}` and `{}` match the same vectors", name(a), name(b)))
            .collect()
    }
}
