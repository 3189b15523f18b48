//! Results as they come, one JSON object a line.
//!
//! ```json
//! {"type":"header","schema":1,"target":"./loader","connection":"pipe","describe":{…},"suite":"9f3c…","harness":"0.1.0","total":312}
//! {"type":"case","id":"scp/header.magic/const/first-byte","index":0,"outcome":"pass",…}
//! {"type":"footer","cases":312,"counts":{"pass":312},"observations":{…},"findings":[],"interrupted":false,"exit_code":0,…}
//! ```
//!
//! A stream without a footer is that of a run that was cut short; a reader is told so and must not take
//! it for a complete one.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::sync::{Mutex, PoisonError};

use harness_protocol::Describe;
use harness_runner::{
    CaseResult, Choices, Finding, Implementation, Observations, Outcome, RunReport,
};
use serde::{Deserialize, Serialize};

use crate::ReportError;
use crate::limits::SCHEMA;

/// What a run is about; the first line of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What the user wrote for `--impl`.
    pub target: String,
    /// `pipe`, `oneshot` or `dylib`.
    pub connection: String,
    /// What the implementation says about itself.
    pub describe: Describe,
    /// Digest of the vectors, so that only runs of the same suite are compared.
    pub suite: String,
    /// Version of the harness.
    pub harness: String,
    /// Vectors that were selected.
    pub total: usize,
}

impl Header {
    /// The header of a run of `total` vectors, which `suite` identifies, against `implementation`.
    #[must_use]
    pub fn new(implementation: &Implementation, suite: &str, harness: &str, total: usize) -> Self {
        Self {
            schema: SCHEMA,
            target: implementation.text.clone(),
            connection: implementation.connection.kind().into(),
            describe: implementation.describe.clone(),
            suite: suite.into(),
            harness: harness.into(),
            total,
        }
    }
}

/// The last line of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Footer {
    /// How many case lines stand above.
    pub cases: usize,
    /// How many had each outcome.
    pub counts: BTreeMap<Outcome, usize>,
    /// How many were judged by a look into memory.
    #[serde(default)]
    pub observations: Observations,
    /// What is to be said about the run as a whole.
    pub findings: Vec<Finding>,
    /// The readings that held.
    #[serde(default)]
    pub choices: Choices,
    /// Whether the run was stopped before its end.
    pub interrupted: bool,
    /// Whether failures of recommended vectors fail the run.
    #[serde(default)]
    pub enforce_should: bool,
    /// How long the run took, in µs.
    pub duration_us: u64,
    /// What the program exits with.
    pub exit_code: u8,
}

