//! Which vectors a command works with.

use std::path::Path;

use blobspec::{Readings, Spec};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use harness_generate::{GenerateError, Suite, generate};
use harness_protocol::{Level, Vector};

use crate::failure::Failure;
use crate::input;

/// Makes the suite of `spec` under `readings`.
pub(crate) fn suite(spec: &Spec, readings: &Readings) -> Result<Suite, Failure> {
    generate(spec, readings).map_err(|error| match error {
        GenerateError::Spec(error) => error.into(),
        other => Failure::usage(other.to_string()),
    })
}

/// The vectors of every JSON file in a folder such as `conformance/scp`.
pub(crate) fn frozen(folder: &Path) -> Result<Vec<Vector>, Failure> {
    let entries = std::fs::read_dir(folder).map_err(|error| {
        Failure::usage(format!("{}: cannot be listed: {error}", folder.display()))
    })?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let mut vectors = Vec::new();
    for path in paths {
        let text = String::from_utf8_lossy(&input::read(&path)?).into_owned();
        let file = harness_generate::files::parse(&text).map_err(|error| {
            Failure::usage(format!("{}: not a vector file: {error}", path.display()))
        })?;
        vectors.extend(file.vectors);
    }
    Ok(vectors)
}

/// What to keep of a suite.
#[derive(Debug, Default)]
pub(crate) struct Selection<'a> {
    /// Spec paths: ids that begin with one of them, the format's own name left out or not.
    pub(crate) paths: &'a [String],
    /// Globs over ids.
    pub(crate) globs: &'a [String],
    /// Only what the document demands.
    pub(crate) only_must: bool,
}

impl Selection<'_> {
    /// Whether everything is kept.
    pub(crate) fn is_everything(&self) -> bool {
        self.paths.is_empty() && self.globs.is_empty() && !self.only_must
    }

    /// The vectors that are selected.
    pub(crate) fn apply(&self, vectors: Vec<Vector>) -> Result<Vec<Vector>, Failure> {
        let globs = glob_set(self.globs)?;
        let keep = |vector: &Vector| {
            (self.paths.is_empty() || self.paths.iter().any(|path| under(&vector.id, path)))
                && (self.globs.is_empty() || globs.is_match(&vector.id))
                && (!self.only_must || vector.level == Level::Must)
        };
        Ok(vectors.into_iter().filter(keep).collect())
    }
}

fn glob_set(patterns: &[String]) -> Result<GlobSet, Failure> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).literal_separator(false).build();
        set.add(glob.map_err(|error| Failure::usage(format!("-k {pattern}: {error}")))?);
    }
    set.build().map_err(|error| Failure::usage(error.to_string()))
}

/// Whether `path` leads to `id`: whole segments, `.` and `/` alike, with or without the format's name.
fn under(id: &str, path: &str) -> bool {
    let begins = |id: &str| {
        id.strip_prefix(path.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
    };
    begins(id) || id.split_once('/').is_some_and(|(_, rest)| begins(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_whole_segments() {
        let id = "scp/functions.params/in-enum/rich-x86_64/1-0/code-7";
        for path in
            ["functions", "functions.params", "scp/functions", "functions.params/in-enum", id]
        {
            assert!(under(id, path), "{path}");
        }
        for path in ["func", "functions.param", "params", "types"] {
            assert!(!under(id, path), "{path}");
        }
    }
}
