//! The report of a run: results, counts, findings and what the process exits with.

use std::collections::BTreeMap;
use std::time::Duration;

use harness_protocol::{Describe, Level, Vector, exit};
use serde::{Deserialize, Serialize};

use crate::deviations::Coverage;
use crate::expectation::followed_readings;
use crate::{
    CaseResult, Choices, Implementation, Observations, Observed, Outcome, RunOptions, skip,
};

/// What a run brought to light.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// What the user wrote for `--impl`.
    pub target: String,
    /// `pipe`, `oneshot` or `dylib`.
    pub connection: String,
    /// What the implementation says about itself.
    pub describe: Describe,
    /// The readings that held.
    #[serde(default)]
    pub choices: Choices,
    /// One result per vector, in the order of the vectors. An interrupted run lacks some.
    pub cases: Vec<CaseResult>,
    /// Vectors that were selected.
    pub selected: usize,
    /// How many vectors had each outcome; outcomes that did not occur are absent.
    pub counts: BTreeMap<Outcome, usize>,
    /// How many vectors were judged by a look into memory.
    #[serde(default)]
    pub observations: Observations,
    /// What is to be said about the run as a whole.
    pub findings: Vec<Finding>,
    /// Whether the run was stopped before its end.
    pub interrupted: bool,
    /// Whether failures of recommended vectors fail the run.
    pub enforce_should: bool,
    /// How long the run took, in µs.
    pub duration_us: u64,
}

/// Something about the run as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about.
    pub kind: FindingKind,
    /// One line.
    pub text: String,
    /// Whether it fails the run.
    pub fails: bool,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FindingKind {
    /// The loader skipped too much, or without a reason.
    Skips,
    /// The deviations file is stale or wrong. Exit code 5 when nothing worse was found.
    Deviations,
    /// Failures that do not repeat alone in a fresh process.
    Flaky,
    /// Failures that follow another reading of a choice.
    Reading,
    /// Vectors for which memory could not be looked into.
    NotObserved,
    /// How processes ended after bye.
    Farewell,
}

impl RunReport {
    /// How many vectors had `outcome`.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.counts.get(&outcome).copied().unwrap_or(0)
    }

    /// Whether `result` fails the run: a failure that no deviation touches, of a vector that the document
    /// demands; of a recommended one only faults do, unless recommendations are enforced.
    #[must_use]
    pub fn fails(&self, result: &CaseResult) -> bool {
        result.outcome.is_failure()
            && result.deviation.is_none()
            && (result.level == Level::Must || self.enforce_should || result.outcome.is_fault())
    }

    /// The exit code: 1 when something failed that no deviation touches; else 5 when the deviations are
    /// stale or wrong; else 4 when nothing ran or the run was interrupted; else 0. A loader that skips
    /// everything itself did not conform (1); if nothing applied to it, nothing ran (4).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let about_deviations = |finding: &&Finding| finding.kind == FindingKind::Deviations;
        let mut failing = self.findings.iter().filter(|finding| finding.fails);
        if self.cases.iter().any(|result| self.fails(result))
            || failing.clone().any(|finding| !about_deviations(&finding))
        {
            return exit::NONCONFORMANT;
        }
        if failing.any(|finding| about_deviations(&finding)) {
            return exit::DEVIATIONS_STALE;
        }
        let ran = self.cases.iter().any(|result| result.outcome != Outcome::Skip);
        if ran && !self.interrupted { exit::OK } else { exit::NOTHING_RAN }
    }
}

/// What the run was about.
pub(crate) struct Context<'a> {
    pub(crate) implementation: &'a Implementation,
    pub(crate) options: &'a RunOptions,
    pub(crate) vectors: &'a [Vector],
    pub(crate) choices: Choices,
    pub(crate) coverage: &'a Coverage,
}

/// Puts the report together.
pub(crate) fn report(
    context: &Context<'_>,
    cases: Vec<CaseResult>,
    mut findings: Vec<Finding>,
    interrupted: bool,
    duration: Duration,
) -> RunReport {
    let mut counts = BTreeMap::new();
    for result in &cases {
        *counts.entry(result.outcome).or_insert(0) += 1;
    }
    findings.extend(skip::excess(&cases).into_iter().map(|text| fail(FindingKind::Skips, text)));
    findings.extend(flaky(&cases));
    findings.extend(readings(context.vectors, &cases));
    findings.extend(not_observed(&cases));
    let partial = context.options.partial || interrupted;
    let name = &context.implementation.describe.name;
    let stale = context.coverage.problems(name, context.options.today, partial, &cases);
    findings.extend(stale.into_iter().map(|text| fail(FindingKind::Deviations, text)));
    RunReport {
        target: context.implementation.text.clone(),
        connection: context.implementation.connection.kind().into(),
        describe: context.implementation.describe.clone(),
        choices: context.choices.clone(),
        selected: context.vectors.len(),
        observations: Observations::of(&cases),
        cases,
        counts,
        findings,
        interrupted,
        enforce_should: context.options.enforce_should,
        duration_us: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
    }
}

fn fail(kind: FindingKind, text: String) -> Finding {
    Finding { kind, text, fails: true }
}

fn note(kind: FindingKind, text: String) -> Finding {
    Finding { kind, text, fails: false }
}

fn flaky(cases: &[CaseResult]) -> Option<Finding> {
    let differs = |result: &&CaseResult| {
        let outcome = result.failed_as.unwrap_or(result.outcome);
        result.isolated.is_some_and(|isolated| isolated != outcome)
    };
    let mut differing = cases.iter().filter(differs);
    let first = differing.next()?;
    let text = format!(
        "{} failures are different when run alone in a fresh process, the first is {}",
        1 + differing.count(),
        first.id
    );
    Some(note(FindingKind::Flaky, text))
}

fn readings(vectors: &[Vector], cases: &[CaseResult]) -> Vec<Finding> {
    let found = followed_readings(vectors, cases).into_iter().map(|followed| {
        let (choice, reading) = (followed.choice, followed.reading);
        let text = format!(
            "{} failures follow reading `{reading}` of choice {choice}; declare it with --choice \
             {choice}={reading} if intended",
            followed.failures
        );
        note(FindingKind::Reading, text)
    });
    found.collect()
}

fn not_observed(cases: &[CaseResult]) -> Option<Finding> {
    let mut unseen = cases.iter().filter_map(|result| match &result.observed {
        Some(Observed::NotSeen(reason)) => Some(reason),
        Some(Observed::Seen | Observed::Reported) | None => None,
    });
    let first = unseen.next()?;
    let count = 1 + unseen.count();
    let text = format!("{count} loads were judged without a look into memory: {first}");
    Some(note(FindingKind::NotObserved, text))
}
