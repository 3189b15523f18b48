//! A decoded file as JSON, in the terms of the spec: one key a region, raw codes, lower-case hexadecimal.

use serde_json::{Value, json};

use super::file::File;
use super::header::Header;
use super::names::Names;
use super::relocations::Relocation;
use super::sections::Section;
use super::symbols::Symbol;
use crate::cursor::wide;
use crate::limits::MAX_MODEL;
use crate::model::hex;

/// The model of `file`; `None` when it would be larger than a reply should carry. The offset of a name is
/// followed by the text it leads to; text that is not UTF-8 is shown with replacement characters.
#[must_use]
pub fn model(file: &File<'_>) -> Option<Value> {
    fits(file).then(|| build(file))
}

fn build(file: &File<'_>) -> Value {
    let names = file.names();
    json!({
        "header": header(file.header()),
        "sections": file.sections().iter().map(|record| section(&record)).collect::<Value>(),
        "relocations": file
            .relocations()
            .map(|list| list.iter().map(|record| relocation(&record)).collect::<Value>())
            .collect::<Value>(),
        "symbols": file.symbols().iter().map(|record| symbol(&record, &names)).collect::<Value>(),
    })
}

fn header(header: &Header) -> Value {
    json!({
        "magic": hex(&header.magic),
        "version_major": header.version_major,
        "version_minor": header.version_minor,
        "platform": header.platform,
        "arch": header.arch,
        "flags": header.flags,
        "section_count": header.section_count,
        "section_table_offset": header.section_table_offset,
        "symbol_table_offset": header.symbol_table_offset,
        "symbol_count": header.symbol_count,
        "exported_count": header.exported_count,
        "entry_point": header.entry_point,
        "module_hash": header.module_hash,
        "source_hash": header.source_hash,
        "reserved": hex(&header.reserved),
    })
}

fn section(section: &Section) -> Value {
    json!({
        "type": section.type_code,
        "flags": section.flags,
        "offset": section.offset,
        "size": section.size,
        "virtual_size": section.virtual_size,
        "alignment": section.alignment,
        "name": hex(&section.name),
    })
}

fn relocation(relocation: &Relocation) -> Value {
    json!({
        "offset": relocation.offset,
        "symbol_index": relocation.symbol_index,
        "type": relocation.type_code,
        "addend": relocation.addend,
    })
}

fn symbol(symbol: &Symbol, names: &Names<'_>) -> Value {
    let name = names.at(symbol.name_offset);
    json!({
        "name_offset": symbol.name_offset,
        "name": name.map_or(Value::Null, |name| String::from_utf8_lossy(name).into()),
        "name_hash": symbol.name_hash,
        "type": symbol.type_code,
        "binding": symbol.binding_code,
        "visibility": symbol.visibility,
        "flags": symbol.flags,
        "value": symbol.value,
        "size": symbol.size,
        "type_id": symbol.type_id,
        "version": symbol.version,
    })
}

/// Whether the JSON of `file` stays below the limit: numbers at their longest, text as if every character
/// were written as `\u0000`. Stops counting as soon as it does not.
fn fits(file: &File<'_>) -> bool {
    const HEADER: u64 = 512;
    const SECTION: u64 = 256;
    const RELOCATION: u64 = 112;
    const SYMBOL: u64 = 256;
    const CHARACTER: u64 = 6;
    let names = file.names();
    let sections = file.sections().iter().map(|_| SECTION);
    let relocations = file.relocations().map(|list| RELOCATION.saturating_mul(wide(list.len())));
    let symbols = file.symbols().iter().map(|symbol| {
        let name = names.at(symbol.name_offset).unwrap_or_default();
        SYMBOL + CHARACTER * wide(name.len())
    });
    let mut sizes = [HEADER].into_iter().chain(sections).chain(relocations).chain(symbols);
    let limit = wide(MAX_MODEL);
    sizes.try_fold(0_u64, |sum, size| sum.checked_add(size).filter(|sum| *sum <= limit)).is_some()
}
