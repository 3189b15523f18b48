//! `refers-to`: the element that an index leads to is of the right kind.

use blobspec::format::{Condition, Target};

use super::{Proposal, Sink, Workbench};
use crate::evaluate::Context;

pub(super) fn check(
    context: &Context<'_>,
    target: &Target,
    region: usize,
    is: &Condition,
    sink: &mut Sink,
) {
    let elements = context.elements(region);
    context.visit(target, |element| {
        let Some(index) = element.node.number() else { return };
        let found = usize::try_from(index).ok().and_then(|index| elements.get(index));
        let Some(found) = found else { return };
        sink.exercise();
        if !context.holds(is, &[found]) {
            let path = context.format.path_of(target);
            sink.report(element.node.span.offset(), || {
                format!("{path} leads to element {index}, which is of another kind")
            });
        }
    });
}

/// The index of every element there is.
pub(super) fn propose(
    bench: &Workbench<'_>,
    target: &Target,
    region: usize,
    _is: &Condition,
) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    for place in bench.ends(target, &[]) {
        for index in 0..bench.count(region).min(MAX_INDICES) {
            proposals.extend(bench.set(&place.site, &format!("to-{index}"), index));
        }
    }
    proposals
}

/// How many elements are referred to, one after the other: the first ones of every kind are among them.
const MAX_INDICES: u64 = 16;
