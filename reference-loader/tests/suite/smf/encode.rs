//! A small writer of SMF files. It computes offsets, counts and hashes, and nothing else: what it is told to
//! write may be wrong.

/// A file in the order header, section table, contents, symbols, names.
#[derive(Clone, Debug)]
pub(crate) struct Smf {
    pub(crate) platform: u8,
    pub(crate) arch: u8,
    pub(crate) flags: u32,
    pub(crate) entry_point: u64,
    pub(crate) sections: Vec<Section>,
    pub(crate) symbols: Vec<Symbol>,
}

#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) kind: u32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) virtual_size: u64,
    pub(crate) alignment: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Symbol {
    pub(crate) name: String,
    pub(crate) kind: u8,
    pub(crate) binding: u8,
    pub(crate) value: u64,
    pub(crate) size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Relocation {
    pub(crate) offset: u64,
    pub(crate) symbol: u32,
    pub(crate) kind: u32,
    pub(crate) addend: i64,
}

pub(crate) const CODE: u32 = 1;
pub(crate) const DATA: u32 = 2;
pub(crate) const BSS: u32 = 3;
pub(crate) const RODATA: u32 = 4;
pub(crate) const RELOC: u32 = 6;
pub(crate) const TYPE_INFO: u32 = 7;

pub(crate) const FUNCTION: u8 = 1;
pub(crate) const DATUM: u8 = 2;
pub(crate) const TYPE: u8 = 3;
pub(crate) const CONSTANT: u8 = 6;

pub(crate) const LOCAL: u8 = 0;
pub(crate) const GLOBAL: u8 = 1;
pub(crate) const WEAK: u8 = 2;

pub(crate) const NONE: u32 = 0;
pub(crate) const ABS64: u32 = 1;
pub(crate) const PC32: u32 = 2;
pub(crate) const PLT32: u32 = 3;
pub(crate) const GOTPCREL: u32 = 4;

/// A section of these bytes that takes as many in memory.
pub(crate) fn section(kind: u32, alignment: u64, bytes: &[u8]) -> Section {
    Section { kind, bytes: bytes.to_vec(), virtual_size: bytes.len() as u64, alignment }
}

pub(crate) fn bss(alignment: u64, virtual_size: u64) -> Section {
    Section { kind: BSS, bytes: Vec::new(), virtual_size, alignment }
}

pub(crate) fn relocs(relocations: &[Relocation]) -> Section {
    let mut bytes = Vec::new();
    for relocation in relocations {
        bytes.extend(relocation.offset.to_le_bytes());
        bytes.extend(relocation.symbol.to_le_bytes());
        bytes.extend(relocation.kind.to_le_bytes());
        bytes.extend(relocation.addend.to_le_bytes());
    }
    Section { virtual_size: 0, ..section(RELOC, 8, &bytes) }
}

pub(crate) fn relocation(offset: u64, symbol: u32, kind: u32, addend: i64) -> Relocation {
    Relocation { offset, symbol, kind, addend }
}

pub(crate) fn symbol(name: &str, kind: u8, binding: u8, value: u64, size: u64) -> Symbol {
    Symbol { name: name.into(), kind, binding, value, size }
}

/// An import of any type.
pub(crate) fn import(name: &str, kind: u8, binding: u8) -> Symbol {
    symbol(name, kind, binding, 0, 0)
}

impl Default for Smf {
    fn default() -> Self {
        let arch = u8::from(cfg!(target_arch = "aarch64"));
        Self { platform: 0, arch, flags: 0, entry_point: 0, sections: vec![], symbols: vec![] }
    }
}

impl Smf {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut table = Vec::with_capacity(56 * self.sections.len());
        let mut contents = vec![0; 72 + 56 * self.sections.len()];
        let start = contents.len();
        for section in &self.sections {
            if !section.bytes.is_empty() {
                contents.resize(contents.len().next_multiple_of(16), 0);
            }
            let offset = if section.bytes.is_empty() { 0 } else { contents.len() as u64 };
            contents.extend(&section.bytes);
            table.extend(u64::from(section.kind).to_le_bytes()); // and no flags
            table.extend(offset.to_le_bytes());
            table.extend((section.bytes.len() as u64).to_le_bytes());
            table.extend(section.virtual_size.to_le_bytes());
            table.extend(section.alignment.to_le_bytes());
            table.extend([0; 16]);
        }
        contents[72..start].copy_from_slice(&table);
        contents.resize(contents.len().next_multiple_of(8), 0);
        let symbol_table = contents.len() as u64;
        let mut names = Vec::new();
        for symbol in &self.symbols {
            symbol.encode(&mut contents, names.len() as u32);
            names.extend(symbol.name.as_bytes());
            names.push(0);
        }
        contents.extend(names);
        contents[..72].copy_from_slice(&self.header(symbol_table));
        contents
    }

    fn header(&self, symbol_table: u64) -> Vec<u8> {
        let exported =
            |symbol: &&Symbol| symbol.binding == GLOBAL && (symbol.value | symbol.size) != 0;
        let exported = self.symbols.iter().filter(exported).count();
        let mut header = b"SMF\0\x01\0".to_vec();
        header.extend([self.platform, self.arch]);
        header.extend(self.flags.to_le_bytes());
        header.extend((self.sections.len() as u32).to_le_bytes());
        header.extend(72_u64.to_le_bytes());
        header.extend(symbol_table.to_le_bytes());
        header.extend((self.symbols.len() as u32).to_le_bytes());
        header.extend((exported as u32).to_le_bytes());
        header.extend(self.entry_point.to_le_bytes());
        header.extend([0x0d; 8]); // module hash
        header.extend([0x50; 8]); // source hash
        header.resize(72, 0);
        header
    }
}

impl Symbol {
    fn encode(&self, out: &mut Vec<u8>, name_offset: u32) {
        out.extend(name_offset.to_le_bytes());
        out.extend(fnv1a(self.name.as_bytes()).to_le_bytes());
        out.extend([self.kind, self.binding, 0, 0, 0, 0, 0, 0]);
        out.extend(self.value.to_le_bytes());
        out.extend(self.size.to_le_bytes());
        out.extend([0; 8]);
    }
}

/// Written once more: the loader's own is what is tested.
pub(crate) fn fnv1a(name: &[u8]) -> u32 {
    let mut hash = 2_166_136_261_u32;
    for byte in name {
        hash ^= u32::from(*byte);
        hash = hash.wrapping_mul(16_777_619);
    }
    hash
}
