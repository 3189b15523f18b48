//! `needs-entry`: a code is only usable when a table has entries.

use blobspec::format::Target;

use super::workbench::enum_values;
use super::{Proposal, Sink, Workbench};
use crate::draft::{Item, Site};
use crate::evaluate::Context;

pub(super) fn check(
    context: &Context<'_>,
    target: &Target,
    codes: &[u64],
    region: usize,
    sink: &mut Sink,
) {
    let empty = context.elements(region).is_empty();
    context.visit(target, |element| {
        if !element.node.number().is_some_and(|code| codes.contains(&code)) {
            return;
        }
        sink.exercise();
        if empty {
            let path = context.format.path_of(target);
            let table =
                context.format.regions.get(region).map_or("?", |region| region.name.as_str());
            sink.report(element.node.span.offset(), || {
                format!("{path} needs an entry in {table}, which is empty")
            });
        }
    });
}

pub(super) fn propose(
    bench: &Workbench<'_>,
    target: &Target,
    codes: &[u64],
    region: usize,
) -> Vec<Proposal> {
    let table = Site { region, steps: Vec::new() };
    let mut proposals = Vec::new();
    for place in bench.ends(target, &[]) {
        for value in
            enum_values(bench.format, target).iter().filter(|value| codes.contains(&value.code))
        {
            let with = format!("{}-with-entries", value.name);
            let Some(proposal) = bench.set(&place.site, &with, value.code) else { continue };
            let Some(draft) = without_elements(bench, &proposal.draft, &table, target, &place.site)
            else {
                continue;
            };
            proposals.push(Proposal {
                name: bench.name(&place.site, &format!("{}-without-entries", value.name)),
                edit: format!("{}, {} emptied", proposal.edit, bench.format.regions[region].name),
                draft,
                twin: Some(proposal.name.clone()),
            });
            proposals.push(proposal);
        }
    }
    proposals
}

/// The draft with an empty table and no other use of it: other elements get a code that needs no entry.
fn without_elements(
    bench: &Workbench<'_>,
    draft: &crate::Draft,
    table: &Site,
    target: &Target,
    keep: &Site,
) -> Option<crate::Draft> {
    let mut draft = draft.with(table, Item::List(Vec::new()))?;
    for rule in &bench.format.rules {
        let blobspec::format::Check::NeedsEntry { target: other, codes: other_codes, region } =
            &rule.check
        else {
            continue;
        };
        if *region != table.region {
            continue;
        }
        let harmless = enum_values(bench.format, other)
            .iter()
            .rev()
            .find(|value| !other_codes.contains(&value.code))?;
        for site in draft.sites(other) {
            if let Some(Item::Number(code)) = draft.get_mut(&site)
                && other_codes.contains(code)
                && !(other == target && site == *keep)
            {
                *code = harmless.code;
            }
        }
    }
    Some(draft)
}
