//! How code that was called came to grief.

use serde::{Deserialize, Serialize};

/// What kind of trap ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// There is no memory at the address.
    Unmapped,
    /// There is memory, but this must not be done with it.
    Protected,
    /// There is memory up to the end of the page, but nothing of the program's (only emulators see this).
    OutOfBounds,
    /// No address has these upper bits.
    NonCanonical,
    /// The instruction needs an aligned address.
    Misaligned,
    /// An integer was divided by zero, or the quotient does not fit.
    DivideError,
    /// A floating-point exception that was unmasked.
    FloatingPoint,
    /// No instruction has this encoding.
    UndefinedInstruction,
    /// The instruction belongs to the operating system.
    PrivilegedInstruction,
    /// A breakpoint instruction.
    Breakpoint,
    /// The processor was told to stop after each instruction.
    SingleStep,
    /// Anything else.
    Other,
}

impl Cause {
    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unmapped => "unmapped",
            Self::Protected => "protected",
            Self::OutOfBounds => "out-of-bounds",
            Self::NonCanonical => "non-canonical",
            Self::Misaligned => "misaligned",
            Self::DivideError => "divide-error",
            Self::FloatingPoint => "floating-point",
            Self::UndefinedInstruction => "undefined-instruction",
            Self::PrivilegedInstruction => "privileged-instruction",
            Self::Breakpoint => "breakpoint",
            Self::SingleStep => "single-step",
            Self::Other => "other",
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What was being done with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Reading data.
    Read,
    /// Writing data.
    Write,
    /// Fetching instructions.
    Fetch,
}

impl Access {
    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Fetch => "fetch",
        }
    }
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
