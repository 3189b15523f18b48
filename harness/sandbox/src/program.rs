//! A module as it lies in memory: images at their addresses, symbols, where each byte came from.

use serde::{Deserialize, Serialize};

/// The instruction sets that can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// AMD64.
    #[serde(rename = "x86_64")]
    X86_64,
    /// ARM64 in little-endian byte order.
    Arm64,
    /// 32-bit x86.
    #[serde(rename = "x86_32")]
    X86_32,
}

impl Architecture {
    /// The name that specs and vectors use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
            Self::X86_32 => "x86_32",
        }
    }

    /// The architecture of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::X86_64, Self::Arm64, Self::X86_32].into_iter().find(|known| known.name() == name)
    }

    /// Bytes of an address.
    #[must_use]
    pub fn pointer_size(self) -> u64 {
        if self == Self::X86_32 { 4 } else { 8 }
    }
}

impl std::fmt::Display for Architecture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What may be done with memory. Never written and executed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permissions {
    /// Read.
    R,
    /// Read and write.
    Rw,
    /// Read and execute.
    Rx,
}

impl Permissions {
    /// As specs write them.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::R => "r",
            Self::Rw => "rw",
            Self::Rx => "rx",
        }
    }
}

/// A module in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Whose instructions it holds.
    pub architecture: Architecture,
    /// Its memory, by ascending address; each starts on a page, no two share a page.
    pub segments: Vec<Segment>,
    /// Named addresses, by ascending address.
    pub symbols: Vec<Symbol>,
}

/// Memory of one permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Name of the image or section, for people: `code`, `data.2`.
    pub name: String,
    /// Where it starts.
    pub address: u64,
    /// Its bytes; zero follows up to `size`.
    pub bytes: Vec<u8>,
    /// Bytes in memory, at least those of `bytes`.
    pub size: u64,
    /// What may be done with it.
    pub permissions: Permissions,
}

/// A named address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: u64,
}
