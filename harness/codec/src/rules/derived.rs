//! `derived`: a field has the value that follows from the rest of the file.

use blobspec::format::{Derive, Refers, Target};

use super::{Proposal, Sink, Workbench};
use crate::checksum;
use crate::draft::{Item, Site};
use crate::evaluate::{Context, Element};

pub(super) fn check(context: &Context<'_>, target: &Target, sink: &mut Sink) {
    let Some(derive) = context.format.leaf(target).and_then(|field| field.derive.clone()) else {
        return;
    };
    context.visit(target, |element| {
        let (Some(found), Some(expected)) =
            (element.node.number(), expected(context, &derive, element, target))
        else {
            return;
        };
        sink.exercise();
        if found != expected {
            let path = context.format.path_of(target);
            sink.report(element.node.span.offset(), || {
                format!("{path} is {found:#x}, the file gives {expected:#x}")
            });
        }
    });
}

fn expected(
    context: &Context<'_>,
    derive: &Derive,
    element: &Element<'_, '_>,
    target: &Target,
) -> Option<u64> {
    let region = |index: usize| context.model.regions.get(index);
    match derive {
        Derive::OffsetOf(index) => Some(region(*index)?.span.offset()),
        Derive::SizeOf(index) => u64::try_from(region(*index)?.span.range().len()).ok(),
        Derive::CountOfRegion(index) => u64::try_from(region(*index)?.node.children().len()).ok(),
        Derive::CountOfField(field) => {
            u64::try_from(element.stack.last()?.children().get(*field)?.children().len()).ok()
        }
        Derive::Crc32 { from, to, reads } => {
            let (from, to) = (region(*from)?.span.range().start, region(*to)?.span.range().end);
            let field = element.node.span.range();
            let before = context.file.get(from..field.start)?;
            let after = context.file.get(field.end..to)?;
            Some(u64::from(checksum::crc32(before, context.file.get(field)?, after, *reads)))
        }
        Derive::Fnv1a(name) => {
            let offset = element.stack.last()?.children().get(*name)?.number()?;
            let Some(Refers::String(strings)) = name_field(context, target, *name)?.refers else {
                return None;
            };
            Some(u64::from(checksum::fnv1a(context.string(strings, offset)?)))
        }
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
