//! `separate`: no byte of the file belongs to two of the regions.

use blobspec::format::{Content, Extent, FieldRef, Meaning, Operand, Payloads};

use super::workbench::distinct;
use super::{Proposal, Sink, Workbench};
use crate::draft::{Item, Site};
use crate::evaluate::Context;

pub(super) fn check(context: &Context<'_>, regions: &[usize], sink: &mut Sink) {
    sink.exercise();
    let stretches = |region: &usize| {
        let index = *region;
        let (node, spec) = (context.model.regions.get(index)?, context.format.regions.get(index)?);
        Some(node.stretches(&spec.content).into_iter().map(move |span| (span, index)))
    };
    let mut spans: Vec<_> = regions.iter().filter_map(stretches).flatten().collect();
    spans.retain(|(span, _)| span.start < span.end);
    spans.sort_by_key(|(span, region)| (span.start, span.end, *region));
    let mut reach: Option<(u32, usize)> = None;
    for (span, region) in spans {
        if let Some((end, other)) = reach.filter(|(end, _)| span.start < *end) {
            let name = |index: usize| {
                context.format.regions.get(index).map_or("?", |region| region.name.as_str())
            };
            sink.report(span.offset(), || {
                format!("{} starts inside {}, which ends at {end:#x}", name(region), name(other))
            });
        }
        if reach.is_none_or(|(end, _)| end < span.end) {
            reach = Some((span.end, region));
        }
    }
}

/// Moves each region that is placed by a field onto the one before it: by a byte, and onto its start.
pub(super) fn propose(bench: &Workbench<'_>, regions: &[usize]) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    for &region in regions {
        if let Content::Payloads(payloads) = &bench.format.regions[region].content {
            proposals.extend(payloads_onto(bench, regions, region, payloads));
            continue;
        }
        let Some(Operand::Field(FieldRef::Region { region: holder, path })) =
            &bench.format.regions[region].at
        else {
            continue;
        };
        let site = Site { region: *holder, steps: path.clone() };
        let (name, own) = (&bench.format.regions[region].name, bench.model.regions[region].span);
        let others = regions.iter().filter(|other| **other != region);
        let before = others
            .map(|other| bench.model.regions[*other].span)
            .filter(|other| other.start < other.end && other.end <= own.start)
            .max_by_key(|other| other.end);
        let values = [
            ("one-byte-back", own.offset().checked_sub(1)),
            ("onto-the-region-before", before.map(crate::model::Span::offset)),
            ("onto-the-start", Some(0)),
            ("into-the-region-before", before.map(|other| u64::from(other.end).saturating_sub(1))),
        ];
        for (kind, value) in distinct(values, u64::MAX) {
            let proposal = bench.set(&site, &format!("{name}-{kind}"), value);
            proposals.extend(proposal.map(|proposal| Proposal {
                edit: format!("{}, its bytes left where they were", proposal.edit),
                ..proposal
            }));
        }
        proposals.extend(stretched(bench, region, &site));
        proposals.extend(laid_over(bench, regions, region));
    }
    proposals
}

