//! `excludes`: a code is none of these, though the enum defines them.

use blobspec::Format;
use blobspec::format::Target;

use super::workbench::enum_values;
use super::{Proposal, Sink, Workbench};
use crate::draft::{Draft, Item};
use crate::evaluate::Context;

pub(super) fn check(context: &Context<'_>, target: &Target, codes: &[u64], sink: &mut Sink) {
    context.visit(target, |element| {
        sink.exercise();
        if element.node.number().is_some_and(|code| codes.contains(&code)) {
            sink.report(element.node.span.offset(), || {
                let path = context.format.path_of(target);
                format!("{path} is {}", super::in_enum::some_names(context.format, target, codes))
            });
        }
    });
}

pub(super) fn propose(bench: &Workbench<'_>, target: &Target, codes: &[u64]) -> Vec<Proposal> {
    let allowed =
        enum_values(bench.format, target).iter().find(|value| !codes.contains(&value.code));
    let mut proposals = Vec::new();
    for place in bench.places(target, &[]) {
        let twin = allowed.map(|value| (format!("allowed-{}", value.name), value.code));
        for value in
            enum_values(bench.format, target).iter().filter(|value| codes.contains(&value.code))
        {
            let proposal = bench.set(&place.site, &value.name, value.code);
            let twin = twin.as_ref().map(|(name, _)| bench.name(&place.site, name));
            proposals.extend(proposal.map(|proposal| proposal.beside(twin)));
        }
        proposals.extend(twin.and_then(|(name, code)| bench.set(&place.site, &name, code)));
    }
    proposals
}

pub(super) fn satisfy(format: &Format, draft: &mut Draft, target: &Target, codes: &[u64]) {
    let allowed = enum_values(format, target).iter().find(|value| !codes.contains(&value.code));
    let Some(allowed) = allowed else { return };
    for site in draft.sites(target) {
        if let Some(Item::Number(code)) = draft.get_mut(&site)
            && codes.contains(code)
        {
            *code = allowed.code;
        }
    }
}
