//! Finds the place in a YAML text that a name came from.
//!
//! The deserializer keeps no places for what it has read. When something is wrong, the text is parsed once
//! more, into a tree of nothing but keys, scalars and where they stand; comments and quotes are the parser's
//! business, and a word elsewhere in the text is not mistaken for the one in question.

use std::collections::VecDeque;
use std::ops::Range;

use saphyr_parser::{Event, Parser, Span};

use crate::limits::MAX_YAML_DEPTH;

/// Byte offset of the definition that `path` leads to: each step is the key of a mapping, or the `id` or
/// `name` of a list element, at any depth below the one before it (the nearest one counts). Steps that are not
/// found are passed over.
#[must_use]
pub(crate) fn definition(text: &str, path: &[&str]) -> usize {
    Tree::parse(text).walk(path).0
}

/// Byte offset of the second definition that `path` leads to, where there are two.
#[must_use]
pub(crate) fn second_definition(text: &str, path: &[&str]) -> usize {
    let tree = Tree::parse(text);
    let Some((last, above)) = path.split_last() else { return 0 };
    let (first, node) = tree.walk(above);
    node.and_then(|node| node.entries(last).nth(1)).map_or(first, |(at, _)| at)
}

/// Byte offset of `word` in the definition that `path` leads to: the value that it is, else a value that it is
/// part of, else a key; the definition itself when it is nowhere.
#[must_use]
pub(crate) fn mention(text: &str, path: &[&str], word: &str) -> usize {
    let tree = Tree::parse(text);
    let (at, node) = tree.walk(path);
    let Some(node) = node.or(path.is_empty().then_some(&tree.root)) else { return at };
    let mut scalars = Vec::new();
    node.scalars(&mut scalars);
    let whole = scalars.iter().find(|scalar| !scalar.is_key && scalar.text == word);
    let part = || {
        scalars.iter().filter(|scalar| !scalar.is_key).find_map(|scalar| {
            let raw = text.get(scalar.place.clone())?;
            Some(scalar.place.start + word_in(raw, word)?)
        })
    };
    let key = || scalars.iter().find(|scalar| scalar.is_key && scalar.text == word);
    whole
        .map(|scalar| scalar.place.start)
        .or_else(part)
        .or_else(|| key().map(|scalar| scalar.place.start))
        .unwrap_or(at)
}

/// Byte offset of the first key or value `word` at or after `from`.
#[must_use]
pub(crate) fn scalar_from(text: &str, from: usize, word: &str) -> Option<usize> {
    let tree = Tree::parse(text);
    let mut scalars = Vec::new();
    tree.root.scalars(&mut scalars);
    let found = scalars.iter().find(|s| s.place.start >= from && s.text == word)?;
    Some(found.place.start)
}

/// The key that stands twice in one mapping, and where it does so the second time.
#[must_use]
pub(crate) fn repeated_key(text: &str) -> Option<(usize, String)> {
    Tree::parse(text).root.repeated_key()
}

/// Where `word` stands in `text` without being part of a longer word.
fn word_in(text: &str, word: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let matches = text.match_indices(if word.is_empty() { "\0" } else { word });
    matches.map(|(at, _)| at).find(|&at| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|t| t.chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

struct Tree {
    root: Node,
}

struct Scalar {
    text: String,
    place: Range<usize>,
    is_key: bool,
}

enum Node {
    Scalar(Scalar),
    Mapping(Vec<(Scalar, Node)>),
    List(Vec<Node>),
}

impl Tree {
    fn parse(text: &str) -> Self {
        let offsets = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let mut builder = Builder { parser: Parser::new_from_str(text), offsets };
        let root = loop {
            match builder.next() {
                Some((Event::StreamStart | Event::DocumentStart(_), _)) => {}
                Some((event, span)) => break builder.node(&event, span, MAX_YAML_DEPTH),
                None => break None,
            }
        };
        Self { root: root.unwrap_or(Node::List(Vec::new())) }
    }

    /// The place and content of what `path` leads to; no content when no step was found.
    fn walk(&self, path: &[&str]) -> (usize, Option<&Node>) {
        let (mut at, mut node) = (0, None);
        for step in path {
            if let Some((place, found)) = node.unwrap_or(&self.root).nearest(step) {
                (at, node) = (place, Some(found));
            }
        }
        (at, node)
    }
}

impl Node {
    /// The nearest entry of that name, level by level.
    fn nearest(&self, name: &str) -> Option<(usize, &Self)> {
        let mut level = VecDeque::from([self]);
        while let Some(node) = level.pop_front() {
            if let Some(found) = node.entries(name).next() {
                return Some(found);
            }
            match node {
                Self::Mapping(entries) => level.extend(entries.iter().map(|(_, value)| value)),
                Self::List(elements) => level.extend(elements),
                Self::Scalar(_) => {}
            }
        }
        None
    }

    /// Entries of that key, `id` or `name` directly in this node.
    fn entries<'a>(&'a self, name: &str) -> impl Iterator<Item = (usize, &'a Self)> {
        let (keyed, listed): (&[_], &[_]) = match self {
            Self::Mapping(entries) => (entries, &[]),
            Self::List(elements) => (&[], elements),
            Self::Scalar(_) => (&[], &[]),
        };
        let keyed = keyed.iter().filter(move |(key, _)| key.text == name);
        let listed = listed.iter().filter_map(move |element| {
            let at = element.named(name)?;
            Some((at, element))
        });
        keyed.map(|(key, value)| (key.place.start, value)).chain(listed)
    }

    /// Where the `id` or `name` of a list element stands, if it is `name`.
    fn named(&self, name: &str) -> Option<usize> {
        let Self::Mapping(entries) = self else { return None };
        entries.iter().find_map(|(key, value)| match value {
            Self::Scalar(scalar) if ["id", "name"].contains(&key.text.as_str()) => {
                (scalar.text == name).then_some(scalar.place.start)
            }
            _ => None,
        })
    }

    fn scalars<'a>(&'a self, scalars: &mut Vec<&'a Scalar>) {
        match self {
            Self::Scalar(scalar) => scalars.push(scalar),
            Self::List(elements) => elements.iter().for_each(|element| element.scalars(scalars)),
            Self::Mapping(entries) => {
                for (key, value) in entries {
                    scalars.push(key);
                    value.scalars(scalars);
                }
            }
        }
    }

    fn repeated_key(&self) -> Option<(usize, String)> {
        match self {
            Self::Scalar(_) => None,
            Self::List(elements) => elements.iter().find_map(Self::repeated_key),
            Self::Mapping(entries) => {
                let mut seen = std::collections::HashSet::new();
                entries.iter().find_map(|(key, value)| {
                    let repeated = !seen.insert(key.text.as_str());
                    let here = repeated.then(|| (key.place.start, key.text.clone()));
                    here.or_else(|| value.repeated_key())
                })
            }
        }
    }
}

