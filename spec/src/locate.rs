//! Finds the place in a YAML text that a resolved name came from.
//!
//! The YAML parser keeps no spans for what it has parsed; names in a spec are distinctive enough that a
//! search along their path finds the line.

/// Byte offset of the definition that `path` leads to: each step is the key of a mapping, or the `id` or
/// `name` of a list element, searched after the one before it. Steps that are not found are passed over.
#[must_use]
pub(crate) fn definition(text: &str, path: &[&str]) -> usize {
    let mut at = 0;
    for (depth, step) in path.iter().enumerate() {
        let found = occurrences(text, at, step).find(|&i| defines(text, i, step, depth == 0));
        if let Some(found) = found {
            at = found;
        }
    }
    at
}

/// Byte offset of the first mention of `word` at or after the definition that `path` leads to.
#[must_use]
pub(crate) fn mention(text: &str, path: &[&str], word: &str) -> usize {
    let at = definition(text, path);
    occurrences(text, at, word).next().unwrap_or(at)
}

fn occurrences<'a>(text: &'a str, from: usize, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let rest = text.get(from..).unwrap_or_default();
    let matches = if word.is_empty() { "\0" } else { word };
    rest.match_indices(matches).map(move |(i, _)| from + i).filter(move |&i| {
        let before = text.get(..i).and_then(|t| t.chars().next_back());
        let after = text.get(i + word.len()..).and_then(|t| t.chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

fn defines(text: &str, at: usize, word: &str, top: bool) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let after = text.get(at + word.len()..).unwrap_or_default();
    let key = after.starts_with(':') || after.starts_with("\":");
    if top {
        return key && (before.is_empty() || before.ends_with('\n'));
    }
    let before = before.trim_end_matches('"');
    key || before.ends_with("name: ") || before.ends_with("id: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "records:\n  A: {fields: [{name: x}]}\n  B: {fields: [{name: x, type: u8}]}\nrules:\n  - {id: R-1, field: b.x}\n";

    #[test]
    fn finds_along_the_path() {
        let at = definition(TEXT, &["records", "B", "x"]);
        assert!(TEXT[at..].starts_with("x, type"));
        assert!(TEXT[mention(TEXT, &["rules", "R-1"], "b.x")..].starts_with("b.x}"));
    }

    #[test]
    fn an_unknown_step_stays_where_it_was() {
        assert_eq!(definition(TEXT, &["nowhere"]), 0);
    }
}
