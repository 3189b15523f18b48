//! `unique`: no two elements have the same value; names are compared by their text.

use std::collections::HashSet;

use blobspec::format::Target;

use super::{Proposal, Sink, Workbench};
use crate::draft::{Draft, Item, Site};
use crate::evaluate::Context;

pub(super) fn check(
    context: &Context<'_>,
    target: &Target,
    text_in: Option<usize>,
    sink: &mut Sink,
) {
    let mut numbers = HashSet::new();
    let mut texts = HashSet::new();
    context.visit(target, |element| {
        let Some(value) = element.node.number() else { return };
        sink.exercise();
        // Equal numbers are equal texts: long names that many elements share are hashed once.
        let repeated = match (!numbers.insert(value), text_in) {
            (repeated, None) => repeated,
            (true, Some(region)) => context.string(region, value).is_some(),
            (false, Some(region)) => context.string(region, value).is_some_and(|text| !texts.insert(text)),
        };
        if repeated {
            let path = context.format.path_of(target);
            sink.report(element.node.span.offset(), || {
                format!("{path} repeats the value of an earlier element")
            });
        }
    });
}

pub(super) fn propose(
    bench: &Workbench<'_>,
    target: &Target,
    text_in: Option<usize>,
) -> Vec<Proposal> {
    let places = bench.places(target, &[]);
    let (Some(first), Some(last)) = (places.first(), places.last()) else { return Vec::new() };
    if places.len() < 2 {
        return Vec::new();
    }
    let mut proposals = Vec::new();
    proposals.extend(bench.set(&last.site, "same-as-first", first.value));
    proposals.extend(
        places.get(1).and_then(|second| bench.set(&second.site, "same-as-first", first.value)),
    );
    if let Some(region) = text_in {
        proposals.extend(same_text(bench, &last.site, region, first.value));
    }
    proposals
}

/// Another entry with the same text: equal names at different offsets.
fn same_text(bench: &Workbench<'_>, site: &Site, region: usize, value: u64) -> Option<Proposal> {
    let start = usize::try_from(value - bench.string_base(region)).ok()?;
    let content = bench.model.regions.get(region)?.node.span.of(bench.file);
    let text: Vec<u8> = content.get(start..)?.split_inclusive(|byte| *byte == 0).next()?.to_vec();
    let end = bench.string_base(region) + bench.content_size(region);
    let mut proposal = bench.set(site, "same-text-elsewhere", end)?;
    proposal
        .draft
        .get_mut(&Site { region, steps: Vec::new() })?
        .children_mut()?
        .push(Item::Bytes(text));
    proposal.edit += ", a new entry with the text of the first";
    Some(proposal)
}

pub(super) fn satisfy(draft: &mut Draft, target: &Target) {
    for (index, site) in draft.sites(target).into_iter().enumerate() {
        if let Some(item) = draft.get_mut(&site) {
            *item = Item::Number(index as u64 + 1);
        }
    }
}
