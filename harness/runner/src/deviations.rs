//! Known failures, in a file with teeth: every entry must still be true.
//!
//! ```yaml
//! implementation: my-loader
//! choices: {scp.magic-order: value}
//! deviations:
//!   - match: scp/header.checksum/*     # `*` also crosses `/`
//!     outcome: wrong-accept
//!     reason: checksums are verified by the caller
//!     issue: https://example.org/issues/7
//!     expires: 2027-06-30
//! ```
//!
//! An entry that matches nothing, has expired, matches a vector that another entry matches too, matches
//! more vectors than its author can have seen, names another outcome than the one that occurs, or matches
//! a vector that passes makes the run end with exit code 5.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use globset::{Glob, GlobMatcher};
use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Choices, Outcome};

mod bless;
mod coverage;

pub(crate) use coverage::Coverage;

/// A deviations file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviations {
    /// Name of the implementation that the file is about, as it names itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implementation: Option<String>,
    /// Readings that the implementation follows on purpose.
    #[serde(default, skip_serializing_if = "Choices::is_empty")]
    pub choices: Choices,
    /// Known failures.
    #[serde(default)]
    pub deviations: Vec<Deviation>,
}

/// One known way to fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// Glob over vector ids. `*` and `?` also match `/`.
    #[serde(rename = "match")]
    pub pattern: String,
    /// How the vectors fail.
    pub outcome: Outcome,
    /// Why that is so.
    pub reason: String,
    /// Where it is tracked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<String>,
    /// First day on which the entry is an error.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "date_from_text",
        serialize_with = "date_to_text"
    )]
    pub expires: Option<Date>,
    /// Short name of the fault behind it, for loaders whose faults are planted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Matches many vectors on purpose.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub broad: bool,
}

/// Why a deviations file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviationsError {
    /// It cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not a deviations file.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
}

impl Deviations {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is no YAML of this shape, or an entry has an empty reason, a glob that is
    /// none, or an outcome that is no failure.
    pub fn load(path: &Path) -> Result<Self, DeviationsError> {
        let text = fs::read_to_string(path)
            .map_err(|source| DeviationsError::File { path: path.into(), source })?;
        Self::parse(&text, path)
    }

    /// Reads `text`, which stands in the file at `path`.
    ///
    /// # Errors
    /// See [`load`](Self::load).
    pub fn parse(text: &str, path: &Path) -> Result<Self, DeviationsError> {
        let content = |line, column, message| DeviationsError::Content {
            path: path.into(),
            line,
            column,
            message,
        };
        if text.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#')) {
            return Ok(Self::default());
        }
        let parsed: Self = serde_yaml::from_str(text).map_err(|error| {
            let place = error.location();
            let (line, column) = place.map_or((1, 1), |place| (place.line(), place.column()));
            content(line, column, without_place(&error.to_string()))
        })?;
        for entry in &parsed.deviations {
            if let Some(message) = entry.fault_in_itself() {
                let (line, column) = find(text, &entry.pattern);
                return Err(content(line, column, message));
            }
        }
        Ok(parsed)
    }

    /// The file's text.
    ///
    /// # Errors
    /// When it cannot be written as YAML: a bug.
    pub fn to_yaml(&self) -> io::Result<String> {
        serde_yaml::to_string(self).map_err(io::Error::other)
    }

    /// Replaces the file at `path`, entirely or not at all.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn save(&self, path: &Path) -> Result<(), DeviationsError> {
        let write = || {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
            file.write_all(self.to_yaml()?.as_bytes())?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|source| DeviationsError::File { path: path.into(), source })
    }
}

impl Deviation {
    fn matcher(&self) -> Result<GlobMatcher, globset::Error> {
        Ok(Glob::new(&self.pattern)?.compile_matcher())
    }

    fn fault_in_itself(&self) -> Option<String> {
        if self.reason.trim().is_empty() {
            return Some(format!("`{}` has no reason", self.pattern));
        }
        if !self.outcome.is_failure() {
            return Some(format!("`{}`: {} is no failure", self.pattern, self.outcome));
        }
        self.matcher().err().map(|error| error.to_string())
    }
}

/// The line and column at which `pattern` stands first.
fn find(text: &str, pattern: &str) -> (usize, usize) {
    let found = text.lines().enumerate().find_map(|(line, content)| {
        let column = content.find(pattern)?;
        Some((line + 1, content.get(..column)?.chars().count() + 1))
    });
    found.unwrap_or((1, 1))
}

/// The YAML library repeats the place at the end of its text; it stands in front already.
fn without_place(message: &str) -> String {
    message.split(" at line ").next().unwrap_or(message).to_owned()
}

fn date_from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| de::Error::custom(format!("`{text}` is no date YYYY-MM-DD")))
}

#[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
fn date_to_text<S: Serializer>(date: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
    date.map(|date| date.to_string()).serialize(serializer)
}

#[cfg(test)]
mod tests;
