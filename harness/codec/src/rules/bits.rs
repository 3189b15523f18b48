//! `reserved-bits` and `clear-bits`: some bits of a flags field are zero.

use blobspec::format::Target;

use super::{Proposal, Sink, Workbench};
use crate::evaluate::Context;

pub(super) fn check(context: &Context<'_>, target: &Target, mask: u64, sink: &mut Sink) {
    context.visit(target, |element| {
        sink.exercise();
        let set = element.node.number().unwrap_or_default() & mask;
        if set != 0 {
            let path = context.format.path_of(target);
            sink.report(element.node.span.offset(), || {
                format!("{path} has the bits {set:#x}, which are to be zero")
            });
        }
    });
}

pub(super) fn propose(bench: &Workbench<'_>, target: &Target, mask: u64) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    for place in bench.ends(target, &[]) {
        for bit in (0..64_u32).filter(|bit| mask >> bit & 1 == 1) {
            let value = (place.value & !mask) | (1 << bit);
            proposals.extend(bench.set(&place.site, &format!("bit-{bit}"), value));
        }
        if mask.count_ones() > 1 {
            proposals.extend(bench.set(&place.site, "all-bits", place.value | mask));
        }
    }
    proposals
}
