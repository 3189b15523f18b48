//! `entry-start`: an offset into strings is that of a string's first byte.

use blobspec::format::Target;

use super::{Proposal, Sink, Workbench};
use crate::evaluate::Context;

pub(super) fn check(context: &Context<'_>, target: &Target, region: usize, sink: &mut Sink) {
    let Some(content) = context.model.regions.get(region).map(|region| &region.node) else {
        return;
    };
    let entries = content.children();
    context.visit(target, |element| {
        let Some(value) = element.node.number() else { return };
        let Some(position) = context.string_position(region, value) else { return };
        let absolute = content.span.offset().saturating_add(position);
        if absolute >= u64::from(content.span.end) {
            return; // not inside at all: another rule's business
        }
        sink.exercise();
        if entries.binary_search_by_key(&absolute, |entry| entry.span.offset()).is_err() {
            let path = context.format.path_of(target);
            sink.report(element.node.span.offset(), || {
                format!("{path} is {value:#x}, inside an entry")
            });
        }
    });
}

pub(super) fn propose(bench: &Workbench<'_>, target: &Target, region: usize) -> Vec<Proposal> {
    let end = bench.string_base(region) + bench.content_size(region);
    let mut proposals = Vec::new();
    for place in bench.ends(target, &[]) {
        for (name, value) in [
            ("second-byte", place.value.checked_add(1)),
            ("nul-before", place.value.checked_sub(1)),
            ("last-nul", end.checked_sub(1)),
        ] {
            proposals.extend(value.and_then(|value| bench.set(&place.site, name, value)));
        }
    }
    proposals
}