/// A table of one element, alone in its file, that starts at a field of a record region: what the record says of
/// the bytes in which both lie may be right for both.
fn laid_over(bench: &Workbench<'_>, regions: &[usize], region: usize) -> Vec<Proposal> {
    let is_record = |other: &&usize| {
        matches!(bench.format.regions[**other].content, Content::Record(_)) && **other < region
    };
    let (Some(&under), Some(elements)) = (
        regions.iter().find(is_record),
        bench.draft.regions.get(region).map(|draft| draft.item.children().len()),
    ) else {
        return Vec::new();
    };
    let fields = bench.model.regions[under].node.children();
    // Not over codes and flags: a loader may say first that it is not for the system that they name then.
    let spec = bench.format.regions[under].record().map(|record| &bench.format.records[record]);
    let is_number = |field: &blobspec::format::Field| match field.field_type.scalar() {
        Some(scalar) => scalar.meaning == Meaning::Number,
        None => true,
    };
    let coded = spec.and_then(|record| record.fields.iter().rposition(|field| !is_number(field)));
    let first = coded.map_or(1, |last| last + 1);
    let mut proposals = Vec::new();
    for element in 0..elements {
        for field in fields.iter().skip(first) {
            let at = field.span.range().start;
            let mut draft = bench.draft.clone();
            for (other, spec) in bench.format.regions.iter().enumerate() {
                let belongs = match &spec.content {
                    Content::Payloads(payloads) => payloads.table == region,
                    Content::Inside { payloads, .. } => matches!(
                        &bench.format.regions[*payloads].content,
                        Content::Payloads(payloads) if payloads.table == region
                    ),
                    _ => other == region,
                };
                let Item::List(items) = &mut draft.regions[other].item else { continue };
                let kept = items.get(element).filter(|_| belongs).cloned();
                *items = kept.into_iter().collect();
            }
            draft.regions[region].at = Some(at);
            let name = &bench.format.regions[region].name;
            let edit = format!("{name} with element {element} alone, at {at:#x}");
            let name = format!("{name}-{element}-over-{at}");
            proposals.push(Proposal { name, edit, draft, twin: None });
        }
    }
    proposals
}

/// Moves each stretch onto the one before it, onto its last byte, and onto the start of the file.
fn payloads_onto(
    bench: &Workbench<'_>,
    regions: &[usize],
    region: usize,
    payloads: &Payloads,
) -> Vec<Proposal> {
    let is_record =
        |other: &&usize| matches!(bench.format.regions[**other].content, Content::Record(_));
    let header = regions.iter().find(is_record).map(|header| bench.model.regions[*header].span);
    let nodes = bench.model.regions[region].node.children().iter().enumerate();
    let full: Vec<_> =
        nodes.map(|(index, node)| (index, node.span)).filter(|(_, s)| s.start < s.end).collect();
    let mut proposals = Vec::new();
    for (position, (index, span)) in full.iter().enumerate() {
        let before = position.checked_sub(1).and_then(|before| full.get(before)).map(|(_, s)| *s);
        let steps = std::iter::once(*index).chain(payloads.offset.iter().copied()).collect();
        let site = Site { region: payloads.table, steps };
        let values = [
            ("onto-the-one-before", before.map(|before| before.offset())),
            ("into-the-one-before", before.map(|before| u64::from(before.end).saturating_sub(1))),
            ("right-after-the-one-before", before.map(|before| u64::from(before.end))),
            ("one-byte-back", span.offset().checked_sub(1)),
            ("onto-the-start", Some(0)),
            ("onto-byte-8", Some(8)),
            (
                "onto-the-last-byte-of-the-header",
                header.map(|h| u64::from(h.end).saturating_sub(1)),
            ),
        ];
        for (kind, value) in distinct(values, u64::MAX) {
            proposals.extend(bench.set(&site, kind, value));
        }
    }
    proposals
}

/// A region of bytes that starts one byte earlier and ends where it did: nothing but the overlap is wrong.
fn stretched(bench: &Workbench<'_>, region: usize, offset: &Site) -> Option<Proposal> {
    let spec = &bench.format.regions[region];
    let Content::Bytes(Extent::Size(Operand::Field(FieldRef::Region { region: holder, path }))) =
        &spec.content
    else {
        return None;
    };
    let span = bench.model.regions[region].span;
    let name = format!("{}-stretched-back", spec.name);
    let proposal = bench.set(offset, &name, span.offset().checked_sub(1)?)?;
    let size = Site { region: *holder, steps: path.clone() };
    let longer = (span.range().len() as u64).checked_add(1)?;
    Some(Proposal {
        draft: proposal.draft.with(&size, Item::Number(longer))?,
        edit: format!("{}, {} = {longer:#x}", proposal.edit, size.path(bench.format)),
        ..proposal
    })
}
