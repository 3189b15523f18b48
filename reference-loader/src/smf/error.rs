//! The error of this format: what was wrong, at which stage, by which rule, at which byte of which file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use harness_protocol::Stage;

use super::rule::Rule;
use crate::call::CallError;
use crate::header::Architecture;

/// One violated rule of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// Where, in bytes from the start of the file.
    pub offset: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (at offset {:#x})", self.rule, self.rule.summary(), self.offset)
    }
}

/// Why a file was not accepted, loaded or called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file breaks a rule of the format.
    #[error("{0}")]
    Violation(Violation),
    /// The file is valid, but its code is for another processor.
    #[error("the code is for {found}, this process runs on {} (at offset {offset:#x})", host_name(*host))]
    ForeignArchitecture {
        /// What the file is for.
        found: Architecture,
        /// What this process runs on; `None` when it is none that this crate knows.
        host: Option<Architecture>,
        /// Where the file says so.
        offset: u64,
    },
    /// A relocation uses an import that nothing defines.
    #[error("{}: `{name}` is not defined anywhere (at offset {offset:#x})", Rule::Import)]
    Undefined {
        /// Name of the symbol.
        name: String,
        /// The first relocation record that uses an undefined import, in bytes from the start of the file.
        offset: u64,
    },
    /// The operating system refused a mapping or its protection.
    #[error("the operating system refused {bytes} bytes of memory for the module: {source}")]
    Unmappable {
        /// Bytes that were asked for.
        bytes: usize,
        /// Its answer.
        source: io::Error,
    },
    /// A table of the size of the file's could not be reserved.
    #[error("there is no memory for {bytes} bytes of tables")]
    OutOfMemory {
        /// Bytes that were asked for.
        bytes: usize,
    },
    /// The module defines no function of this name.
    #[error("there is no function named `{0}`")]
    NoFunction(String),
    /// The call could not be made.
    #[error("`{function}` cannot be called: {source}")]
    Call {
        /// The function.
        function: String,
        /// Why.
        source: CallError,
    },
    /// No module is loaded from this path.
    #[error("no module is loaded from {}", .0.display())]
    NoModule(PathBuf),
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was wrong with one file of several.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        source: Box<Error>,
    },
}

impl Error {
    /// How far the load got; `None` when the file is not to blame.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        match self {
            Self::Violation(violation) => Some(violation.rule.stage()),
            Self::ForeignArchitecture { .. } => Some(Stage::Unsupported),
            Self::Undefined { .. } | Self::NoFunction(_) => Some(Stage::Unresolvable),
            Self::Unmappable { .. } | Self::OutOfMemory { .. } => Some(Stage::Unmappable),
            Self::InFile { source, .. } => source.stage(),
            Self::Call { .. } | Self::NoModule(_) | Self::Unreadable { .. } => None,
        }
    }

    /// The violated rule, when it is one of the format's.
    #[must_use]
    pub fn rule(&self) -> Option<Rule> {
        match self {
            Self::Violation(violation) => Some(violation.rule),
            Self::Undefined { .. } => Some(Rule::Import),
            Self::InFile { source, .. } => source.rule(),
            _ => None,
        }
    }

    /// Where the reason stands, in bytes from the start of the file.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Violation(Violation { offset, .. })
            | Self::ForeignArchitecture { offset, .. }
            | Self::Undefined { offset, .. } => Some(*offset),
            Self::InFile { source, .. } => source.offset(),
            _ => None,
        }
    }

    /// This error with the file that it is about.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        Self::InFile { path: path.to_owned(), source: Box::new(self) }
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

fn host_name(host: Option<Architecture>) -> &'static str {
    host.map_or("a processor that the format has no code for", Architecture::name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_file_rule_and_offset() {
        let violation = Violation { rule: Rule::HeaderReserved, offset: 64 };
        let error = Error::from(violation).in_file(Path::new("a.smf"));
        assert_eq!(
            error.to_string(),
            "a.smf: SMF-HEADER-RESERVED: the reserved bytes are not zero (at offset 0x40)"
        );
        assert_eq!(
            (error.stage(), error.rule(), error.offset()),
            (Some(Stage::Invalid), Some(Rule::HeaderReserved), Some(64))
        );
    }

    #[test]
    fn an_undefined_symbol_is_named() {
        let error = Error::Undefined { name: "puts".into(), offset: 72 };
        assert!(error.to_string().starts_with("SMF-IMPORT: `puts`"));
        assert_eq!((error.stage(), error.rule()), (Some(Stage::Unresolvable), Some(Rule::Import)));
    }
}
