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
//!   - match: rule:SCP-*-TABLE-BOUNDS   # every vector that breaks such a rule
//!     outcome: [crash, wrong-accept]
//!     reason: counts are trusted
//! ```
//!
//! An entry that matches nothing, has expired, matches a vector that another entry matches too, matches
//! more vectors than its author can have seen, names another outcome than the one that occurs, or matches
//! a vector that passes makes the run end with exit code 5.

use std::io;
use std::path::{Path, PathBuf};

use globset::{Glob, GlobMatcher};
use jiff::civil::Date;
use serde::de::IntoDeserializer as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use harness_protocol::Vector;

use crate::limits::MAX_DEVIATIONS_DEPTH;
use crate::{CaseResult, Choices, Outcome};

mod bless;
mod coverage;
mod file;

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
    /// Glob over vector ids, in which `*` and `?` also match `/`; or `rule:GLOB` over the ids of rules, for
    /// every vector that breaks such a rule or looks at it in memory.
    #[serde(rename = "match")]
    pub pattern: String,
    /// How the vectors fail: one outcome, or a list of which any may be seen.
    pub outcome: Outcomes,
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

/// The outcomes that an entry allows; in YAML one name or a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Outcomes {
    /// This one.
    One(Outcome),
    /// Any of these.
    Any(Vec<Outcome>),
}

impl Outcomes {
    /// Whether `outcome` is one of them.
    #[must_use]
    pub fn contains(&self, outcome: Outcome) -> bool {
        self.as_slice().contains(&outcome)
    }

    fn as_slice(&self) -> &[Outcome] {
        match self {
            Self::One(outcome) => std::slice::from_ref(outcome),
            Self::Any(outcomes) => outcomes,
        }
    }
}

impl<'de> Deserialize<'de> for Outcomes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> de::Visitor<'de> for OneOrMany {
            type Value = Outcomes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an outcome or a list of outcomes")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Outcomes, E> {
                Outcome::deserialize(name.into_deserializer()).map(Outcomes::One)
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, names: A) -> Result<Outcomes, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(names)).map(Outcomes::Any)
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

impl std::fmt::Display for Outcomes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<String> = self.as_slice().iter().map(ToString::to_string).collect();
        f.write_str(&names.join(" or "))
    }
}

/// What an entry is compared with: a vector's id, and the rule that it breaks or looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) id: &'a str,
    pub(crate) rule: Option<&'a str>,
}

impl<'a> Subject<'a> {
    pub(crate) fn of_vector(vector: &'a Vector) -> Self {
        let concerned = !vector.expect.accepts() || !vector.observe.is_empty();
        Self { id: &vector.id, rule: vector.rule.as_deref().filter(|_| concerned) }
    }

    pub(crate) fn of_result(result: &'a CaseResult) -> Self {
        let rejects = !result.expected.iter().any(|stage| stage.accepts());
        let concerned = rejects || result.observed.is_some();
        Self { id: &result.id, rule: result.rule.as_deref().filter(|_| concerned) }
    }
}

/// A compiled `match`.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    glob: GlobMatcher,
    on_rules: bool,
}

impl Matcher {
    pub(crate) fn is_match(&self, subject: Subject<'_>) -> bool {
        let text = if self.on_rules { subject.rule } else { Some(subject.id) };
        text.is_some_and(|text| self.glob.is_match(text))
    }
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
    /// When it cannot be read, is no file, is too large or too deep, is no YAML of this shape, or an entry has an empty reason, a glob that is
    /// none, or an outcome that is no failure.
    pub fn load(path: &Path) -> Result<Self, DeviationsError> {
        let text = file::read(path)
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
        if let Some((line, column)) = file::too_deep(text) {
            let message = format!("collections are nested more than {MAX_DEVIATIONS_DEPTH} deep");
            return Err(content(line, column, message));
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

    /// Replaces the file at `path`, entirely or not at all. It keeps its mode.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn save(&self, path: &Path) -> Result<(), DeviationsError> {
        let written = self.to_yaml().and_then(|text| file::replace(path, text.as_bytes()));
        written.map_err(|source| DeviationsError::File { path: path.into(), source })
    }
}

impl Deviation {
    fn matcher(&self) -> Result<Matcher, globset::Error> {
        let rules = self.pattern.strip_prefix("rule:");
        let glob = Glob::new(rules.unwrap_or(&self.pattern))?.compile_matcher();
        Ok(Matcher { glob, on_rules: rules.is_some() })
    }

    fn fault_in_itself(&self) -> Option<String> {
        if self.reason.trim().is_empty() {
            return Some(format!("`{}` has no reason", self.pattern));
        }
        if let Some(other) = self.outcome.as_slice().iter().find(|outcome| !outcome.is_failure()) {
            return Some(format!("`{}`: {other} is no failure", self.pattern));
        }
        if self.outcome.as_slice().is_empty() {
            return Some(format!("`{}` names no outcome", self.pattern));
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
