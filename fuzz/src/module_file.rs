//! SMF files put together from sections, symbols and relocations, and written by the codec.
//!
//! Offsets, counts and hashes are derived; everything else is written as it is given, right or wrong.

use harness_codec::{Draft, Item, RegionDraft, decode, encode};

use crate::SMF;

/// A file to be written.
#[derive(Clone, Debug, Default)]
pub struct ModuleFile {
    /// Whether the code is for 64-bit ARM and not for `x86_64`.
    pub arm64: bool,
    /// In table order, without those that hold relocations.
    pub sections: Vec<Section>,
    /// In table order.
    pub symbols: Vec<Symbol>,
    /// One list for each Reloc section; these come last in the table.
    pub relocations: Vec<Vec<Relocation>>,
}

/// A section.
#[derive(Clone, Debug)]
pub struct Section {
    /// Code of the type.
    pub kind: u64,
    /// What the file holds of it. Bss has nothing.
    pub bytes: Vec<u8>,
    /// Bytes in memory.
    pub virtual_size: u64,
    /// In bytes.
    pub alignment: u64,
}

/// A symbol.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// Its name.
    pub name: String,
    /// Code of the type.
    pub kind: u64,
    /// Code of the binding.
    pub binding: u64,
    /// Offset in its image, in bytes.
    pub value: u64,
    /// In bytes.
    pub size: u64,
}

/// A relocation.
#[derive(Clone, Copy, Debug)]
pub struct Relocation {
    /// Offset in the code image, in bytes.
    pub offset: u64,
    /// Position of the symbol.
    pub symbol: u64,
    /// Code of the type.
    pub kind: u64,
    /// The A of the formulas.
    pub addend: i64,
}

/// Section types.
pub mod section {
    /// Machine code.
    pub const CODE: u64 = 1;
    /// Bytes that can be written.
    pub const DATA: u64 = 2;
    /// Zeros that can be written.
    pub const BSS: u64 = 3;
    /// Bytes that cannot be written.
    pub const RODATA: u64 = 4;
    /// Relocations.
    pub const RELOC: u64 = 6;
    /// Not mapped.
    pub const TYPE_INFO: u64 = 7;
}

/// Symbol types.
pub mod symbol {
    /// An offset in the code image.
    pub const FUNCTION: u64 = 1;
    /// An offset in the data image.
    pub const DATA: u64 = 2;
    /// Not an address.
    pub const TYPE: u64 = 3;
    /// An offset in the data image.
    pub const CONSTANT: u64 = 6;
    /// Bindings: the module alone, everyone, and everyone without need.
    pub const LOCAL: u64 = 0;
    /// See [`LOCAL`].
    pub const GLOBAL: u64 = 1;
    /// See [`LOCAL`].
    pub const WEAK: u64 = 2;
}

/// Relocation types.
pub mod relocation {
    /// Nothing is written.
    pub const NONE: u64 = 0;
    /// S + A.
    pub const ABS64: u64 = 1;
    /// S + A − P.
    pub const PC32: u64 = 2;
    /// S + A − P, by a stub if need be.
    pub const PLT32: u64 = 3;
    /// G + A − P.
    pub const GOTPCREL: u64 = 4;
}

