//! `align`: a number is a multiple.

use blobspec::format::{Derive, Operand, Target};

use super::{Proposal, Sink, Workbench};
use crate::draft::Site;
use crate::evaluate::Context;

pub(super) fn check(context: &Context<'_>, target: &Target, to: &Operand, sink: &mut Sink) {
    context.visit(target, |element| {
        let (Some(value), Some(to)) = (element.node.number(), context.operand(to, element.stack))
        else {
            return;
        };
        sink.exercise();
        if value.checked_rem(to).is_some_and(|rest| rest != 0) {
            let path = context.format.path_of(target);
            sink.report(element.node.span.offset(), || {
                format!("{path} is {value:#x}, not a multiple of {to}")
            });
        }
    });
}

pub(super) fn propose(bench: &Workbench<'_>, target: &Target, to: &Operand) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    for place in bench.ends(target, &[to]) {
        let Some(to) = place.operands.first().copied().flatten().filter(|to| *to > 1) else {
            continue;
        };
        let start = place.value - place.value % to;
        let next = write(bench, target, &place.site, "next-multiple", start + to);
        let parts = [to / 3, to / 2, to - to / 3, to - 1].into_iter().filter(|part| *part >= 8);
        for beside in (1..to.min(8)).chain(parts) {
            let twin = Some(bench.name(&place.site, "next-multiple"));
            let name = format!("plus-{beside}");
            let proposal = write(bench, target, &place.site, &name, start + beside);
            proposals.extend(proposal.map(|proposal| proposal.beside(twin)));
        }
        proposals.extend(next);
    }
    proposals
}

/// The proposal that the field has this value: where it is a region's offset, the region goes there too.
fn write(
    bench: &Workbench<'_>,
    target: &Target,
    site: &Site,
    name: &str,
    value: u64,
) -> Option<Proposal> {
    let derive = bench.format.leaf(target)?.derive.as_ref();
    let Some(Derive::OffsetOf(region)) = derive else { return bench.set(site, name, value) };
    let at = usize::try_from(value)
        .ok()
        .filter(|at| *at >= bench.model.regions[*region].span.range().start)?;
    bench.move_to(*region, &bench.name(site, name), at)
}
