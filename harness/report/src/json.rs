//! `report.json`: a whole run as one object.
//!
//! | key | type | meaning |
//! | --- | --- | --- |
//! | `schema` | number | [`SCHEMA`] |
//! | `suite` | string | digest of the vectors |
//! | `harness` | string | version of the harness |
//! | `exit_code` | number | 0 conforms, 1 does not, 4 nothing ran or interrupted, 5 deviations stale |
//! | `target` | string | what the user wrote for `--impl` |
//! | `connection` | string | `pipe`, `oneshot` or `dylib` |
//! | `describe` | object | what the implementation says about itself (its hello answer) |
//! | `choices` | object | readings that held: choice id → reading |
//! | `selected` | number | vectors selected; more than `cases` when interrupted |
//! | `counts` | object | outcome → number of vectors; absent outcomes did not occur |
//! | `observations` | object | `looked_at`, `as_reported`, `not_seen`: vectors that ask for a look into memory |
//! | `findings` | array | `{kind, text, fails}` about the run as a whole |
//! | `interrupted` | boolean | stopped before its end |
//! | `enforce_should` | boolean | failures of recommended vectors fail the run |
//! | `duration_us` | number | how long the run took, in µs |
//! | `cases` | array | one object per vector, in vector order |
//!
//! A case has `id`, `index`, `rule`, `level` (`must`, `should`), `outcome`, `expected` (stages of which any
//! is right), `duration_us`; where there is something to say also `failed_as`, `cause`, `why`, `got` (the
//! reply, cut), `notes`, `isolated` (the outcome alone in a fresh process), `observed` (`"seen"`,
//! `"reported"` or `{"not-seen": reason}`), `crash` (`signal` or `exit_code`, `stderr`), `skip` (`{"derived": reason}` or
//! `{"claimed": reason}`) and `deviation` (the reason given for a known failure).

use harness_runner::RunReport;
use serde::{Deserialize, Serialize};

use crate::limits::SCHEMA;
use crate::{Header, ReportError};

/// The content of `report.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Digest of the vectors.
    pub suite: String,
    /// Version of the harness.
    pub harness: String,
    /// What the program exits with.
    pub exit_code: u8,
    /// The run.
    #[serde(flatten)]
    pub run: RunReport,
}

impl Document {
    /// The document of `run`, which `header` began.
    #[must_use]
    pub fn new(header: &Header, run: &RunReport) -> Self {
        Self {
            schema: SCHEMA,
            suite: header.suite.clone(),
            harness: header.harness.clone(),
            exit_code: run.exit_code(),
            run: run.clone(),
        }
    }

    /// The document's text, one key a line.
    ///
    /// # Errors
    /// When it cannot be written as JSON: a bug.
    pub fn to_json(&self) -> Result<String, ReportError> {
        let text = serde_json::to_string_pretty(self);
        text.map(|text| text + "\n").map_err(|error| ReportError::Format(error.to_string()))
    }
}
