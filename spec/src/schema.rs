//! The JSON Schema of the spec language, for editors.

/// The schema as indented JSON with a final newline, the content of `formats/blobspec.schema.json`.
#[must_use]
pub fn json() -> String {
    let schema = schemars::schema_for!(crate::source::Document);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
