//! The result of one vector, as it stands in reports.

use harness_protocol::{Level, Reply, Stage, Vector};
use serde::{Deserialize, Serialize};

use crate::Outcome;

/// What became of one vector and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// The vector's id.
    pub id: String,
    /// Its place in the slice that was run.
    pub index: usize,
    /// The rule it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Whether the document demands or recommends it.
    #[serde(default)]
    pub level: Level,
    /// What became of it.
    pub outcome: Outcome,
    /// How it failed, where a deviation turned the failure into `expected-fail`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_as: Option<Outcome>,
    /// Stages of which any is right, under the readings that hold.
    pub expected: Vec<Stage>,
    /// One line that says why the outcome is not `pass`; empty for a pass.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cause: String,
    /// What goes wrong in a loader that gets this wrong; only beside failures.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The answer, cut: no model, images or buffers beside a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub got: Option<Reply>,
    /// Remarks that change nothing about the outcome.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The outcome when run again alone in a fresh process; present beside every failure unless the run
    /// was interrupted or told not to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolated: Option<Outcome>,
    /// Whether the harness looked into memory itself; absent where the vector does not ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
    /// From the moment that the case was the oldest unanswered one to its answer, in µs.
    pub duration_us: u64,
    /// How the process died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crash: Option<Crash>,
    /// Who decided to skip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<Skip>,
    /// The reason given by the deviation that covers this vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<String>,
}

impl CaseResult {
    /// A result that so far only says what was asked.
    #[must_use]
    pub fn blank(vector: &Vector, index: usize, expected: &[Stage]) -> Self {
        Self {
            id: vector.id.clone(),
            index,
            rule: vector.rule.clone(),
            level: vector.level,
            outcome: Outcome::Pass,
            failed_as: None,
            expected: expected.to_vec(),
            cause: String::new(),
            why: String::new(),
            got: None,
            notes: Vec::new(),
            isolated: None,
            observed: None,
            duration_us: 0,
            crash: None,
            skip: None,
            deviation: None,
        }
    }
}

/// Whether the harness saw the memory of the process that held the images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observed {
    /// It did.
    Seen,
    /// It could not; the bytes that the loader reports were compared instead.
    Reported,
    /// It could not, for this reason. The answer was judged without it.
    NotSeen(String),
}

/// How many vectors were judged by what the harness saw in memory, and how many without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observations {
    /// Looked at by the harness itself.
    pub looked_at: usize,
    /// Compared as the loader reports it.
    pub as_reported: usize,
    /// Not compared at all.
    pub not_seen: usize,
}

impl Observations {
    /// The counts of `results`; those whose vectors ask for no look are in none of them.
    #[must_use]
    pub fn of<'a>(results: impl IntoIterator<Item = &'a CaseResult>) -> Self {
        let mut counts = Self::default();
        for observed in results.into_iter().filter_map(|result| result.observed.as_ref()) {
            *match observed {
                Observed::Seen => &mut counts.looked_at,
                Observed::Reported => &mut counts.as_reported,
                Observed::NotSeen(_) => &mut counts.not_seen,
            } += 1;
        }
        counts
    }

    /// Whether no vector asked for a look.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl std::fmt::Display for Observations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { looked_at, as_reported, not_seen } = self;
        write!(f, "{looked_at} looked at, {as_reported} as reported, {not_seen} not seen")
    }
}

/// Who decided that a vector was not tried, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skip {
    /// The harness: the vector does not apply to what the loader declared.
    Derived(String),
    /// The loader. Too many of these fail the run, and so does an empty reason.
    Claimed(String),
}

/// How a process died.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// Name of the signal that killed it (`SIGSEGV`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Its exit code, when it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The end of what it wrote to stderr.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
}

impl std::fmt::Display for Crash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.signal, self.exit_code) {
            (Some(signal), _) => write!(f, "killed by {signal}")?,
            (None, Some(code @ 129..=159)) => {
                write!(f, "exited with code {code} (a shell's word for signal {})", code - 128)?;
            }
            (None, Some(code)) => write!(f, "exited with code {code}")?,
            (None, None) => f.write_str("died")?,
        }
        let last = self.stderr.lines().rev().find(|line| !line.trim().is_empty());
        last.map_or(Ok(()), |line| write!(f, "; stderr ends: {}", crate::text::cut(line.trim())))
    }
}
