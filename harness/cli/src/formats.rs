//! Which format a command works with.

use std::path::Path;

use blobspec::format::{Check, Constant};
use blobspec::{BUILTIN, Format, Readings, Spec};

use crate::args::Global;
use crate::failure::Failure;
use crate::input;

/// The format that is used where neither an option nor a file says which.
const DEFAULT: &str = "scp";

/// The spec that `--spec` or `--format` names; without either, the default.
pub(crate) fn spec(global: &Global) -> Result<Spec, Failure> {
    match named(global)? {
        Some(spec) => Ok(spec),
        None => builtin(DEFAULT),
    }
}

/// The spec that `--spec` or `--format` names; without either, all built-in ones.
pub(crate) fn all(global: &Global) -> Result<Vec<Spec>, Failure> {
    match named(global)? {
        Some(spec) => Ok(vec![spec]),
        None => BUILTIN.iter().map(|(name, _)| builtin(name)).collect(),
    }
}

/// The spec for vectors of which one has this id: as the options say, else the built-in one whose id the vector's
/// begins with, else the default.
pub(crate) fn spec_of_vector(global: &Global, id: &str) -> Result<Spec, Failure> {
    let first = id.split('/').next().unwrap_or_default();
    match named(global)? {
        Some(spec) => Ok(spec),
        None if BUILTIN.iter().any(|(name, _)| *name == first) => builtin(first),
        None => builtin(DEFAULT),
    }
}

/// The spec for the file at `path`: as the options say, else the built-in one whose magic the file begins with,
/// else the one whose extension it has, else the default.
pub(crate) fn spec_for(global: &Global, path: &Path, file: &[u8]) -> Result<Spec, Failure> {
    if let Some(spec) = named(global)? {
        return Ok(spec);
    }
    for (name, _) in BUILTIN {
        let candidate = builtin(name)?;
        if magic(candidate.format()).is_some_and(|magic| file.starts_with(magic)) {
            return Ok(candidate);
        }
    }
    spec_by_extension(path)
}

/// The spec for a file that is to be written to `path`: as the options say, else the one with its extension,
/// else the default.
pub(crate) fn spec_of_output(global: &Global, path: &Path) -> Result<Spec, Failure> {
    match named(global)? {
        Some(spec) => Ok(spec),
        None => spec_by_extension(path),
    }
}

/// The spec that `--spec` or `--format` names, in the dialect that `--variant` names.
fn named(global: &Global) -> Result<Option<Spec>, Failure> {
    let spec = match (&global.spec, &global.format) {
        (Some(path), _) => Some(Spec::load(&input::display(path), &input::read(path)?)?),
        (None, Some(name)) => Some(builtin(name)?),
        (None, None) => None,
    };
    match (spec, &global.variant) {
        (Some(spec), Some(variant)) => Ok(Some(spec.dialect(variant)?)),
        (None, Some(variant)) => Err(Failure::usage_with(
            format!("`{variant}` is a variant of which format?"),
            "name one with --format or --spec",
        )),
        (spec, None) => Ok(spec),
    }
}

fn spec_by_extension(path: &Path) -> Result<Spec, Failure> {
    let extension = path.extension().unwrap_or_default();
    for (name, _) in BUILTIN {
        let candidate = builtin(name)?;
        if candidate.format().extensions.iter().any(|known| extension.eq_ignore_ascii_case(known)) {
            return Ok(candidate);
        }
    }
    builtin(DEFAULT)
}

fn builtin(name: &str) -> Result<Spec, Failure> {
    match blobspec::builtin(name) {
        Some(spec) => Ok(spec?),
        None => {
            let known: Vec<&str> = BUILTIN.iter().map(|(name, _)| *name).collect();
            let message = format!("there is no built-in format `{name}`");
            Err(Failure::usage_with(
                message,
                format!("built in: {}; for one of your own use --spec FILE", known.join(", ")),
            ))
        }
    }
}

/// The bytes that every file of the format begins with, if its rules say so.
fn magic(format: &Format) -> Option<&[u8]> {
    let region = format.regions.first()?;
    let record = format.records.get(region.record()?)?;
    let path = format!("{}.{}", region.name, record.fields.first()?.name);
    format.rules.iter().find_map(|rule| match &rule.check {
        Check::Const { target, value: Constant::Bytes(bytes) }
            if format.path_of(target) == path =>
        {
            Some(bytes.as_slice())
        }
        _ => None,
    })
}

/// The readings that `--choice` names.
pub(crate) fn readings(global: &Global) -> Readings {
    global.choices.iter().cloned().collect()
}

/// The format of `spec` under the readings that `--choice` names.
pub(crate) fn format(global: &Global, spec: &Spec) -> Result<Format, Failure> {
    Ok(spec.under(&readings(global))?)
}