struct Builder<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// Byte offset of each character.
    offsets: Vec<usize>,
}

impl<'a> Builder<'a> {
    /// The next event; `None` at the end and where the text is not YAML.
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        self.parser.next_event()?.ok()
    }

    fn scalar(&self, text: &str, span: Span, is_key: bool) -> Scalar {
        let byte = |index: usize| {
            self.offsets.get(index).or(self.offsets.last()).copied().unwrap_or_default()
        };
        let place = byte(span.start.index())..byte(span.end.index());
        Scalar { text: text.to_owned(), place, is_key }
    }

    /// The node that starts with `event`; as much of it as can be read and is not nested too deeply.
    fn node(&mut self, event: &Event<'a>, span: Span, depth: usize) -> Option<Node> {
        let depth = depth.checked_sub(1)?;
        match event {
            Event::Scalar(text, ..) => Some(Node::Scalar(self.scalar(text, span, false))),
            Event::Alias(_) => Some(Node::Scalar(self.scalar("", span, false))),
            Event::SequenceStart(..) => {
                let mut elements = Vec::new();
                while let Some((event, span)) = self.next() {
                    let Some(element) = self.node(&event, span, depth) else { break };
                    elements.push(element);
                }
                Some(Node::List(elements))
            }
            Event::MappingStart(..) => {
                let mut entries = Vec::new();
                while let Some((event, span)) = self.next() {
                    let Some(key) = self.node(&event, span, depth) else { break };
                    let key = match key {
                        Node::Scalar(scalar) => Scalar { is_key: true, ..scalar },
                        _ => self.scalar("", span, true),
                    };
                    let Some((event, span)) = self.next() else { break };
                    let Some(value) = self.node(&event, span, depth) else { break };
                    entries.push((key, value));
                }
                Some(Node::Mapping(entries))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# records: B and x: are named here, too\nrecords:\n  A: {doc: \"B: not here\", fields: [{name: x}]}\n  B: {fields: [{name: \"x\", type: u8, doc: 'name: y'}]} # b.x\nrules:\n  - {id: R-1, why: \"R-2, b.x?\", field: b.xx}\n  - {why: b.x, id: R-2, field: b.x, type: \"T[n]\"}\n";

    fn at(offset: usize) -> &'static str {
        &TEXT[offset..]
    }

    #[test]
    fn finds_along_the_path() {
        assert!(at(definition(TEXT, &["records", "B", "x"])).starts_with("\"x\", type"));
        assert!(at(definition(TEXT, &["records", "B"])).starts_with("B: {fields"));
        assert!(at(definition(TEXT, &["rules", "R-2"])).starts_with("R-2, field"));
    }

    #[test]
    fn a_whole_value_comes_before_a_part_of_one() {
        assert!(at(mention(TEXT, &["rules", "R-2"], "b.x")).starts_with("b.x, id"));
        assert!(at(mention(TEXT, &["rules", "R-2"], "n")).starts_with("n]"));
        assert!(at(mention(TEXT, &["rules", "R-2"], "field")).starts_with("field: b.x"));
        assert!(at(mention(TEXT, &["rules", "R-1"], "zzz")).starts_with("R-1"));
    }

    #[test]
    fn an_unknown_step_stays_where_it_was() {
        assert_eq!(definition(TEXT, &["nowhere"]), 0);
        assert_eq!(definition("[: no YAML", &["a"]), 0);
    }

    #[test]
    fn keys_and_ids_that_stand_twice() {
        assert_eq!(
            repeated_key("a: {b: 1, c: 2}\nd: [{b: 1}, {b: 2, é: 0, b: 3}]"),
            Some((42, "b".into()))
        );
        assert_eq!(repeated_key("a: 1\nb: {a: 1}"), None);
        let twice = "rules: [{id: R}, {id: R}]";
        assert_eq!(second_definition(twice, &["rules", "R"]), 22);
    }
}
