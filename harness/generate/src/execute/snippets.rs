//! Machine code that was assembled beforehand, so that vectors are made alike where there is no assembler.
//!
//! `x86_64.s` and `arm64.s` are the sources; a test assembles them and compares, or writes `snippets.json` anew.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use harness_protocol::HexBytes;
use serde::Deserialize;

/// A function of a few instructions.
#[derive(Debug, Deserialize)]
pub(crate) struct Snippet {
    pub(crate) bytes: HexBytes,
    /// One instruction a line, with its offset.
    pub(crate) disassembly: Vec<String>,
    /// Offsets by name.
    #[serde(default)]
    pub(crate) marks: BTreeMap<String, u64>,
}

/// Architecture → name → snippet.
type Table = BTreeMap<String, BTreeMap<String, Snippet>>;

/// `None` would be a file that does not belong here; a test of this module sees it.
static TABLE: LazyLock<Option<Table>> =
    LazyLock::new(|| serde_json::from_str(include_str!("snippets.json")).ok());

/// The snippet of that name; `None` where the architecture has none.
pub(crate) fn snippet(architecture: &str, name: &str) -> Option<&'static Snippet> {
    TABLE.as_ref()?.get(architecture)?.get(name)
}

/// The code of a module: what nobody calls, then the tested snippet.
#[derive(Clone)]
pub(crate) struct Code {
    pub(crate) bytes: Vec<u8>,
    /// Offset of the snippet.
    pub(crate) entry: u64,
    pub(crate) snippet: &'static Snippet,
    pub(crate) architecture: String,
}

impl Code {
    /// `None` where the architecture has no such snippet.
    pub(crate) fn of(architecture: &str, name: &str) -> Option<Self> {
        let mut code = Self {
            bytes: snippet(architecture, "elsewhere")?.bytes.0.clone(),
            entry: 0,
            snippet: snippet(architecture, name)?,
            architecture: architecture.to_owned(),
        };
        code.entry = code.append(name)?;
        Some(code)
    }

    /// Adds a snippet behind the others, aligned to 16 bytes; its offset.
    pub(crate) fn append(&mut self, name: &str) -> Option<u64> {
        let more = &snippet(&self.architecture, name)?.bytes.0;
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let offset = self.bytes.len() as u64;
        self.bytes.extend(more);
        Some(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_and_every_snippet_shows_its_code() {
        let table = TABLE.as_ref().unwrap();
        assert_eq!(table.keys().collect::<Vec<_>>(), ["arm64", "x86_64"]);
        for (name, snippet) in table.values().flatten() {
            assert!(!snippet.bytes.0.is_empty() && !snippet.disassembly.is_empty(), "{name}");
            let length = snippet.bytes.0.len() as u64;
            assert!(snippet.marks.values().all(|mark| *mark < length), "{name}");
        }
    }

    #[test]
    fn every_case_has_code_where_it_says() {
        for case in crate::execute::cases() {
            let has = |architecture| snippet(architecture, case.snippet).is_some();
            match case.alone {
                Some((architecture, _)) => assert!(has(architecture), "{}", case.name),
                None => assert!(has("x86_64") && has("arm64"), "{}", case.name),
            }
        }
    }
}
