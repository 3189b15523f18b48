//! A model as JSON, in the form that loaders report theirs.
//!
//! One key per region. Integers are numbers, byte strings are hexadecimal text, codes and flags are raw
//! numbers. A field that refers to a string has a sibling with the text: `name_offset` and `name`. Text past
//! [`MAX_MODEL_TEXT`] bytes is `null`, and so are payloads that share too many bytes.

use blobspec::Format;
use blobspec::format::{Content, Field, FieldType, Refers};
use serde_json::{Map, Value as Json};

use crate::evaluate::Context;
use crate::limits::MAX_MODEL_TEXT;
use crate::model::{Model, Node, Value};

/// The model of `file` as JSON.
#[must_use]
pub fn model_json(format: &Format, model: &Model, file: &[u8]) -> Json {
    let mut writer = Writer { context: Context::new(format, file, model), text: MAX_MODEL_TEXT };
    let regions = format.regions.iter().zip(&model.regions);
    let entries = regions.map(|(spec, region)| {
        let json = match (&spec.content, &region.node.value) {
            (Content::Strings { .. }, Value::List(strings)) => {
                strings.iter().map(|node| text(node, file)).collect()
            }
            (Content::Stream { opcodes, .. }, Value::List(instructions)) => {
                instructions.iter().map(|node| instruction(format, *opcodes, node)).collect()
            }
            (Content::Inside { record, .. }, Value::List(lists)) => {
                let present = lists.iter().filter(|list| list.value != Value::Absent);
                present.map(|list| writer.value(Some(*record), list)).collect()
            }
            (Content::Payloads(_), _) if region.is_copied_too_often(&spec.content, file) => {
                Json::Null
            }
            _ => writer.value(spec.record(), &region.node),
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

struct Writer<'a> {
    context: Context<'a>,
    /// Bytes of text that may still be repeated.
    text: usize,
}

impl Writer<'_> {
    fn value(&mut self, record: Option<usize>, node: &Node) -> Json {
        match &node.value {
            Value::Uint(value) => (*value).into(),
            Value::Int(value) => (*value).into(),
            Value::Bytes => hex(node.span.of(self.context.file)).into(),
            Value::List(elements) => {
                elements.iter().map(|element| self.value(record, element)).collect()
            }
            Value::Record(fields) => {
                let format = self.context.format;
                let spec = record.and_then(|record| format.records.get(record));
                let mut object = Map::new();
                for (spec, node) in spec.into_iter().flat_map(|r| &r.fields).zip(fields) {
                    self.field(spec, node, &mut object);
                }
                Json::Object(object)
            }
            Value::Absent | Value::Instruction(..) => Json::Null,
        }
    }

    fn field(&mut self, spec: &Field, node: &Node, object: &mut Map<String, Json>) {
        if matches!(spec.field_type, FieldType::Pad(_)) {
            return;
        }
        object.insert(spec.name.clone(), self.value(spec.field_type.record(), node));
        if let (Some(Refers::String(region)), Some(short)) =
            (spec.refers, spec.name.strip_suffix("_offset"))
        {
            let text = node.number().and_then(|offset| self.name(region, offset));
            object.insert(short.to_owned(), text.into());
        }
    }

    fn name(&mut self, region: usize, offset: u64) -> Option<String> {
        let bytes = self.context.string(region, offset)?;
        self.text = self.text.checked_sub(bytes.len())?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
