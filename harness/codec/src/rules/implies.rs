//! `implies`: where some codes are, others must be.

use blobspec::Format;
use blobspec::format::Target;

use super::workbench::enum_values;
use super::{Proposal, Sink, Workbench};
use crate::evaluate::Context;

type Conditions = [(Target, Vec<u64>)];

pub(super) fn check(context: &Context<'_>, when: &Conditions, then: &Conditions, sink: &mut Sink) {
    let holds = |(target, codes): &(Target, Vec<u64>)| {
        let mut any = false;
        context.visit(target, |element| {
            any |= element.node.number().is_some_and(|code| codes.contains(&code));
        });
        any
    };
    if !when.iter().all(holds) {
        return;
    }
    sink.exercise();
    if !then.iter().all(holds) {
        let Some((target, _)) = when.first() else { return };
        let mut offset = 0;
        context.visit(target, |element| offset = element.node.span.offset());
        sink.report(offset, || describe(context.format, when, then));
    }
}

pub(super) fn propose(
    bench: &Workbench<'_>,
    when: &Conditions,
    then: &Conditions,
) -> Vec<Proposal> {
    let (Some((cause, causes)), Some((effect, effects))) = (when.first(), then.first()) else {
        return Vec::new();
    };
    let (Some(place), Some(other)) =
        (bench.places(cause, &[]).pop(), bench.places(effect, &[]).pop())
    else {
        return Vec::new();
    };
    let mut proposals = Vec::new();
    for code in causes {
        let Some(with_cause) = bench.set(&place.site, "cause", *code) else { continue };
        for value in enum_values(bench.format, effect) {
            let name = if effects.contains(&value.code) { "holds-with" } else { "broken-with" };
            let Some(draft) = with_cause.draft.with(&other.site, crate::Item::Number(value.code))
            else {
                continue;
            };
            let edit =
                format!("{}, {} = {}", with_cause.edit, bench.format.path_of(effect), value.name);
            proposals.push(Proposal {
                name: format!("{name}-{}", value.name),
                edit,
                draft,
                twin: None,
            });
        }
    }
    proposals
}

pub(super) fn describe(format: &Format, when: &Conditions, then: &Conditions) -> String {
    let side = |conditions: &Conditions| {
        let parts = conditions.iter().map(|(target, codes)| {
            format!(
                "{} is {}",
                format.path_of(target),
                super::in_enum::some_names(format, target, codes)
            )
        });
        parts.collect::<Vec<_>>().join(" and ")
    };
    format!("where {}, {}", side(when), side(then))
}
