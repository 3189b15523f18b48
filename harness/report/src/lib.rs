//! Reports of conformance runs: a stream that is written as results come, and what is made of a run at
//! its end.
//!
//! | what | for whom | module |
//! | --- | --- | --- |
//! | `run.ndjson` | programs, while the run goes on; a run that was cut short can be told | [`stream`] |
//! | `report.json` | programs, at the end | [`json`] |
//! | `junit.xml` | build servers | [`junit`] |
//! | the summary | people | [`terminal`] |
//!
//! Everything a loader said is data of a stranger: it is cut, and control characters never reach a
//! terminal or an XML file.
#![forbid(unsafe_code)]

mod file;
pub mod group;
pub mod json;
pub mod junit;
pub mod limits;
pub mod stream;
pub mod terminal;
mod text;

pub use file::write_atomically;
pub use stream::{Header, Recorded, Stream};
pub use terminal::{SummaryOptions, summary};

use std::path::PathBuf;

/// Why a report cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A stream cannot be written or read.
    #[error("the stream of results failed: {0}")]
    Stream(#[from] std::io::Error),
    /// A line of a stream is not what it must be.
    #[error("line {line} of the stream of results: {message}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A report cannot be put in its format: a bug.
    #[error("the report cannot be written: {0}")]
    Format(String),
}
