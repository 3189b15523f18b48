//! A model as JSON, in the form that loaders report theirs.
//!
//! One key per region. Integers are numbers, byte strings are hexadecimal text, codes and flags are raw
//! numbers. A field that refers to a string has a sibling with the text: `name_offset` and `name`.

use blobspec::Format;
use blobspec::format::{Content, Field, FieldType, Refers};
use serde_json::{Map, Value as Json};

use crate::evaluate::Context;
use crate::model::{Model, Node, Value};

/// The model of `file` as JSON.
#[must_use]
pub fn model_json(format: &Format, model: &Model, file: &[u8]) -> Json {
    let context = Context { format, file, model };
    let regions = format.regions.iter().zip(&model.regions);
    let entries = regions.map(|(spec, region)| {
        let json = match (&spec.content, &region.node.value) {
            (Content::Strings { .. }, Value::List(strings)) => {
                strings.iter().map(|node| text(node, file)).collect()
            }
            (Content::Stream { opcodes, .. }, Value::List(instructions)) => {
                instructions.iter().map(|node| instruction(format, *opcodes, node)).collect()
            }
            (content, _) => {
                let record = match content {
                    Content::Record(record) | Content::Array { record, .. } => Some(*record),
                    _ => None,
                };
                value(&context, record, &region.node)
            }
        };
        (spec.name.clone(), json)
    });
    Json::Object(entries.collect())
}

fn text(node: &Node, file: &[u8]) -> Json {
    let bytes = node.span.of(file);
    String::from_utf8_lossy(bytes.strip_suffix(b"\0").unwrap_or(bytes)).into()
}

fn instruction(format: &Format, opcodes: usize, node: &Node) -> Json {
    let Value::Instruction(position, values) = &node.value else { return Json::Null };
    let table = &format.opcodes[opcodes];
    let Some(instruction) = table.instructions.get(*position) else { return Json::Null };
    let names = table.before.iter().chain(&instruction.operands).map(|(name, _)| name.clone());
    let mut object =
        Map::from_iter([("mnemonic".to_owned(), Json::from(instruction.mnemonic.clone()))]);
    object.extend(names.zip(values.iter().map(number)));
    Json::Object(object)
}

fn number(node: &Node) -> Json {
    match node.value {
        Value::Int(value) => value.into(),
        _ => node.number().into(),
    }
}

fn value(context: &Context<'_>, record: Option<usize>, node: &Node) -> Json {
    match &node.value {
        Value::Uint(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Bytes => hex(node.span.of(context.file)).into(),
        Value::List(elements) => {
            elements.iter().map(|element| value(context, record, element)).collect()
        }
        Value::Record(fields) => {
            let specs = record
                .and_then(|record| context.format.records.get(record))
                .map(|r| r.fields.as_slice());
            let mut object = Map::new();
            for (spec, node) in specs.unwrap_or_default().iter().zip(fields) {
                field(context, spec, node, &mut object);
            }
            Json::Object(object)
        }
        Value::Instruction(..) => Json::Null,
    }
}

fn field(context: &Context<'_>, spec: &Field, node: &Node, object: &mut Map<String, Json>) {
    if matches!(spec.field_type, FieldType::Pad(_)) {
        return;
    }
    object.insert(spec.name.clone(), value(context, spec.field_type.record(), node));
    if let (Some(Refers::String(region)), Some(short)) =
        (spec.refers, spec.name.strip_suffix("_offset"))
    {
        let string = node.number().and_then(|offset| context.string(region, offset));
        let name = string.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        object.insert(short.to_owned(), name.into());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
