//! The JSON Schema of the spec language, for editors.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// The schema as indented JSON with a final newline, the content of `formats/blobspec.schema.json`.
///
/// Draft 7, which every editor understands.
#[must_use]
pub fn json() -> String {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<crate::source::Document>().to_value();
    if let Some(rule) = schema.pointer_mut("/definitions/Rule") {
        *rule = closed(rule);
    }
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// A rule has keys of its own and those of its kind. Derived, that is a schema with open alternatives, which
/// takes any misspelt key; here each alternative lists all the keys of its kind and allows no others.
fn closed(rule: &Value) -> Value {
    let object = |value: Option<&Value>| value.and_then(Value::as_object).cloned();
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned();
    let common = object(rule.get("properties")).unwrap_or_default();
    let required = list(rule.get("required")).unwrap_or_default();
    let kinds = list(rule.get("oneOf")).unwrap_or_default().into_iter().map(|kind| {
        let mut kind = object(Some(&kind)).unwrap_or_default();
        let mut properties = common.clone();
        properties.extend(object(kind.get("properties")).unwrap_or_default());
        let needed = [required.clone(), list(kind.get("required")).unwrap_or_default()].concat();
        kind.insert("properties".into(), properties.into());
        kind.insert("required".into(), needed.into());
        kind.insert("additionalProperties".into(), false.into());
        Value::from(kind)
    });
    let mut closed = Map::new();
    closed.extend(rule.get("description").map(|text| ("description".to_owned(), text.clone())));
    closed.insert("oneOf".into(), kinds.collect::<Vec<_>>().into());
    closed.into()
}
