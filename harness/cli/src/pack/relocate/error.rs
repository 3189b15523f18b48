//! Why a relocation cannot be resolved inside the blob.

use std::fmt;

/// A relocation that cannot be resolved, and where it is.
#[derive(Debug, PartialEq, Eq)]
pub struct RelocationError {
    /// Its type, as the machine's ABI calls it.
    pub relocation: String,
    /// The section whose bytes it changes.
    pub section: String,
    /// Which byte of that section.
    pub offset: u64,
    /// What it refers to.
    pub symbol: String,
    /// Why it cannot be resolved.
    pub fault: RelocationFault,
}

/// Why a relocation cannot be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelocationFault {
    /// Another object or a library is to define the symbol.
    Undefined,
    /// The symbol lies in this writable section.
    Writable(String),
    /// The symbol lies in this section, which is not part of the program in memory.
    NotPacked(String),
    /// The value depends on where the blob is mapped.
    Absolute,
    /// The value is a place in a global offset table; what to compile with instead.
    Table(&'static str),
    /// The symbol is resolved by a function of a dynamic linker.
    IndirectFunction,
    /// An instruction that reads the table has no equivalent that does not.
    Instruction,
    /// The value does not fit into its field.
    Range(i128),
    /// The value is not a multiple of the unit that its field counts in.
    Alignment {
        /// The value.
        value: i128,
        /// The unit in bytes.
        unit: u32,
    },
    /// A type of relocation that is not known here.
    Unsupported,
    /// The relocation lies outside its section, or names a symbol that is not there.
    Damaged,
}

impl fmt::Display for RelocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { relocation, section, offset, symbol, fault } = self;
        write!(f, "`{symbol}` ")?;
        fault.what(f)?;
        write!(f, " ({relocation} at {section}+{offset:#x}): ")?;
        fault.consequence(f)
    }
}

impl std::error::Error for RelocationError {}

impl RelocationFault {
    /// What is the matter with the symbol.
    fn what(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined => f.write_str("is not defined in this object"),
            Self::Writable(section) => write!(f, "lies in {section}, which is writable"),
            Self::NotPacked(section) => write!(f, "lies in {section}, which is not packed"),
            Self::Absolute => f.write_str("is referred to by its absolute address"),
            Self::Table(_) => f.write_str("is reached through a global offset table"),
            Self::IndirectFunction => f.write_str("is an indirect function (ifunc)"),
            Self::Instruction => {
                f.write_str("is reached through a global offset table that cannot be avoided")
            }
            Self::Range(_) => f.write_str("is out of reach"),
            Self::Alignment { .. } => f.write_str("is not aligned"),
            Self::Unsupported => f.write_str("is referred to in a way that pack does not know"),
            Self::Damaged => f.write_str("cannot be resolved"),
        }
    }

    /// Why that is a problem, or what to do about it.
    fn consequence(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined => f.write_str("SCP 0.1 has no imports"),
            Self::Writable(_) => f.write_str("a blob holds code and constants only"),
            Self::NotPacked(_) => f.write_str("only code and read-only data are"),
            Self::Absolute => f.write_str(
                "a blob does not know where it will be mapped; compile with -fPIC, and without tables \
                 of addresses",
            ),
            Self::Table(advice) => write!(f, "a blob has none; {advice}"),
            Self::IndirectFunction => f.write_str("SCP 0.1 has no dynamic linker to choose it"),
            Self::Instruction => f.write_str("declare it static or hidden"),
            Self::Range(value) => write!(f, "{value:#x} does not fit into the instruction"),
            Self::Alignment { value, unit } => {
                write!(f, "{value:#x} is not a multiple of {unit}")
            }
            Self::Unsupported => f.write_str("only what a compiler writes for -fPIC is"),
            Self::Damaged => f.write_str("the object file is damaged"),
        }
    }
}
