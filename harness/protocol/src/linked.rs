//! What a module must look like in memory, said without knowing where it lies.
//!
//! An address is a sum of image bases and a number, so that one expectation holds at every base.

use serde::{Deserialize, Serialize};

use crate::HexBytes;

/// `constant + Σ bases of plus − Σ bases of minus`, modulo 2^64.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// The number, in two's complement.
    pub constant: u64,
    /// Names of images whose base is added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plus: Vec<String>,
    /// Names of images whose base is subtracted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub minus: Vec<String>,
}

impl Sum {
    /// A number.
    #[must_use]
    pub fn number(constant: u64) -> Self {
        Self { constant, ..Self::default() }
    }

    /// The address `offset` bytes into an image.
    #[must_use]
    pub fn in_image(image: &str, offset: u64) -> Self {
        Self { constant: offset, plus: vec![image.to_owned()], minus: Vec::new() }
    }

    /// The value where `base` gives each image's base; `None` when it does not know one.
    #[must_use]
    pub fn evaluate(&self, base: impl Fn(&str) -> Option<u64>) -> Option<u64> {
        let sum = |names: &[String]| {
            names.iter().try_fold(0_u64, |sum, name| Some(sum.wrapping_add(base(name)?)))
        };
        Some(self.constant.wrapping_add(sum(&self.plus)?).wrapping_sub(sum(&self.minus)?))
    }
}

/// One image as it must be once the module is loaded. Bytes that are in no piece and no patch are zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedImage {
    /// Name of the image.
    pub name: String,
    /// Bytes that belong to it; 0: there is nothing to map.
    pub size: u64,
    /// Bytes from the file, in order, before relocation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pieces: Vec<Piece>,
    /// Relocated places, in the order of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
    /// Permissions, in order; a segment reaches to the next or to the end of the image's last page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<Segment>,
}

/// Bytes of an image that come from the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Offset in the image.
    pub at: u64,
    /// The bytes.
    pub bytes: HexBytes,
}

/// A stretch of an image with its permissions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Offset in the image; a multiple of the page size.
    pub at: u64,
    /// `r`, `rw` or `rx`.
    pub permissions: String,
}

/// A relocated place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// Offset in the image.
    pub at: u64,
    /// Bytes that are written, little-endian: 4 or 8.
    pub width: u8,
    /// Name of the relocation in the spec.
    pub relocation: String,
    /// What leads to the symbol.
    pub way: Way,
    /// Address of the symbol: S.
    pub symbol: Sum,
    /// The rest of the formula: A − P, say.
    pub rest: Sum,
}

/// What a relocated place leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The place holds S + rest.
    Direct,
    /// The place holds S + rest, or X + rest for executable code at X that does nothing but jump to S.
    Stub,
    /// The place holds G + rest, and the eight readable bytes at G hold S.
    Slot,
}

/// An exported symbol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedExport {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: Sum,
}
