//! `in-enum`: a code is one that the enum defines.

use blobspec::Format;
use blobspec::format::Target;

use super::workbench::enum_values;
use super::{Proposal, Sink, Workbench};
use crate::draft::{Draft, Item};
use crate::evaluate::Context;

pub(super) fn check(context: &Context<'_>, target: &Target, sink: &mut Sink) {
    let values = enum_values(context.format, target);
    context.visit(target, |element| {
        sink.exercise();
        let code = element.node.number();
        if !values.iter().any(|value| Some(value.code) == code) {
            let path = context.format.path_of(target);
            sink.report(element.node.span.offset(), || {
                format!("{path} is {}, which no value has", code.unwrap_or_default())
            });
        }
    });
}

pub(super) fn propose(bench: &Workbench<'_>, target: &Target) -> Vec<Proposal> {
    let Some(limit) = bench.scalar(target).map(blobspec::format::Scalar::max) else {
        return Vec::new();
    };
    let known: Vec<u64> =
        enum_values(bench.format, target).iter().map(|value| value.code).collect();
    let mut proposals = Vec::new();
    for place in bench.ends(target, &[]) {
        for code in unknown_neighbours(&known, limit) {
            let twin = known
                .iter()
                .copied()
                .find(|k| k.abs_diff(code) == 1)
                .map(|k| bench.name(&place.site, &format!("code-{k}")));
            let proposal = bench.set(&place.site, &format!("code-{code}"), code);
            proposals.extend(proposal.map(|proposal| proposal.beside(twin)));
        }
        for code in &known {
            proposals.extend(bench.set(&place.site, &format!("code-{code}"), *code));
        }
    }
    proposals
}

/// Undefined codes beside defined ones, at powers of two and at the end of the type: where tables, shifts
/// and sign extensions go wrong.
pub(super) fn unknown_neighbours(known: &[u64], limit: u64) -> Vec<u64> {
    let beside = known.iter().flat_map(|code| [code.checked_sub(1), code.checked_add(1)]).flatten();
    let powers = (0..64).map(|bit| 1_u64 << bit).flat_map(|power| [power - 1, power]);
    let mut codes: Vec<u64> = beside.chain(powers).chain([limit - 1, limit]).collect();
    codes.retain(|code| *code <= limit && !known.contains(code));
    codes.sort_unstable();
    codes.dedup();
    codes
}

pub(super) fn satisfy(format: &Format, draft: &mut Draft, target: &Target) {
    let values = enum_values(format, target);
    let Some(first) = values.first() else { return };
    for site in draft.sites(target) {
        if let Some(Item::Number(code)) = draft.get_mut(&site)
            && !values.iter().any(|value| value.code == *code)
        {
            *code = first.code;
        }
    }
}

/// The names of all values.
pub(super) fn names(format: &Format, target: &Target) -> String {
    enum_values(format, target)
        .iter()
        .map(|value| value.name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// The names of the values with these codes.
pub(super) fn some_names(format: &Format, target: &Target, codes: &[u64]) -> String {
    let named = enum_values(format, target).iter().filter(|value| codes.contains(&value.code));
    named.map(|value| value.name.as_str()).collect::<Vec<_>>().join(" or ")
}
