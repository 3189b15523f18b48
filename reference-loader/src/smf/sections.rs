//! The section table (clause “pub struct SmfSection”).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::table::{Record, Table};
use crate::cursor::Cursor;

/// Size of a record in bytes.
pub const SIZE: usize = 56;

/// The section table.
pub type Sections<'a> = Table<'a, Section, SIZE>;

/// One record, each field as the file has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Where the record starts, in bytes from the start of the file.
    pub record: u64,
    /// Code of the type; see [`Section::kind`].
    pub type_code: u32,
    /// Hints: the type decides (choice smf.section-flags).
    pub flags: u32,
    /// Where the bytes start, in bytes from the start of the file. Meaningless for Bss, as is `size`.
    pub offset: u64,
    /// Bytes in the file.
    pub size: u64,
    /// Bytes in memory; the rest after `size` is zero.
    pub virtual_size: u64,
    /// What the start in memory is a multiple of, in bytes.
    pub alignment: u64,
    /// For people.
    pub name: [u8; 16],
}

/// What a section holds. The discriminants are the codes in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SectionType {
    /// Machine code.
    Code = 1,
    /// Writable data.
    Data = 2,
    /// Writable zeros without bytes in the file.
    Bss = 3,
    /// Data that may not be written.
    RoData = 4,
    /// Never read: symbols are found through the header.
    SymTab = 5,
    /// Relocations of the code image.
    Reloc = 6,
    /// Types, for tools.
    TypeInfo = 7,
    /// A version, for tools.
    Version = 8,
    /// Lines of the source, for tools.
    SrcMap = 9,
}

impl Section {
    /// The type, if its code is defined. Every section of a decoded [`File`](super::File) has one.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> Option<SectionType> {
        Some(match self.type_code {
            1 => SectionType::Code,
            2 => SectionType::Data,
            3 => SectionType::Bss,
            4 => SectionType::RoData,
            5 => SectionType::SymTab,
            6 => SectionType::Reloc,
            7 => SectionType::TypeInfo,
            8 => SectionType::Version,
            9 => SectionType::SrcMap,
            _ => return None,
        })
    }

    /// Where the bytes in the file start and end; `None` when the section has none or the sum exceeds 64
    /// bits.
    pub(crate) fn extent(&self) -> Option<(u64, u64)> {
        let empty = self.size == 0 || self.kind() == Some(SectionType::Bss);
        if empty { None } else { Some((self.offset, self.offset.checked_add(self.size)?)) }
    }

    /// Position of `type` in the file.
    pub(crate) fn type_at(&self) -> u64 {
        self.record
    }

    /// Position of `size` in the file.
    pub(crate) fn size_at(&self) -> u64 {
        self.record.saturating_add(16)
    }

    /// Position of `virtual_size` in the file.
    pub(crate) fn virtual_size_at(&self) -> u64 {
        self.record.saturating_add(24)
    }

    /// Position of `alignment` in the file.
    pub(crate) fn alignment_at(&self) -> u64 {
        self.record.saturating_add(32)
    }
}

impl Record<SIZE> for Section {
    const WIDTHS: &'static [usize] = &[4, 4, 8, 8, 8, 8, 16];

    #[inline]
    fn read(bytes: &[u8; SIZE], record: u64) -> Self {
        let mut fields = Cursor::new(bytes);
        let mut read = || {
            Some(Self {
                record,
                type_code: fields.u32()?,
                flags: fields.u32()?,
                offset: fields.u64()?,
                size: fields.u64()?,
                virtual_size: fields.u64()?,
                alignment: fields.u64()?,
                name: fields.array()?,
            })
        };
        read().unwrap_or_default() // 56 bytes are enough for all fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_the_rules_say() {
        let bytes: Vec<u8> = (0..56).collect();
        let section = Section::read(bytes.as_slice().try_into().unwrap(), 100);
        let low = |value: u64| value & 0xff;
        assert_eq!((section.type_code, section.flags), (0x0302_0100, 0x0706_0504));
        assert_eq!((low(section.offset), 100 + low(section.size)), (8, section.size_at()));
        assert_eq!(100 + low(section.virtual_size), section.virtual_size_at());
        assert_eq!(100 + low(section.alignment), section.alignment_at());
        assert_eq!(section.name.first(), Some(&40));
    }

    #[test]
    fn codes_are_the_discriminants() {
        let kind = |type_code| Section { type_code, ..Section::default() }.kind();
        use SectionType::{Bss, Code, Data, Reloc, RoData, SrcMap, SymTab, TypeInfo, Version};
        let kinds = [Code, Data, Bss, RoData, SymTab, Reloc, TypeInfo, Version, SrcMap];
        assert_eq!((1..=9).filter_map(kind).collect::<Vec<_>>(), kinds);
        assert_eq!((kind(0), kind(10), kind(257)), (None, None, None));
    }
}
