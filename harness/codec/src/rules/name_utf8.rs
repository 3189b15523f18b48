//! `name-utf8`: the string that a field refers to is UTF-8.

use blobspec::format::Target;

use super::{Proposal, Sink, Workbench};
use crate::draft::Item;
use crate::evaluate::Context;
use crate::limits::MAX_HASH_PASSES;

pub(super) fn check(context: &Context<'_>, target: &Target, region: usize, sink: &mut Sink) {
    let Some(strings) = context.model.regions.get(region) else { return };
    let most = strings.node.span.range().len().saturating_mul(MAX_HASH_PASSES);
    let mut looked = 0_usize;
    let mut seen = std::collections::HashSet::new();
    context.visit(target, |element| {
        let Some(offset) = element.node.number() else { return };
        let Some(text) = context.string(region, offset) else { return };
        sink.exercise();
        looked = looked.saturating_add(if seen.insert(offset) { text.len() } else { 0 });
        if looked > most {
            return; // names that are tails of each other: see `MAX_HASH_PASSES`
        }
        context.spend(text.len());
        if let Err(error) = std::str::from_utf8(text) {
            let path = context.format.path_of(target);
            sink.report(element.node.span.offset(), || {
                format!(
                    "{path} leads to a name that is not UTF-8 after {} bytes",
                    error.valid_up_to()
                )
            });
        }
    });
}

/// A name of its own in the strings, with each way of not being UTF-8.
pub(super) fn propose(bench: &Workbench<'_>, target: &Target, region: usize) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    let Some(place) = bench.ends(target, &[]).pop() else { return proposals };
    for (name, bad, good) in super::utf8::PAIRS {
        let twin = format!("{name}-neighbour");
        for (name, bytes, twin) in [(*name, *bad, Some(&twin)), (twin.as_str(), *good, None)] {
            let mut draft = bench.draft.clone();
            let offset = bench.string_base(region) + bench.content_size(region);
            let Some(strings) = draft.regions[region].item.children_mut() else { continue };
            strings.push(Item::Bytes([bytes, b"\0"].concat()));
            let Some(draft) = draft.with(&place.site, Item::Number(offset)) else { continue };
            let edit = format!("{} leads to {bytes:02x?}", place.site.path(bench.format));
            let twin = twin.map(|twin| bench.name(&place.site, twin));
            proposals.push(Proposal { name: bench.name(&place.site, name), edit, draft, twin });
        }
    }
    proposals
}