impl Footer {
    fn new(run: &RunReport) -> Self {
        Self {
            cases: run.cases.len(),
            counts: run.counts.clone(),
            observations: run.observations,
            findings: run.findings.clone(),
            choices: run.choices.clone(),
            interrupted: run.interrupted,
            enforce_should: run.enforce_should,
            duration_us: run.duration_us,
            exit_code: run.exit_code(),
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum LineOut<'a> {
    Header(&'a Header),
    Case(&'a CaseResult),
    Footer(&'a Footer),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum LineIn {
    Header(Header),
    Case(Box<CaseResult>),
    Footer(Footer),
}

/// Writes a stream. Results may come from several threads.
pub struct Stream<W> {
    inner: Mutex<Inner<W>>,
}

struct Inner<W> {
    writer: W,
    /// The first error; after it nothing more is written, and [`Stream::end`] reports it.
    error: Option<io::Error>,
}

impl<W: Write> Stream<W> {
    /// Begins a stream with its header.
    ///
    /// # Errors
    /// When `writer` refuses.
    pub fn begin(mut writer: W, header: &Header) -> Result<Self, ReportError> {
        write_line(&mut writer, &LineOut::Header(header))?;
        Ok(Self { inner: Mutex::new(Inner { writer, error: None }) })
    }

    /// Writes one result. An error is kept for [`end`](Self::end): the run goes on.
    pub fn case(&self, result: &CaseResult) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.error.is_none() {
            let written = write_line(&mut inner.writer, &LineOut::Case(result));
            inner.error = written.err();
        }
    }

    /// Writes the footer and hands the writer back.
    ///
    /// # Errors
    /// When anything of the stream could not be written.
    pub fn end(self, run: &RunReport) -> Result<W, ReportError> {
        let inner = self.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut writer = match inner.error {
            Some(error) => return Err(error.into()),
            None => inner.writer,
        };
        write_line(&mut writer, &LineOut::Footer(&Footer::new(run)))?;
        writer.flush()?;
        Ok(writer)
    }
}

/// One write per line, so that a reader of a growing file sees whole lines.
fn write_line(writer: &mut impl Write, line: &LineOut<'_>) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    writer.write_all(&bytes)
}

/// A stream that was read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// What the run was about.
    pub header: Header,
    /// The results in the order of the vectors.
    pub cases: Vec<CaseResult>,
    /// The end; `None` when the run was cut short.
    pub footer: Option<Footer>,
}

impl Recorded {
    /// Reads a stream. One that was cut short inside its last line is read up to there.
    ///
    /// # Errors
    /// When a line is not what it must be at its place, or the footer counts other than there are.
    pub fn read(reader: impl BufRead) -> Result<Self, ReportError> {
        let mut header = None;
        let mut cases = Vec::new();
        let mut footer: Option<Footer> = None;
        let mut cut = false;
        for (index, line) in reader.split(b'\n').enumerate() {
            let (number, line) = (index + 1, line?);
            let fail = |message: String| ReportError::Line { line: number, message };
            if line.is_empty() && (footer.is_some() || cut) {
                continue;
            }
            if footer.is_some() || cut {
                return Err(fail("something stands behind the end".into()));
            }
            match (serde_json::from_slice(&line), &header) {
                (Ok(LineIn::Header(first)), None) if first.schema == SCHEMA => header = Some(first),
                (Ok(LineIn::Header(first)), None) => {
                    return Err(fail(format!("schema {} is not {SCHEMA}", first.schema)));
                }
                (Ok(LineIn::Case(result)), Some(_)) => cases.push(*result),
                (Ok(LineIn::Footer(last)), Some(_)) if last.cases == cases.len() => {
                    footer = Some(last);
                }
                (Ok(LineIn::Footer(last)), Some(_)) => {
                    let found = cases.len();
                    return Err(fail(format!("{} cases are announced, {found} stand", last.cases)));
                }
                (Ok(_), _) => return Err(fail("a line stands where it must not".into())),
                // Only the last line may be cut; whether it is shows when another one follows.
                (Err(error), Some(_)) if error.is_eof() => cut = true,
                (Err(error), _) => return Err(fail(error.to_string())),
            }
        }
        cases.sort_by_key(|result| result.index);
        let header = header
            .ok_or_else(|| ReportError::Line { line: 1, message: "there is no header".into() })?;
        Ok(Self { header, cases, footer })
    }

    /// Whether the run came to its end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.footer.as_ref().is_some_and(|footer| !footer.interrupted)
    }

    /// The run as it was reported; one that was cut short is marked interrupted.
    #[must_use]
    pub fn into_report(self) -> RunReport {
        let mut counts = BTreeMap::new();
        for result in &self.cases {
            *counts.entry(result.outcome).or_insert(0) += 1;
        }
        let footer = self.footer;
        let interrupted = footer.as_ref().is_none_or(|footer| footer.interrupted);
        RunReport {
            target: self.header.target,
            connection: self.header.connection,
            describe: self.header.describe,
            selected: self.header.total,
            observations: Observations::of(&self.cases),
            cases: self.cases,
            counts,
            interrupted,
            choices: footer.as_ref().map(|footer| footer.choices.clone()).unwrap_or_default(),
            enforce_should: footer.as_ref().is_some_and(|footer| footer.enforce_should),
            duration_us: footer.as_ref().map_or(0, |footer| footer.duration_us),
            findings: footer.map(|footer| footer.findings).unwrap_or_default(),
        }
    }
}
