//! The error of this crate: what was wrong, at which stage, by which rule, at which byte.

use std::fmt;
use std::io;
use std::path::PathBuf;

use harness_protocol::{Stage, TypeName};

use crate::call::CallError;
use crate::header::Architecture;
use crate::registry::Version;
use crate::rule::Rule;

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
        /// What this process runs on; `None` when the format has no code for it.
        host: Option<Architecture>,
        /// Where the file says so.
        offset: u64,
    },
    /// A module that the file depends on is not loaded.
    #[error(
        "dependency `{name}` (version {required} or later) is not loaded (at offset {offset:#x})"
    )]
    MissingDependency {
        /// Its name.
        name: String,
        /// The version that is required at least.
        required: Version,
        /// Where the file says so.
        offset: u64,
    },
    /// A module that the file depends on is loaded in too old a version.
    #[error(
        "dependency `{name}` is loaded in version {found}, but {required} or later is required (at offset {offset:#x})"
    )]
    OldDependency {
        /// Its name.
        name: String,
        /// The version that is loaded.
        found: Version,
        /// The version that is required at least.
        required: Version,
        /// Where the file says so.
        offset: u64,
    },
    /// A loaded module depends on the module (in this version or a later one), so it stays.
    #[error("module `{name}` is required by `{by}`")]
    Required {
        /// The module.
        name: String,
        /// The first module that depends on it, in load order.
        by: String,
    },
    /// A module of this name is already loaded.
    #[error("a module named `{0}` is already loaded")]
    NameTaken(String),
    /// No module of this name is loaded.
    #[error("no module named `{0}` is loaded")]
    NoModule(String),
    /// The module has no function of this name.
    #[error("there is no function named `{0}`")]
    NoFunction(String),
    /// The arguments are not of the declared types.
    #[error("`{function}` takes {}, not {}", Types(declared), Types(given))]
    Arguments {
        /// The function.
        function: String,
        /// The types of its parameters.
        declared: Vec<TypeName>,
        /// The types of the arguments.
        given: Vec<TypeName>,
    },
    /// The call could not be made.
    #[error("`{function}` cannot be called: {source}")]
    Call {
        /// The function.
        function: String,
        /// Why.
        source: CallError,
    },
    /// The operating system refused the mapping or its protection.
    #[error("the operating system refused to map {size} bytes of code: {source}")]
    Unmappable {
        /// Bytes to map.
        size: usize,
        /// Its answer.
        source: io::Error,
    },
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// How far the load got; `None` when the file is not to blame.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        match self {
            Self::Violation(violation) => Some(violation.rule.stage()),
            Self::ForeignArchitecture { .. } => Some(Stage::Unsupported),
            Self::MissingDependency { .. } | Self::OldDependency { .. } | Self::NoFunction(_) => {
                Some(Stage::Unresolvable)
            }
            Self::Unmappable { .. } => Some(Stage::Unmappable),
            _ => None,
        }
    }

    /// The violated rule, when it is one of the format's.
    #[must_use]
    pub fn rule(&self) -> Option<Rule> {
        match self {
            Self::Violation(violation) => Some(violation.rule),
            _ => None,
        }
    }

    /// Where the reason stands, in bytes from the start of the file.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Violation(Violation { offset, .. })
            | Self::ForeignArchitecture { offset, .. }
            | Self::MissingDependency { offset, .. }
            | Self::OldDependency { offset, .. } => Some(*offset),
            _ => None,
        }
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

/// Types as a signature shows them: `(int32, pointer)`.
struct Types<'a>(&'a [TypeName]);

impl fmt::Display for Types<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|name| name.name()).collect();
        write!(f, "({})", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_says_rule_and_offset() {
        let error = Error::from(Violation { rule: Rule::HeaderReserved, offset: 28 });
        assert_eq!(
            error.to_string(),
            "SCP-HEADER-RESERVED: the reserved bytes are not zero (at offset 0x1c)"
        );
        assert_eq!(
            (error.stage(), error.rule(), error.offset()),
            (Some(Stage::Invalid), Some(Rule::HeaderReserved), Some(28))
        );
    }

    #[test]
    fn arguments_are_shown_as_signatures() {
        let error = Error::Arguments {
            function: "f".into(),
            declared: vec![TypeName::Int32, TypeName::Pointer],
            given: vec![],
        };
        assert_eq!(error.to_string(), "`f` takes (int32, pointer), not ()");
        assert_eq!(error.stage(), None);
    }
}
