//! Which format a command works with.

use blobspec::{BUILTIN, Format, Readings, Spec};
use harness_codec::{Verdict, decode};

use crate::args::Global;
use crate::failure::Failure;
use crate::input;

/// The format that is used where neither an option nor a file says which.
const DEFAULT: &str = "scp";

/// The spec that `--spec` or `--format` names; without either, the default.
pub(crate) fn spec(global: &Global) -> Result<Spec, Failure> {
    if let Some(path) = &global.spec {
        return Ok(Spec::load(&input::display(path), &input::read(path)?)?);
    }
    builtin(global.format.as_deref().unwrap_or(DEFAULT))
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

/// The spec for `file`: as the options say, else the built-in one that recognises the bytes.
pub(crate) fn spec_for(global: &Global, file: &[u8]) -> Result<Spec, Failure> {
    if global.spec.is_some() || global.format.is_some() {
        return spec(global);
    }
    for (name, _) in BUILTIN {
        let candidate = builtin(name)?;
        let verdict = decode(candidate.format(), file).verdict;
        let malformed =
            matches!(verdict, Verdict::Rejected { stage: blobspec::format::Stage::Malformed, .. });
        if !malformed {
            return Ok(candidate);
        }
    }
    builtin(DEFAULT)
}

/// The readings that `--choice` names.
pub(crate) fn readings(global: &Global) -> Readings {
    global.choices.iter().cloned().collect()
}

/// The format of `spec` under the readings that `--choice` names.
pub(crate) fn format(global: &Global, spec: &Spec) -> Result<Format, Failure> {
    Ok(spec.under(&readings(global))?)
}
