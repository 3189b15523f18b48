//! A decoded file as JSON, in the terms of the spec: one key a region, raw codes, lower-case hexadecimal.

use serde_json::{Value, json};

use crate::cursor::wide;
use crate::dependencies::Dependency;
use crate::file::File;
use crate::functions::Function;
use crate::header::Header;
use crate::limits::MAX_MODEL;
use crate::strings::Strings;
use crate::types::Type;

/// The model of `file`; `None` when it would be larger than a reply should carry. Every offset of a name is
/// followed by the text it refers to; text that is not UTF-8 is shown with replacement characters.
#[must_use]
pub fn model(file: &File<'_>) -> Option<Value> {
    fits(file).then(|| build(file))
}

fn build(file: &File<'_>) -> Value {
    let strings = file.strings();
    json!({
        "header": header(file.header()),
        "functions": file.functions().map(|entry| function(&entry, &strings)).collect::<Value>(),
        "types": file.types().map(|entry| structure(&entry, &strings)).collect::<Value>(),
        "dependencies":
            file.dependencies().map(|entry| dependency(&entry, &strings)).collect::<Value>(),
        "strings": strings.iter().map(text).collect::<Value>(),
        "slack": hex(file.slack()),
        "code": hex(file.code()),
    })
}

fn header(header: &Header) -> Value {
    json!({
        "magic": hex(&header.magic),
        "version_major": header.version_major,
        "version_minor": header.version_minor,
        "header_size": header.header_size,
        "code_blob_size": header.code_blob_size,
        "architecture": header.architecture,
        "calling_convention": header.calling_convention,
        "flags": header.flags,
        "checksum": header.checksum,
        "reserved": hex(&header.reserved),
    })
}

fn function(entry: &Function<'_>, strings: &Strings<'_>) -> Value {
    json!({
        "name_offset": entry.name_offset,
        "name": name(strings, entry.name_offset),
        "entry_offset": entry.entry_offset,
        "param_count": entry.params.len(),
        "params": entry.params,
        "return_type": entry.return_type,
        "flags": entry.flags,
    })
}

fn structure(entry: &Type<'_>, strings: &Strings<'_>) -> Value {
    let field =
        |field: crate::types::Field| json!({"offset": field.offset, "type_code": field.type_code});
    json!({
        "id": entry.id,
        "name_offset": entry.name_offset,
        "name": name(strings, entry.name_offset),
        "size": entry.size,
        "field_count": entry.fields().len(),
        "fields": entry.fields().map(field).collect::<Value>(),
    })
}

fn dependency(entry: &Dependency, strings: &Strings<'_>) -> Value {
    json!({
        "name_offset": entry.name_offset,
        "name": name(strings, entry.name_offset),
        "required_version": entry.required_version,
    })
}

fn name(strings: &Strings<'_>, name_offset: u32) -> Value {
    strings.at(name_offset).map_or(Value::Null, text)
}

fn text(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Whether the JSON of `file` stays below the limit: entries at their longest, text as if every character
/// were written as `\u0000`. Stops counting as soon as it does not.
fn fits(file: &File<'_>) -> bool {
    const ENTRY: u64 = 192;
    const ELEMENT: u64 = 48;
    const CHARACTER: u64 = 6;
    let strings = file.strings();
    let entry = |name_offset: u32, elements: usize| {
        let name = strings.at(name_offset).map_or(0, |name| wide(name.len()));
        ENTRY + CHARACTER * name + ELEMENT * wide(elements)
    };
    let functions = file.functions().map(|f| entry(f.name_offset, f.params.len()));
    let types = file.types().map(|t| entry(t.name_offset, t.fields().len()));
    let dependencies = file.dependencies().map(|d| entry(d.name_offset, 0));
    let strings = strings.iter().map(|text| ELEMENT + CHARACTER * wide(text.len()));
    let rest = [512, 2 * wide(file.slack().len()), 2 * wide(file.code().len())];
    let mut sizes = functions.chain(types).chain(dependencies).chain(strings).chain(rest);
    let limit = wide(MAX_MODEL);
    sizes.try_fold(0_u64, |sum, size| sum.checked_add(size).filter(|sum| *sum <= limit)).is_some()
}
