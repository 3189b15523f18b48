//! `power-of-two`: a field is a power of two, or 0.

use blobspec::format::Target;

use super::workbench::distinct;
use super::{Proposal, Sink, Workbench};
use crate::evaluate::Context;

pub(super) fn check(context: &Context<'_>, target: &Target, sink: &mut Sink) {
    context.visit(target, |element| {
        let Some(value) = element.node.number() else { return };
        sink.exercise();
        if value.count_ones() > 1 {
            let path = context.format.path_of(target);
            sink.report(element.node.span.offset(), || format!("{path} is {value}"));
        }
    });
}

/// Sums of two neighbouring powers, odd numbers, and powers.
pub(super) fn propose(bench: &Workbench<'_>, target: &Target) -> Vec<Proposal> {
    let Some(limit) = bench.scalar(target).map(blobspec::format::Scalar::max) else {
        return Vec::new();
    };
    let values = [
        ("three", Some(3)),
        ("six", Some(6)),
        ("twelve", Some(12)),
        ("twenty-four", Some(24)),
        ("below-a-page", Some(4095)),
        ("page-and-a-half", Some(0xc00)),
        ("one", Some(1)),
        ("two", Some(2)),
        ("sixty-four", Some(64)),
        ("page", Some(4096)),
    ];
    let mut proposals = Vec::new();
    for place in bench.ends(target, &[]) {
        for (name, value) in distinct(values, limit) {
            proposals.extend(bench.set(&place.site, name, value));
        }
    }
    proposals
}
