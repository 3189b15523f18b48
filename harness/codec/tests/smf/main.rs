//! SMF as the codec reads it, on files written byte by byte here: what is wrong with them and where, what they
//! become in memory. Every number is computed by hand from the document.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hostile;
mod images;
mod order;
mod relocations;

use std::sync::LazyLock;

use blobspec::Format;
use harness_codec::link::{Linked, link};
use harness_codec::{Verdict, decode};

/// Section types by their codes.
pub(crate) const CODE: u32 = 1;
pub(crate) const DATA: u32 = 2;
pub(crate) const BSS: u32 = 3;
pub(crate) const RODATA: u32 = 4;
pub(crate) const RELOC: u32 = 6;

/// Relocation types by their codes.
pub(crate) const NONE: u32 = 0;
pub(crate) const ABS64: u32 = 1;
pub(crate) const PC32: u32 = 2;
pub(crate) const PLT32: u32 = 3;
pub(crate) const GOTPCREL: u32 = 4;

/// Symbol types and bindings by their codes.
pub(crate) const FUNCTION: u8 = 1;
pub(crate) const OBJECT: u8 = 2;
pub(crate) const LOCAL: u8 = 0;
pub(crate) const GLOBAL: u8 = 1;
pub(crate) const WEAK: u8 = 2;

pub(crate) const HEADER: u64 = 72;
pub(crate) const SECTION: u64 = 56;

/// One section: type, offset, size, virtual size, alignment.
pub(crate) type Section = (u32, u64, u64, u64, u64);

/// One symbol: name, type, binding, value, size.
pub(crate) type Symbol<'a> = (&'a str, u8, u8, u64, u64);

/// One relocation: offset, symbol, type, addend.
pub(crate) type Relocation = (u64, u32, u32, i64);

static SMF: LazyLock<Format> =
    LazyLock::new(|| blobspec::builtin("smf").unwrap().unwrap().format().clone());

pub(crate) fn smf() -> Format {
    SMF.clone()
}

pub(crate) fn section((kind, offset, size, memory, align): Section) -> Vec<u8> {
    let numbers = [offset, size, memory, align].map(u64::to_le_bytes).concat();
    [&kind.to_le_bytes()[..], &[0; 4], &numbers, &[0; 16]].concat()
}

pub(crate) fn relocation((offset, symbol, kind, addend): Relocation) -> Vec<u8> {
    let (symbol, kind) = (symbol.to_le_bytes(), kind.to_le_bytes());
    [&offset.to_le_bytes()[..], &symbol, &kind, &addend.to_le_bytes()].concat()
}

/// FNV-1a with the constants of the document.
fn hash(name: &str) -> u32 {
    name.bytes().fold(2_166_136_261, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}

/// Header, section table, `contents`, symbols, names; nothing between them.
pub(crate) fn file(sections: &[Section], contents: &[u8], symbols: &[Symbol<'_>]) -> Vec<u8> {
    let table: Vec<u8> = sections.iter().flat_map(|record| section(*record)).collect();
    let (mut records, mut names) = (Vec::new(), Vec::new());
    let mut exported = 0_u32;
    for &(name, kind, binding, value, size) in symbols {
        exported += u32::from(binding == GLOBAL && (value, size) != (0, 0));
        records.extend(u32::try_from(names.len()).unwrap().to_le_bytes());
        records.extend(hash(name).to_le_bytes());
        records.extend([kind, binding, 0, 0, 0, 0, 0, 0]);
        records.extend([value, size].map(u64::to_le_bytes).concat());
        records.extend([0; 8]);
        names.extend_from_slice(name.as_bytes());
        names.push(0);
    }
    let mut file = b"SMF\0\x01\0\0\0\0\0\0\0".to_vec();
    file.extend(u32::try_from(sections.len()).unwrap().to_le_bytes());
    file.extend(HEADER.to_le_bytes());
    file.extend((HEADER + (table.len() + contents.len()) as u64).to_le_bytes());
    file.extend(u32::try_from(symbols.len()).unwrap().to_le_bytes());
    file.extend(exported.to_le_bytes());
    file.resize(72, 0);
    [file, table, contents.to_vec(), records, names].concat()
}

/// Where the contents of a file with so many sections start.
pub(crate) fn contents_at(sections: u64) -> u64 {
    HEADER + SECTION * sections
}

/// A valid file of `code` bytes of code, one section of `data` bytes, and these symbols and relocations.
pub(crate) fn module(
    code: u64,
    data: u64,
    symbols: &[Symbol<'_>],
    relocations: &[Relocation],
) -> Vec<u8> {
    let at = contents_at(3);
    let records: Vec<u8> = relocations.iter().flat_map(|record| relocation(*record)).collect();
    let sections = [
        (CODE, at, code, code, 16),
        (DATA, at + code, data, data, 16),
        (RELOC, at + code + data, records.len() as u64, 0, 0),
    ];
    let bytes = vec![0xcc; usize::try_from(code + data).unwrap()];
    file(&sections, &[bytes, records].concat(), symbols)
}

/// The rule and offset that a file is reported by; `None`: it is valid.
pub(crate) fn reported(file: &[u8]) -> Option<(String, u64)> {
    match decode(&smf(), file).verdict {
        Verdict::Valid => None,
        Verdict::Rejected { rule, offset, .. } => Some((rule, offset)),
    }
}

/// A valid file as a linker sees it.
#[track_caller]
pub(crate) fn linked(format: &Format, file: &[u8]) -> Linked {
    let decoded = decode(format, file);
    assert_eq!(decoded.verdict, Verdict::Valid);
    link(format, &decoded.model, file).unwrap()
}
