//! `utf8`: strings are UTF-8.

use super::{Proposal, Sink, Workbench};
use crate::draft::{Item, Site};
use crate::evaluate::Context;

pub(super) fn check(context: &Context<'_>, region: usize, sink: &mut Sink) {
    for node in context.elements(region) {
        sink.exercise();
        let bytes = node.span.of(context.file);
        let text = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        if let Err(error) = std::str::from_utf8(text) {
            let valid = u64::try_from(error.valid_up_to()).unwrap_or(u64::MAX);
            sink.report(node.span.offset().saturating_add(valid), || {
                format!("a string has a byte that is not UTF-8 after {valid} good ones")
            });
        }
    }
}

/// Ill-formed sequences, each with its well-formed neighbour (Unicode, table 3-7).
pub(super) const PAIRS: &[(&str, &[u8], &[u8])] = &[
    ("lone-continuation", b"\x80", b"\x7f"),
    ("overlong-2", b"\xc1\xbf", b"\xc2\x80"),
    ("overlong-nul", b"\xc0\x80", b"\xdf\xbf"),
    ("overlong-3", b"\xe0\x9f\xbf", b"\xe0\xa0\x80"),
    ("surrogate-low-end", b"\xed\xa0\x80", b"\xed\x9f\xbf"),
    ("surrogate-high-end", b"\xed\xbf\xbf", b"\xee\x80\x80"),
    ("overlong-4", b"\xf0\x8f\xbf\xbf", b"\xf0\x90\x80\x80"),
    ("past-last-character", b"\xf4\x90\x80\x80", b"\xf4\x8f\xbf\xbf"),
    ("lead-f5", b"\xf5\x80\x80\x80", b"\xf3\x80\x80\x80"),
    ("lead-ff", b"\xff", b"\xef\xbf\xbf"),
    ("cut-2", b"\xc3", b"\xc3\xa9"),
    ("cut-3", b"\xe2\x82", b"\xe2\x82\xac"),
    ("cut-4", b"\xf0\x9f\x98", b"\xf0\x9f\x98\x80"),
    ("continuation-missing", b"\xc3(", b"("),
];

pub(super) fn propose(bench: &Workbench<'_>, region: usize) -> Vec<Proposal> {
    let list = Site { region, steps: Vec::new() };
    let Some(Item::List(strings)) = bench.draft.get(&list) else { return Vec::new() };
    let mut proposals = Vec::new();
    let mut append = |name: &str, text: &[u8], twin: Option<String>| {
        let mut strings = strings.clone();
        strings.push(Item::Bytes([text, b"\0"].concat()));
        let words = format!("its entries and {text:02x?}");
        let proposal = bench.put(&list, name, Item::List(strings), &words);
        proposals.extend(proposal.map(|proposal| proposal.beside(twin)));
    };
    for (name, bad, good) in PAIRS {
        let twin = format!("{name}-neighbour");
        append(name, bad, Some(twin.clone()));
        append(&twin, good, None);
        append(&format!("{name}-after-text"), &[b"ab", *bad].concat(), None);
        append(&format!("{name}-before-text"), &[*bad, b"ab"].concat(), None);
    }
    proposals
}
