//! `name-length`: the string that a field refers to is not too long.

use blobspec::format::Target;

use super::{Proposal, Sink, Workbench};
use crate::draft::Item;
use crate::evaluate::Context;

pub(super) fn check(
    context: &Context<'_>,
    target: &Target,
    region: usize,
    max: u64,
    sink: &mut Sink,
) {
    context.visit(target, |element| {
        let text = element.node.number().and_then(|offset| context.string(region, offset));
        let Some(text) = text else { return };
        sink.exercise();
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        if length > max {
            let path = context.format.path_of(target);
            sink.report(element.node.span.offset(), || {
                format!("{path} leads to a name of {length} bytes, {max} are allowed")
            });
        }
    });
}

/// The longest name, and one a byte longer.
pub(super) fn propose(bench: &Workbench<'_>, target: &Target, max: u64) -> Vec<Proposal> {
    let Ok(max) = usize::try_from(max) else { return Vec::new() };
    let mut proposals = Vec::new();
    for place in bench.ends(target, &[]) {
        for (name, length) in [("longest", max), ("past-longest", max.saturating_add(1))] {
            let words = format!("{length} times `n`");
            let item = Item::Name("n".repeat(length));
            let twin = (name == "past-longest").then(|| bench.name(&place.site, "longest"));
            let proposal = bench.put(&place.site, name, item, &words);
            proposals.extend(proposal.map(|proposal| proposal.beside(twin)));
        }
    }
    proposals
}
