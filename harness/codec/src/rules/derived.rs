//! `derived`: a field has the value that follows from the rest of the file.

use std::collections::HashMap;

use blobspec::format::{Derive, Refers, Target};

use super::{Proposal, Sink, Workbench};
use crate::checksum;
use crate::draft::{Item, Site};
use crate::evaluate::{Context, Element};
use crate::limits::MAX_HASH_PASSES;
use crate::model::{Span, Value};

pub(super) fn check(context: &Context<'_>, target: &Target, sink: &mut Sink) {
    let Some(derive) = context.format.leaf(target).and_then(|field| field.derive.clone()) else {
        return;
    };
    let mut hashes = Hashes::default();
    context.visit(target, |element| {
        let expected = match derive {
            Derive::Fnv1a(name) => hashes.expected(context, name, element, target),
            _ => expected(context, &derive, element),
        };
        let (Some(found), Some(expected)) = (element.node.number(), expected) else { return };
        sink.exercise();
        if found != expected {
            let path = || context.format.path_of(target);
            sink.report(element.node.span.offset(), || {
                format!("{} is {found:#x}, the file gives {expected:#x}", path())
            });
        }
    });
}

fn expected(context: &Context<'_>, derive: &Derive, element: &Element<'_, '_>) -> Option<u64> {
    let region = |index: usize| context.model.regions.get(index);
    match derive {
        Derive::OffsetOf(index) => Some(region(*index)?.span.offset()),
        Derive::SizeOfFile => u64::try_from(context.file.len()).ok(),
        Derive::SizeOf(index) => u64::try_from(region(*index)?.span.range().len()).ok(),
        Derive::PayloadOffset(index) => Some(own_payload(context, *index, element)?.offset()),
        Derive::PayloadSize(index) => {
            u64::try_from(own_payload(context, *index, element)?.range().len()).ok()
        }
        Derive::CountOfRegion(index, filter) => {
            let elements = region(*index)?.node.children();
            let counted = elements.iter().filter(|element| context.holds(filter, &[*element]));
            u64::try_from(counted.count()).ok()
        }
        Derive::CountOfField(field) => {
            u64::try_from(element.stack.last()?.children().get(*field)?.children().len()).ok()
        }
        Derive::Crc32 { from, to, reads } => {
            let (from, to) = (region(*from)?.span.range().start, region(*to)?.span.range().end);
            let field = element.node.span.range();
            checksum::crc32(context.file, from..to, field, *reads).map(u64::from)
        }
        Derive::Fnv1a(_) => None,
    }
}

/// The stretch of the file that the element itself places.
fn own_payload(context: &Context<'_>, region: usize, element: &Element<'_, '_>) -> Option<Span> {
    let index = element.steps.first()?;
    let payload = context.elements(region).get(*index)?;
    (payload.value != Value::Absent).then_some(payload.span)
}

/// Hashes of names. Elements share names, and names may be tails of others: each is hashed once, and no more
/// than [`MAX_HASH_PASSES`] times all strings.
#[derive(Default)]
struct Hashes {
    known: HashMap<u64, u64>,
    bytes: usize,
}

impl Hashes {
    fn expected(
        &mut self,
        context: &Context<'_>,
        name: usize,
        element: &Element<'_, '_>,
        target: &Target,
    ) -> Option<u64> {
        let offset = element.stack.last()?.children().get(name)?.number()?;
        if let Some(hash) = self.known.get(&offset) {
            return Some(*hash);
        }
        let Some(Refers::String(strings)) = name_field(context, target, name)?.refers else {
            return None;
        };
        let text = context.string(strings, offset)?;
        let bytes = self.bytes.saturating_add(text.len());
        let strings = context.model.regions.get(strings)?.node.span.range().len();
        if bytes > strings.saturating_mul(MAX_HASH_PASSES) {
            return None;
        }
        self.bytes = bytes;
        context.spend(text.len());
        let hash = u64::from(checksum::fnv1a(text));
        self.known.insert(offset, hash);
        Some(hash)
    }
}

/// The field of the same record that holds the name.
fn name_field<'a>(
    context: &Context<'a>,
    target: &Target,
    name: usize,
) -> Option<&'a blobspec::format::Field> {
    let mut sibling = target.clone();
    *sibling.path.last_mut()? = name;
    context.format.leaf(&sibling)
}

pub(super) fn propose(bench: &Workbench<'_>, target: &Target) -> Vec<Proposal> {
    let Some(limit) = bench.scalar(target).map(blobspec::format::Scalar::max) else {
        return Vec::new();
    };
    let mut proposals = Vec::new();
    for place in bench.ends(target, &[]) {
        let right = place.value;
        let mut values = vec![
            ("minus-1".to_owned(), right.wrapping_sub(1) & limit),
            ("plus-1".to_owned(), right.wrapping_add(1) & limit),
            ("zero".to_owned(), 0),
            ("ones".to_owned(), limit),
            ("complement".to_owned(), !right & limit),
            ("byte-swapped".to_owned(), right.swap_bytes() >> limit.leading_zeros()),
        ];
        values.extend(
            (0..limit.count_ones())
                .step_by(8)
                .map(|bit| (format!("bit-{bit}"), right ^ (1 << bit))),
        );
        for (name, value) in values.into_iter().filter(|(_, value)| *value != right) {
            proposals.extend(bench.set(&place.site, &name, value));
        }
        if let Some(Derive::Crc32 { .. }) =
            bench.format.leaf(target).and_then(|field| field.derive.as_ref())
        {
            proposals.extend(stale(bench, &place.site, right));
        }
    }
    proposals
}

/// The old checksum over changed bytes: in every byte region, at both ends and in the middle.
fn stale(bench: &Workbench<'_>, checksum: &Site, right: u64) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    for (region, draft) in bench.draft.regions.iter().enumerate() {
        let Item::Bytes(bytes) = &draft.item else { continue };
        let mut places = vec![0, bytes.len() / 2, bytes.len().saturating_sub(1)];
        places.dedup();
        for at in places.into_iter().filter(|at| *at < bytes.len()) {
            for (name, bit) in [("low-bit", 0x01_u8), ("high-bit", 0x80)] {
                let mut changed = bytes.clone();
                changed[at] ^= bit;
                let site = Site { region, steps: Vec::new() };
                let words = format!("byte {at} changed");
                let name = format!("stale-{}-{at}-{name}", bench.format.regions[region].name);
                let Some(edited) = bench.put(&site, &name, Item::Bytes(changed), &words) else {
                    continue;
                };
                let Some(draft) = edited.draft.with(checksum, Item::Number(right)) else {
                    continue;
                };
                proposals.push(Proposal {
                    draft,
                    edit: format!("{}, checksum left as it was", edited.edit),
                    ..edited
                });
            }
        }
    }
    proposals
}
