//! `reserved-bits` and `clear-bits`: some bits of a flags field are zero.

use blobspec::Format;
use blobspec::format::{Meaning, Target};

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

/// The names of the bits of `mask`.
pub(super) fn names(format: &Format, target: &Target, mask: u64) -> String {
    let scalar = format.leaf(target).and_then(|field| field.field_type.scalar());
    let Some(Meaning::Flags(index)) = scalar.map(|scalar| scalar.meaning) else {
        return format!("{mask:#x}");
    };
    let bits = format.flags.get(index).map(|set| set.bits.as_slice()).unwrap_or_default();
    let named = bits.iter().filter(|(_, bit)| mask >> bit & 1 == 1);
    named.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" and ")
}
