//! The records of a Reloc section (clause “pub struct SmfRelocation”).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::table::{Record, Table};
use crate::cursor::Cursor;

/// Size of a record in bytes.
pub const SIZE: usize = 24;

/// The records of one Reloc section.
pub type Relocations<'a> = Table<'a, Relocation, SIZE>;

/// One record, each field as the file has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relocation {
    /// Where the record starts, in bytes from the start of the file.
    pub record: u64,
    /// What is patched, in bytes from the start of the code image.
    pub offset: u64,
    /// The symbol, counted from 0.
    pub symbol_index: u32,
    /// Code of the type; see [`Relocation::kind`].
    pub type_code: u32,
    /// The A of the formulas.
    pub addend: i64,
}

/// How a place is patched. S is the symbol's address, A the addend, P the address of the place, G the
/// address of a slot that holds S. The discriminants are the codes in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RelocationType {
    /// Nothing is patched.
    None = 0,
    /// Eight bytes: S + A.
    Abs64 = 1,
    /// Four bytes, signed: S + A − P.
    Pc32 = 2,
    /// Four bytes, signed: S + A − P, or the way to a stub that jumps to S.
    Plt32 = 3,
    /// Four bytes, signed: G + A − P.
    GotPcRel = 4,
}

impl RelocationType {
    /// Bytes that are patched.
    #[inline]
    #[must_use]
    pub fn width(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Abs64 => 8,
            Self::Pc32 | Self::Plt32 | Self::GotPcRel => 4,
        }
    }
}

impl Relocation {
    /// The type, if its code is defined. Every relocation of a decoded [`File`](super::File) has one.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> Option<RelocationType> {
        Some(match self.type_code {
            0 => RelocationType::None,
            1 => RelocationType::Abs64,
            2 => RelocationType::Pc32,
            3 => RelocationType::Plt32,
            4 => RelocationType::GotPcRel,
            _ => return None,
        })
    }

    /// Bytes that are patched.
    #[inline]
    pub(crate) fn width(&self) -> u64 {
        self.kind().map_or(0, RelocationType::width)
    }

    /// Position of `symbol_index` in the file.
    pub(crate) fn symbol_at(&self) -> u64 {
        self.record.saturating_add(8)
    }

    /// Position of `type` in the file.
    pub(crate) fn type_at(&self) -> u64 {
        self.record.saturating_add(12)
    }
}

impl Record<SIZE> for Relocation {
    const WIDTHS: &'static [usize] = &[8, 4, 4, 8];

    #[inline]
    fn read(bytes: &[u8; SIZE], record: u64) -> Self {
        let mut fields = Cursor::new(bytes);
        let mut read = || {
            Some(Self {
                record,
                offset: fields.u64()?,
                symbol_index: fields.u32()?,
                type_code: fields.u32()?,
                addend: fields.u64()?.cast_signed(),
            })
        };
        read().unwrap_or_default() // 24 bytes are enough for all fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_the_rules_say() {
        let bytes: Vec<u8> = (0..23).chain([0xff]).collect();
        let relocation = Relocation::read(bytes.as_slice().try_into().unwrap(), 100);
        assert_eq!(relocation.offset, 0x0706_0504_0302_0100);
        assert_eq!(100 + u64::from(relocation.symbol_index & 0xff), relocation.symbol_at());
        assert_eq!(100 + u64::from(relocation.type_code & 0xff), relocation.type_at());
        assert!(relocation.addend < 0 && relocation.addend & 0xff == 16);
    }
}
