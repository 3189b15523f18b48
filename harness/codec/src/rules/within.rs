//! `within`: an offset or index is inside what the field refers to.

use blobspec::Format;
use blobspec::format::{Refers, Target};

use super::workbench::distinct;
use super::{Proposal, Sink, Workbench};
use crate::draft::{Item, Site};
use crate::evaluate::Context;

pub(super) fn check(context: &Context<'_>, target: &Target, refers: Refers, sink: &mut Sink) {
    let (Refers::String(region) | Refers::Offset(region) | Refers::Index(region)) = refers;
    let Some(node) = context.model.regions.get(region).map(|region| &region.node) else { return };
    let size = match refers {
        Refers::Index(_) => node.children().len(),
        _ => node.span.range().len(),
    };
    let size = u64::try_from(size).unwrap_or(u64::MAX);
    context.visit(target, |element| {
        let Some(value) = element.node.number() else { return };
        sink.exercise();
        let position = match refers {
            Refers::String(region) => context.string_position(region, value),
            _ => Some(value),
        };
        if position.is_none_or(|position| position >= size) {
            let path = context.format.path_of(target);
            sink.report(element.node.span.offset(), || {
                format!("{path} is {value:#x}, outside its {size} places")
            });
        }
    });
}

pub(super) fn propose(bench: &Workbench<'_>, target: &Target, refers: Refers) -> Vec<Proposal> {
    let Some(limit) = bench.scalar(target).map(blobspec::format::Scalar::max) else {
        return Vec::new();
    };
    let (base, size) = match refers {
        Refers::String(region) => (bench.string_base(region), bench.content_size(region)),
        Refers::Offset(region) => (0, bench.content_size(region)),
        Refers::Index(region) => (0, bench.count(region)),
    };
    let end = base + size;
    let mut proposals = Vec::new();
    for place in bench.ends(target, &[]) {
        let values = [
            ("end", Some(end)),
            ("last", end.checked_sub(1)),
            ("end-plus-1", end.checked_add(1)),
            ("end-aligned", Some(end.next_multiple_of(4) + 4)),
            ("below-base", base.checked_sub(1)),
            ("half", Some((limit >> 1) + 1)),
            ("4-gib", Some(1 << 32)),
            ("minus-4", Some(limit - 3)),
            ("max", Some(limit)),
        ];
        for (name, value) in distinct(values, limit) {
            let twin = (name == "end").then(|| bench.name(&place.site, inside(refers)));
            let proposal = bench.set(&place.site, name, value);
            proposals.extend(proposal.map(|proposal| proposal.beside(twin)));
        }
        proposals.extend(last_string(bench, &place.site, refers, end));
    }
    proposals
}

fn inside(refers: Refers) -> &'static str {
    if matches!(refers, Refers::String(_)) { "last-entry" } else { "last" }
}

/// The accepted partner of an offset past the strings: that of a new last entry.
fn last_string(bench: &Workbench<'_>, site: &Site, refers: Refers, end: u64) -> Option<Proposal> {
    let Refers::String(region) = refers else { return None };
    let mut proposal = bench.set(site, "last-entry", end)?;
    let strings = proposal.draft.get_mut(&Site { region, steps: Vec::new() })?;
    strings.children_mut()?.push(Item::Bytes(b"~\0".to_vec()));
    proposal.edit += ", a new last entry";
    Some(proposal)
}

pub(super) fn describe(format: &Format, target: &Target, refers: Refers) -> String {
    let name =
        |region: usize| format.regions.get(region).map_or("?", |region| region.name.as_str());
    let path = format.path_of(target);
    match refers {
        Refers::String(region) | Refers::Offset(region) => {
            format!("{path} is an offset inside {}", name(region))
        }
        Refers::Index(region) => format!("{path} is an index of {}", name(region)),
    }
}