impl ModuleFile {
    /// The file.
    ///
    /// # Panics
    /// When the codec does not write it: the shape is that of the spec, and the file is small.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let region = |item| RegionDraft { at: None, places: Vec::new(), count: None, item };
        let items = [
            self.header(),
            self.section_table(),
            self.contents(),
            self.relocation_lists(),
            Item::List(self.symbols.iter().map(Symbol::item).collect()),
            Item::List(Vec::new()),
        ];
        let draft = Draft {
            regions: items.into_iter().map(region).collect(),
            gaps: Vec::new(),
            cut: None,
            trailing: Vec::new(),
            truncate: None,
        };
        match encode(&SMF, &draft) {
            Ok(encoded) => encoded.bytes,
            Err(error) => panic!("{error}"),
        }
    }

    /// Sizes of code and data, as the codec lays the sections out.
    #[must_use]
    pub fn image_sizes(&self) -> [u64; 2] {
        let sections = Self { sections: self.sections.clone(), ..Self::default() };
        let bytes = sections.encode();
        let linked = harness_codec::link::link(&SMF, &decode(&SMF, &bytes).model, &bytes);
        let size = |image: usize| Some(linked.as_ref()?.images.get(image)?.size);
        [0, 1].map(|image| size(image).unwrap_or(0))
    }

    fn header(&self) -> Item {
        Item::Record(vec![
            Item::Bytes(b"SMF\0".to_vec()),
            Item::Number(1),
            Item::Number(0),
            Item::Number(0), // any platform
            Item::Number(u64::from(self.arm64)),
            Item::Number(0), // no flags
            Item::Derived,   // section_count
            Item::Derived,   // section_table_offset
            Item::Derived,   // symbol_table_offset
            Item::Derived,   // symbol_count
            Item::Derived,   // exported_count
            Item::Number(0), // entry_point
            Item::Number(0), // module_hash
            Item::Number(0), // source_hash
            Item::Bytes(vec![0; 8]),
        ])
    }

    fn section_table(&self) -> Item {
        let reloc =
            Section { kind: section::RELOC, bytes: Vec::new(), virtual_size: 0, alignment: 8 };
        let relocs = self.relocations.iter().map(|_| reloc.item());
        Item::List(self.sections.iter().map(Section::item).chain(relocs).collect())
    }

    fn contents(&self) -> Item {
        let own = self.sections.iter().map(|section| match section.kind {
            section::BSS => Item::Absent,
            _ => Item::Bytes(section.bytes.clone()),
        });
        let relocs = self.relocations.iter().map(|_| Item::Bytes(Vec::new()));
        Item::List(own.chain(relocs).collect())
    }

    fn relocation_lists(&self) -> Item {
        let list = |list: &Vec<Relocation>| Item::List(list.iter().map(Relocation::item).collect());
        let none = self.sections.iter().map(|_| Item::Absent);
        Item::List(none.chain(self.relocations.iter().map(list)).collect())
    }
}

impl Section {
    fn item(&self) -> Item {
        let of_contents =
            || if self.kind == section::BSS { Item::Number(0) } else { Item::Derived };
        Item::Record(vec![
            Item::Number(self.kind),
            Item::Number(0), // no flags
            of_contents(),   // offset
            of_contents(),   // size
            Item::Number(self.virtual_size),
            Item::Number(self.alignment),
            Item::Bytes(vec![0; 16]),
        ])
    }
}

impl Symbol {
    fn item(&self) -> Item {
        Item::Record(vec![
            Item::Name(self.name.clone()),
            Item::Derived, // name_hash
            Item::Number(self.kind),
            Item::Number(self.binding),
            Item::Number(0), // visibility
            Item::Number(0), // flags
            Item::Bytes(vec![0; 4]),
            Item::Number(self.value),
            Item::Number(self.size),
            Item::Number(0), // type_id
            Item::Number(0), // version
        ])
    }
}

impl Relocation {
    fn item(&self) -> Item {
        Item::Record(vec![
            Item::Number(self.offset),
            Item::Number(self.symbol),
            Item::Number(self.kind),
            Item::Number(self.addend.cast_unsigned()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use harness_codec::Verdict;

    use super::*;

    #[test]
    fn what_is_written_is_valid_and_laid_out() {
        let section = |kind, bytes: &[u8], virtual_size, alignment| Section {
            kind,
            bytes: bytes.to_vec(),
            virtual_size,
            alignment,
        };
        let file = ModuleFile {
            sections: vec![
                section(section::CODE, &[0xc3; 12], 12, 16),
                section(section::BSS, &[], 5, 1),
                section(section::RODATA, &[1, 2], 4, 8),
            ],
            symbols: vec![Symbol {
                name: "f".into(),
                kind: symbol::FUNCTION,
                binding: symbol::GLOBAL,
                value: 1,
                size: 1,
            }],
            relocations: vec![vec![Relocation {
                offset: 2,
                symbol: 0,
                kind: relocation::ABS64,
                addend: -1,
            }]],
            arm64: false,
        };
        let decoded = decode(&SMF, &file.encode());
        assert_eq!(decoded.verdict, Verdict::Valid);
        assert_eq!(file.image_sizes(), [12, 4100]);
    }
}
