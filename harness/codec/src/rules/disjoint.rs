//! `disjoint`: elements of one parent do not overlap. Those of a region are siblings even when they lie in
//! several lists, as relocations of several sections do.

use std::collections::BTreeMap;

use blobspec::Format;
use blobspec::format::{Operand, Target};

use super::{Proposal, Sink, Workbench};
use crate::draft::{Draft, Item};
use crate::evaluate::Context;

pub(super) fn check(
    context: &Context<'_>,
    each: &Target,
    start: &Operand,
    length: &Operand,
    sink: &mut Sink,
) {
    // By parent: (start, end, offset in the file) of every element that has an extent.
    let mut families: BTreeMap<Vec<usize>, Vec<(u128, u128, u64)>> = BTreeMap::new();
    context.visit(each, |element| {
        let values = [start, length].map(|operand| context.operand(operand, element.stack));
        let [Some(start), Some(length)] = values else { return };
        sink.exercise();
        let parent = element.steps.split_last().filter(|_| !each.path.is_empty());
        let parent = parent.map(|(_, parent)| parent.to_vec()).unwrap_or_default();
        let end = u128::from(start).saturating_add(u128::from(length));
        families.entry(parent).or_default().push((
            u128::from(start),
            end,
            element.node.span.offset(),
        ));
    });
    let mut overlaps: Vec<(u64, u128, u128)> = Vec::new();
    for mut extents in families.into_values() {
        extents.retain(|(start, end, _)| start < end);
        extents.sort_unstable();
        let mut reach = 0;
        for (start, end, offset) in extents {
            if start < reach {
                overlaps.push((offset, start, reach));
            }
            reach = reach.max(end);
        }
    }
    overlaps.sort_unstable(); // the first ones are kept: those at the lowest offsets
    for (offset, start, reach) in overlaps {
        let path = || context.format.path_of(each);
        sink.report(offset, || {
            format!("{} at {start:#x} overlaps another that ends at {reach:#x}", path())
        });
    }
}

pub(super) fn propose(
    bench: &Workbench<'_>,
    each: &Target,
    start: &Operand,
    length: &Operand,
) -> Vec<Proposal> {
    let places = bench.places(each, &[start, length]);
    let mut proposals = Vec::new();
    for pair in places.windows(2) {
        let [first, second] = pair else { continue };
        let [Some(at), Some(length)] = first.operands[..] else { continue };
        if first.site.steps.split_last().map(|s| s.1) != second.site.steps.split_last().map(|s| s.1)
            || length == 0
        {
            continue;
        }
        let Some(site) = bench.operand_site(start, &second.site, each) else { continue };
        let end = at.saturating_add(length);
        for (name, value) in [("touching", end), ("overlap-1", end - 1), ("same-start", at)] {
            let twin = (name == "overlap-1").then(|| bench.name(&second.site, "touching"));
            let proposal = bench.set(&site, name, value);
            proposals
                .extend(proposal.map(|p| p.named(bench.name(&second.site, name)).beside(twin)));
        }
    }
    proposals
}

/// Lays the elements of each parent out one after the other, from where the first one is.
pub(super) fn satisfy(
    format: &Format,
    draft: &mut Draft,
    each: &Target,
    start: &Operand,
    length: &Operand,
) {
    let Some(encoded) = crate::encode(format, draft).ok() else { return };
    let decoded = crate::decode(format, &encoded.bytes);
    let bench =
        Workbench { format, file: &encoded.bytes, model: &decoded.model, draft, filter: None };
    let mut next: BTreeMap<Vec<usize>, u64> = BTreeMap::new();
    let mut starts = Vec::new();
    for place in bench.places(each, &[start, length]) {
        let [Some(own), Some(length)] = place.operands[..] else { continue };
        let Some(site) = bench.operand_site(start, &place.site, each) else { continue };
        let parent =
            place.site.steps.split_last().map(|(_, parent)| parent.to_vec()).unwrap_or_default();
        let at = next.entry(parent).or_insert(own);
        starts.push((site, *at));
        *at = at.saturating_add(length);
    }
    for (site, at) in starts {
        if let Some(Item::Number(value)) = draft.get_mut(&site) {
            *value = at;
        }
    }
}
