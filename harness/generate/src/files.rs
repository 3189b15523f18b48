//! The files under `conformance/`: one JSON file a group, written and compared.

use std::collections::BTreeMap;

use harness_protocol::{Vector, VectorFile};

use crate::suite::Suite;

/// File name → content, for everything that belongs below `conformance/FORMAT/`.
///
/// One vector a line, so that a change shows as the vectors that changed.
#[must_use]
pub fn files(suite: &Suite) -> BTreeMap<String, String> {
    let mut groups: BTreeMap<&str, Vec<&Vector>> = BTreeMap::new();
    for (vector, group) in suite.vectors.iter().zip(&suite.groups) {
        groups.entry(group).or_default().push(vector);
    }
    groups
        .into_iter()
        .map(|(group, vectors)| (format!("{group}.json"), file(suite, group, &vectors)))
        .collect()
}

fn file(suite: &Suite, group: &str, vectors: &[&Vector]) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let lines: Vec<String> =
        vectors.iter().map(|vector| serde_json::to_string(vector).unwrap_or_default()).collect();
    format!(
        "{{\"format\":{},\"version\":{},\"group\":{},\"vectors\":[\n{}\n]}}\n",
        quoted(&suite.format),
        quoted(&suite.version),
        quoted(group),
        lines.join(",\n")
    )
}

/// Reads one file back.
///
/// # Errors
/// When it is not a vector file; the message has line and column.
pub fn parse(text: &str) -> Result<VectorFile, serde_json::Error> {
    serde_json::from_str(text)
}
