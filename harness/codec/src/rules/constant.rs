//! `const`: a field has one value.

use blobspec::format::{Constant, Target};

use super::{Proposal, Sink, Workbench};
use crate::draft::{Draft, Item};
use crate::evaluate::Context;

pub(super) fn check(context: &Context<'_>, target: &Target, value: &Constant, sink: &mut Sink) {
    context.visit(target, |element| {
        sink.exercise();
        let found = element.node.span.of(context.file);
        let same = match value {
            Constant::Number(value) => element.node.number() == Some(*value),
            Constant::Bytes(bytes) => found == bytes,
        };
        if !same {
            let path = || context.format.path_of(target);
            sink.report(element.node.span.offset(), || {
                format!(
                    "{} is {}, not {}",
                    path(),
                    text(&Constant::Bytes(found.to_vec())),
                    text(value)
                )
            });
        }
    });
}

pub(super) fn propose(bench: &Workbench<'_>, target: &Target, value: &Constant) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    for place in bench.ends(target, &[]) {
        match value {
            Constant::Number(value) => {
                let max = bench.scalar(target).map_or(0, blobspec::format::Scalar::max);
                let others = [
                    ("minus-1", value.checked_sub(1)),
                    ("plus-1", value.checked_add(1)),
                    ("zero", Some(0)),
                    ("max", Some(max)),
                ];
                for (name, other) in super::workbench::distinct(others, max) {
                    proposals
                        .extend(bench.set(&place.site, name, other).filter(|_| other != *value));
                }
            }
            Constant::Bytes(bytes) => {
                for (name, other) in byte_edits(bytes) {
                    let words = format!("{other:02x?}");
                    proposals.extend(bench.put(&place.site, &name, Item::Bytes(other), &words));
                }
            }
        }
    }
    proposals
}

/// Each byte wrong in its lowest and its highest bit, all of them wrong, and the other byte order.
fn byte_edits(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut edits: Vec<(String, Vec<u8>)> = Vec::new();
    for index in 0..bytes.len() {
        for (name, bit) in [("low-bit", 0x01), ("high-bit", 0x80)] {
            let mut other = bytes.to_vec();
            other[index] ^= bit;
            edits.push((format!("byte-{index}-{name}"), other));
        }
    }
    let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
    let all =
        [("zero", vec![0; bytes.len()]), ("ones", vec![0xff; bytes.len()]), ("reversed", reversed)];
    edits.extend(all.into_iter().map(|(name, other)| (name.to_owned(), other)));
    edits.retain(|(_, other)| other != bytes);
    edits
}

pub(super) fn satisfy(draft: &mut Draft, target: &Target, value: &Constant) {
    for site in draft.sites(target) {
        if let Some(item) = draft.get_mut(&site) {
            *item = match value {
                Constant::Number(value) => Item::Number(*value),
                Constant::Bytes(bytes) => Item::Bytes(bytes.clone()),
            };
        }
    }
}

pub(super) fn text(value: &Constant) -> String {
    match value {
        Constant::Number(value) => value.to_string(),
        Constant::Bytes(bytes) => {
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
        }
    }
}
