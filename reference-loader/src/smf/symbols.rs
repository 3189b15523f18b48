//! The symbol table (clause “pub struct SmfSymbol”, in C layout: choice smf.symbol-size).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::table::{Record, Table};
use crate::cursor::Cursor;

/// Size of a record in bytes.
pub const SIZE: usize = 40;

/// The symbol table.
pub type Symbols<'a> = Table<'a, Symbol, SIZE>;

/// One record, each field as the file has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Symbol {
    /// Where the record starts, in bytes from the start of the file.
    pub record: u64,
    /// Where the name starts, in bytes from the start of the string table.
    pub name_offset: u32,
    /// FNV-1a of the name.
    pub name_hash: u32,
    /// Code of the type; see [`Symbol::kind`].
    pub type_code: u8,
    /// Code of the binding; see [`Symbol::binding`].
    pub binding_code: u8,
    /// A hint for linkers.
    pub visibility: u8,
    /// Hints for linkers.
    pub flags: u8,
    /// Offset in the image that the type says, in bytes.
    pub value: u64,
    /// Size in bytes.
    pub size: u64,
    /// A hint for debuggers.
    pub type_id: u32,
    /// Version of the symbol.
    pub version: u32,
}

/// What a symbol stands for. The discriminants are the codes in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SymbolType {
    /// A function: an offset in the code image.
    Function = 1,
    /// A datum: an offset in the data image.
    Data = 2,
    /// A type; not an address.
    Type = 3,
    /// A trait; not an address.
    Trait = 4,
    /// An actor; not an address.
    Actor = 5,
    /// A constant: an offset in the data image.
    Constant = 6,
}

impl SymbolType {
    /// Whether the value is an offset in an image (choice smf.symbol-section).
    #[inline]
    #[must_use]
    pub fn is_address(self) -> bool {
        matches!(self, Self::Function | Self::Data | Self::Constant)
    }
}

/// Who sees a symbol. The discriminants are the codes in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// The module alone.
    Local = 0,
    /// Everyone.
    Global = 1,
    /// Nobody needs to define it.
    Weak = 2,
}

impl Symbol {
    /// The type, if its code is defined. Every symbol of a decoded [`File`](super::File) has one.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> Option<SymbolType> {
        Some(match self.type_code {
            1 => SymbolType::Function,
            2 => SymbolType::Data,
            3 => SymbolType::Type,
            4 => SymbolType::Trait,
            5 => SymbolType::Actor,
            6 => SymbolType::Constant,
            _ => return None,
        })
    }

    /// The binding, if its code is defined. Every symbol of a decoded [`File`](super::File) has one.
    #[inline]
    #[must_use]
    pub fn binding(&self) -> Option<Binding> {
        Some(match self.binding_code {
            0 => Binding::Local,
            1 => Binding::Global,
            2 => Binding::Weak,
            _ => return None,
        })
    }

    /// Whether the symbol is defined elsewhere (choice smf.defined).
    #[inline]
    #[must_use]
    pub fn is_import(&self) -> bool {
        self.binding() != Some(Binding::Local) && self.value == 0 && self.size == 0
    }

    /// Whether the module defines the symbol for others.
    #[inline]
    #[must_use]
    pub fn is_export(&self) -> bool {
        self.binding() == Some(Binding::Global) && !self.is_import()
    }

    /// Position of `name_offset` in the file.
    pub(crate) fn name_at(&self) -> u64 {
        self.record
    }

    /// Position of `name_hash` in the file.
    pub(crate) fn hash_at(&self) -> u64 {
        self.record.saturating_add(4)
    }

    /// Position of `type` in the file.
    pub(crate) fn type_at(&self) -> u64 {
        self.record.saturating_add(8)
    }

    /// Position of `binding` in the file.
    pub(crate) fn binding_at(&self) -> u64 {
        self.record.saturating_add(9)
    }
}

impl Record<SIZE> for Symbol {
    const WIDTHS: &'static [usize] = &[4, 4, 1, 1, 1, 1, 4, 8, 8, 4, 4];

    #[inline]
    fn read(bytes: &[u8; SIZE], record: u64) -> Self {
        let mut fields = Cursor::new(bytes);
        let mut read = || {
            let (name_offset, name_hash) = (fields.u32()?, fields.u32()?);
            let [type_code, binding_code, visibility, flags, _, _, _, _] = fields.array()?;
            Some(Self {
                record,
                name_offset,
                name_hash,
                type_code,
                binding_code,
                visibility,
                flags,
                value: fields.u64()?,
                size: fields.u64()?,
                type_id: fields.u32()?,
                version: fields.u32()?,
            })
        };
        read().unwrap_or_default() // 40 bytes are enough for all fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_the_rules_say() {
        let bytes: Vec<u8> = (0..40).collect();
        let symbol = Symbol::read(bytes.as_slice().try_into().unwrap(), 100);
        assert_eq!((symbol.name_at(), symbol.hash_at() & 0xff), (100, 104));
        assert_eq!((symbol.name_offset, symbol.name_hash), (0x0302_0100, 0x0706_0504));
        assert_eq!(100 + u64::from(symbol.type_code), symbol.type_at());
        assert_eq!(100 + u64::from(symbol.binding_code), symbol.binding_at());
        assert_eq!((symbol.visibility, symbol.flags), (10, 11));
        assert_eq!((symbol.value & 0xff, symbol.size & 0xff), (16, 24));
        assert_eq!((symbol.type_id & 0xff, symbol.version & 0xff), (32, 36));
    }

    #[test]
    fn value_and_size_tell_definitions_from_imports() {
        let symbol =
            |binding_code, value, size| Symbol { binding_code, value, size, ..Symbol::default() };
        assert!(symbol(1, 0, 0).is_import() && symbol(2, 0, 0).is_import());
        assert!(!symbol(0, 0, 0).is_import() && !symbol(1, 1, 0).is_import());
        assert!(symbol(1, 0, 1).is_export() && !symbol(2, 0, 1).is_export());
        assert!(!symbol(0, 1, 1).is_export() && !symbol(1, 0, 0).is_export());
    }
}
