//! The bytes of an SMF module (clauses of spec/formats/smf.yaml): header, section table, the sections' bytes,
//! relocations, symbols, names.

use crate::pack::smf::{
    Binding, Module, Relocation, RelocationKind, SectionKind, Symbol, SymbolKind,
};

/// What the header says beside what follows from the objects.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SmfHeader {
    /// Whether the module may be replaced while it is in use.
    pub(crate) reloadable: bool,
    /// Which state of its source it was made from; 0 if that is not known.
    pub(crate) source_hash: u64,
}

const HEADER_SIZE: usize = 72;
const SECTION_SIZE: usize = 56;

pub(crate) fn smf(
    _: &blobspec::Format,
    module: &Module,
    header: SmfHeader,
) -> Result<Vec<u8>, crate::failure::Failure> {
    let relocations: Vec<u8> = module.relocations.iter().flat_map(relocation).collect();
    let with_relocations = usize::from(!relocations.is_empty());
    let count = module.sections.len() + with_relocations;
    let mut body = vec![0; HEADER_SIZE + count * SECTION_SIZE];
    let mut table = Vec::new();
    for section in &module.sections {
        let (code, flags) = match section.kind {
            SectionKind::Code => (1_u32, 5_u32),
            SectionKind::Data => (2, 3),
            SectionKind::Bss => (3, 3),
            SectionKind::RoData => (4, 1),
        };
        pad(&mut body, 16);
        table.extend(code.to_le_bytes());
        table.extend(flags.to_le_bytes());
        let offset = if section.kind == SectionKind::Bss { 0 } else { word(body.len()) };
        for value in [offset, word(section.bytes.len()), section.virtual_size, section.align] {
            table.extend(value.to_le_bytes());
        }
        table.extend(name16(section.name));
        body.extend(&section.bytes);
    }
    if with_relocations == 1 {
        pad(&mut body, 16);
        table.extend(6_u32.to_le_bytes());
        table.extend(1_u32.to_le_bytes());
        for value in [word(body.len()), word(relocations.len()), 0, 8] {
            table.extend(value.to_le_bytes());
        }
        table.extend(name16(".rela"));
        body.extend(relocations);
    }
    pad(&mut body, 8);
    let symbols_at = body.len();
    let mut names = Vec::new();
    for symbol in &module.symbols {
        body.extend(self::symbol(symbol, names.len()));
        names.extend(symbol.name.as_bytes());
        names.push(0);
    }
    body.extend(names);
    let mut head = b"SMF\0\x01\x00\x01\x00".to_vec();
    let flags = u32::from(module.entry.is_some()) | u32::from(header.reloadable) << 1;
    head.extend(flags.to_le_bytes());
    head.extend(half(count).to_le_bytes());
    head.extend(word(HEADER_SIZE).to_le_bytes());
    head.extend(word(symbols_at).to_le_bytes());
    head.extend(half(module.symbols.len()).to_le_bytes());
    head.extend(half(module.exports().count()).to_le_bytes());
    for value in [module.entry.unwrap_or(0), 0, header.source_hash, 0] {
        head.extend(value.to_le_bytes());
    }
    head.extend(table);
    body.splice(..head.len(), head);
    Ok(body)
}

fn relocation(relocation: &Relocation) -> Vec<u8> {
    let code: u32 = match relocation.kind {
        RelocationKind::Abs64 => 1,
        RelocationKind::Pc32 => 2,
        RelocationKind::Plt32 => 3,
        RelocationKind::GotPcRel => 4,
    };
    let mut bytes = relocation.offset.to_le_bytes().to_vec();
    bytes.extend(relocation.symbol.to_le_bytes());
    bytes.extend(code.to_le_bytes());
    bytes.extend(relocation.addend.to_le_bytes());
    bytes
}

fn symbol(symbol: &Symbol, name: usize) -> Vec<u8> {
    let kind = match symbol.kind {
        SymbolKind::Function => 1,
        SymbolKind::Data => 2,
        SymbolKind::Constant => 6,
    };
    let binding = match symbol.binding {
        Binding::Local => 0,
        Binding::Global => 1,
        Binding::Weak => 2,
    };
    let mut bytes = half(name).to_le_bytes().to_vec();
    let hash = symbol
        .name
        .bytes()
        .fold(2_166_136_261_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
    bytes.extend(hash.to_le_bytes());
    bytes.extend([kind, binding, symbol.visibility, 0, 0, 0, 0, 0]);
    bytes.extend(symbol.value.to_le_bytes());
    bytes.extend(symbol.size.to_le_bytes());
    bytes.extend([0; 8]);
    bytes
}

fn name16(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(name.bytes()).for_each(|(byte, value)| *byte = value);
    bytes
}

fn pad(bytes: &mut Vec<u8>, align: usize) {
    bytes.resize(bytes.len().next_multiple_of(align), 0);
}

fn word(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

fn half(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
