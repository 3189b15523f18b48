//! Why objects cannot be linked to a module, and what to do about it.

use std::fmt;

use super::super::PackError;
use super::super::layout::PAGE;

/// Why objects cannot be linked to an SMF module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// One object cannot be packed whatever the others are.
    #[error("{object}: {error}")]
    Object {
        /// The object.
        object: String,
        /// What is wrong with it.
        error: Box<PackError>,
    },
    /// A symbol or a section of one object that SMF has no word for.
    #[error("{object}: `{symbol}` {fault}")]
    Symbol {
        /// The object.
        object: String,
        /// The symbol, or the section.
        symbol: String,
        /// What is the matter with it.
        fault: LinkFault,
    },
    /// A relocation that cannot be carried over.
    #[error("{object}: {error}")]
    Relocation {
        /// The object.
        object: String,
        /// Which, and why.
        error: Box<Unlinked>,
    },
    /// Two objects define one name.
    #[error("`{symbol}` is defined in {first} and in {second}")]
    Duplicate {
        /// The name.
        symbol: String,
        /// The object that came first.
        first: String,
        /// The other.
        second: String,
    },
    /// Common storage wants more alignment than a page has.
    #[error("`{symbol}` wants to be aligned to {align} bytes: an image is aligned to {PAGE} only")]
    CommonAlignment {
        /// The variable.
        symbol: String,
        /// What it asks for, in bytes.
        align: u64,
    },
    /// There is nothing to start at.
    #[error("`{0}` cannot be the entry point: the objects define no global function of that name")]
    NoEntry(String),
    /// More bytes than a file may have.
    #[error("the sections take more than {0} bytes")]
    TooLarge(usize),
}

impl LinkError {
    pub(super) fn object(object: &str, error: impl Into<PackError>) -> Self {
        Self::Object { object: object.to_owned(), error: Box::new(error.into()) }
    }

    /// What to do about it, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Symbol { fault, .. } => fault.hint(),
            Self::Relocation { error, .. } => error.fault.hint(),
            Self::Duplicate { .. } => {
                Some("make all but one of them static, or declare them __attribute__((weak))")
            }
            _ => None,
        }
    }
}

/// A relocation that cannot be carried over, and where it is.
#[derive(Debug, thiserror::Error)]
#[error("`{symbol}` {fault} ({relocation} at {section}+{offset:#x})")]
pub struct Unlinked {
    /// Its type, as the ABI calls it.
    pub relocation: String,
    /// The section whose bytes it changes.
    pub section: String,
    /// Which byte of that section.
    pub offset: u64,
    /// What it refers to.
    pub symbol: String,
    /// Why it cannot be carried over.
    pub fault: LinkFault,
}

/// What is the matter with a symbol or a relocation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkFault {
    /// Each thread has its own.
    ThreadLocal,
    /// A function that chooses the function.
    IndirectFunction,
    /// A number that does not move with the module.
    Absolute,
    /// Only this module may define it, and does not.
    Hidden,
    /// It reaches past its section.
    Outside,
    /// It lies in this section, which is not part of the program in memory.
    NotPacked(String),
    /// Writable data is to hold its address.
    DataAddress,
    /// Its address is to stand in less than 64 bits.
    Narrow,
    /// It is reached through a global offset table by a way that SMF does not know.
    OffsetTable,
    /// A relocation that SMF does not know.
    Unknown,
    /// The relocation lies outside its section, or names a symbol that is not there.
    Damaged,
}

impl LinkFault {
    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::ThreadLocal => "use an ordinary variable, or let the host keep it",
            Self::IndirectFunction => "choose the function when the module is first called",
            Self::Absolute => "define it in C, so that it has a section",
            Self::Hidden => "add the object that defines it, or give it the default visibility",
            Self::DataAddress => {
                "make it const: read-only tables of addresses are placed in the code image; or fill \
                 it in when the module is first called"
            }
            Self::Narrow => "compile with -fPIC (or, without it, with -mcmodel=large)",
            Self::OffsetTable | Self::Unknown => "compile with -fPIC -mcmodel=small",
            Self::Outside | Self::NotPacked(_) | Self::Damaged => return None,
        })
    }
}

impl fmt::Display for LinkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ThreadLocal => f.write_str("is thread-local, and SMF has no such storage"),
            Self::IndirectFunction => {
                f.write_str("is an indirect function (ifunc), and no loader of SMF resolves those")
            }
            Self::Absolute => {
                f.write_str("is an absolute number, and symbols of SMF lie in an image")
            }
            Self::Hidden => f.write_str("is hidden, but none of the objects defines it"),
            Self::Outside => f.write_str("reaches past its section: the object file is damaged"),
            Self::NotPacked(section) => write!(f, "lies in {section}, which is not packed"),
            Self::DataAddress => {
                f.write_str("is to have its address in writable data, but SMF relocates code only")
            }
            Self::Narrow => f.write_str("is referred to by an address of less than 64 bits"),
            Self::OffsetTable => f.write_str(
                "is reached through a global offset table in a way that SMF does not know",
            ),
            Self::Unknown => f.write_str("is referred to in a way that SMF does not know"),
            Self::Damaged => f.write_str("cannot be relocated: the object file is damaged"),
        }
    }
}
