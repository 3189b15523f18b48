//! `fits`: `start + length ≤ size`, in unbounded integers.

use blobspec::Format;
use blobspec::format::{Attribute, Content, Derive, FieldRef, Meaning, Operand, Target};

use super::workbench::operand_text;
use super::{Proposal, Sink, Workbench};
use crate::draft::{Draft, Item, Site};
use crate::evaluate::Context;

pub(super) fn check(
    context: &Context<'_>,
    each: &Target,
    operands: [&Operand; 3],
    least: u64,
    sink: &mut Sink,
) {
    context.visit(each, |element| {
        let values = operands.map(|operand| context.operand(operand, element.stack));
        let [Some(start), Some(length), Some(size)] = values else { return };
        let length = length.max(least);
        sink.exercise();
        if u128::from(start).saturating_add(u128::from(length)) > u128::from(size) {
            let path = context.format.path_of(each);
            sink.report(element.node.span.offset(), || {
                format!("{path}: {length} bytes at {start:#x} do not fit {size}")
            });
        }
    });
}

pub(super) fn propose(
    bench: &Workbench<'_>,
    each: &Target,
    operands: [&Operand; 3],
    least: u64,
) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    for place in bench.ends(each, &operands) {
        let [Some(start), Some(length), Some(size)] = place.operands[..] else { continue };
        let length = length.max(least);
        let sites = operands.map(|operand| bench.operand_site(operand, &place.site, each));
        if let Some(site) = &sites[0] {
            proposals.extend(starts(bench, &place.site, site, length, size));
        }
        if let (Some(site), Operand::Field(_)) = (&sites[1], operands[1]) {
            proposals.extend(lengths(bench, &place.site, site, start, size));
        }
        if let (Some(site), Operand::Field(_)) = (&sites[2], operands[2]) {
            proposals.extend(sizes(bench, &place.site, site, start, length));
        }
        if let (Some(start), Some(code)) = (&sites[0], &sites[1]) {
            proposals.extend(codes(bench, operands[1], [&place.site, start, code], size));
        }
    }
    proposals
}

/// Starts around the last one that fits, and those whose sum wraps.
fn starts(
    bench: &Workbench<'_>,
    element: &Site,
    site: &Site,
    length: u64,
    size: u64,
) -> Vec<Proposal> {
    let last = size.checked_sub(length);
    let width_wrap = (1_u64 << 32).checked_sub(length);
    let values = [
        ("start-last", last),
        ("start-past-last", last.and_then(|last| last.checked_add(1))),
        ("start-at-size", Some(size)),
        ("start-sum-wraps", width_wrap),
        ("start-max", Some(0xffff_ffff)),
        ("start-half", Some(0x8000_0000)),
        ("start-64-bit-sum-wraps", Some(0_u64.wrapping_sub(length))),
        ("start-64-bit-max", Some(u64::MAX)),
    ];
    let named = super::workbench::distinct(values, u64::MAX);
    let twin = |name: &str| (name == "start-past-last").then(|| bench.name(element, "start-last"));
    let set = |(name, value): (&'static str, u64)| {
        let proposal = bench.set(site, name, value)?;
        Some(proposal.named(bench.name(element, name)).beside(twin(name)))
    };
    named.into_iter().filter_map(set).collect()
}

/// Lengths around the longest that fits, and those whose sum with the start wraps.
fn lengths(
    bench: &Workbench<'_>,
    element: &Site,
    site: &Site,
    start: u64,
    size: u64,
) -> Vec<Proposal> {
    let longest = size.checked_sub(start);
    let values = [
        ("length-longest", longest),
        ("length-past-longest", longest.and_then(|longest| longest.checked_add(1))),
        ("length-sum-wraps", Some(0_u64.wrapping_sub(start))),
        ("length-half", Some(1 << 63)),
        ("length-max", Some(u64::MAX)),
    ];
    let twin =
        |name: &str| (name == "length-past-longest").then(|| bench.name(element, "length-longest"));
    let set = |(name, value): (&'static str, u64)| {
        let proposal = bench.set(site, name, value)?;
        Some(proposal.named(bench.name(element, name)).beside(twin(name)))
    };
    super::workbench::distinct(values, u64::MAX).into_iter().filter_map(set).collect()
}

fn sizes(
    bench: &Workbench<'_>,
    element: &Site,
    site: &Site,
    start: u64,
    length: u64,
) -> Vec<Proposal> {
    let exact = start.saturating_add(length);
    let values =
        [("size-exact", Some(exact)), ("size-short", exact.checked_sub(1)), ("size-zero", Some(0))];
    let twin = |name: &str| (name == "size-short").then(|| bench.name(element, "size-exact"));
    let set = |(name, value): (&'static str, u64)| {
        let proposal = bench.set(site, name, value)?;
        Some(proposal.named(bench.name(element, name)).beside(twin(name)))
    };
    super::workbench::distinct(values, u64::MAX).into_iter().filter_map(set).collect()
}

/// Every code that gives a length, at the last start that fits it and one past.
fn codes(
    bench: &Workbench<'_>,
    length: &Operand,
    [element, start, code]: [&Site; 3],
    size: u64,
) -> Vec<Proposal> {
    let Operand::Attribute { field, attribute } = length else { return Vec::new() };
    let Some(Meaning::Enum(index)) = meaning(bench.format, field) else { return Vec::new() };
    let mut proposals = Vec::new();
    for value in &bench.format.enums[index].values {
        let length = match &value.attributes[*attribute] {
            Attribute::Number(operand) => bench.absolute(operand),
            Attribute::Bytes(_) => None,
        };
        let Some(last) = length.and_then(|length| size.checked_sub(length)) else { continue };
        let inside = format!("{}-last", value.name);
        for (name, at, twin) in [
            (inside.clone(), last, None),
            (format!("{}-past-last", value.name), last + 1, Some(bench.name(element, &inside))),
        ] {
            let Some(proposal) = bench.set(start, &name, at) else { continue };
            let Some(draft) = proposal.draft.with(code, Item::Number(value.code)) else { continue };
            let edit = format!("{}, {} = {}", proposal.edit, code.path(bench.format), value.name);
            proposals.push(Proposal { name: bench.name(element, &name), edit, draft, twin });
        }
    }
    proposals
}

fn meaning(format: &Format, field: &FieldRef) -> Option<Meaning> {
    Some(format.field_of(field)?.field_type.scalar()?.meaning)
}

/// Makes the size large enough: for generated files, where it is a field of its own.
pub(super) fn satisfy(format: &Format, draft: &mut Draft, each: &Target, operands: [&Operand; 3]) {
    let Some(encoded) = crate::encode(format, draft).ok() else { return };
    let decoded = crate::decode(format, &encoded.bytes);
    let bench =
        Workbench { format, file: &encoded.bytes, model: &decoded.model, draft, filter: None };
    let mut sizes: Vec<(Site, u64)> = Vec::new();
    for place in bench.places(each, &operands) {
        let [Some(start), Some(length), Some(size)] = place.operands[..] else { continue };
        let (Some(site), Some(end)) =
            (bench.operand_site(operands[2], &place.site, each), start.checked_add(length))
        else {
            continue;
        };
        match sizes.iter_mut().find(|(known, _)| *known == site) {
            Some((_, largest)) => *largest = end.max(*largest),
            None => sizes.push((site, end.max(size))),
        }
    }
    for (site, size) in sizes {
        match draft.get_mut(&site) {
            Some(Item::Number(value)) => *value = size,
            Some(Item::Derived) => grow(format, draft, &site, size),
            _ => {}
        }
    }
}

/// Where the size is that of a region of bytes, makes the region long enough.
fn grow(format: &Format, draft: &mut Draft, size: &Site, least: u64) {
    let in_record = matches!(format.regions[size.region].content, Content::Record(_));
    let target = Target { region: size.region, path: size.steps.clone() };
    let derive = format.leaf(&target).filter(|_| in_record).and_then(|f| f.derive.as_ref());
    let (Some(Derive::SizeOf(region)), Ok(least)) = (derive, usize::try_from(least)) else {
        return;
    };
    if let Item::Bytes(bytes) = &mut draft.regions[*region].item
        && bytes.len() < least.min(MAX_GROWN)
    {
        bytes.resize(least, 0);
    }
}

/// Largest region that is made to fit something, in bytes: a page.
const MAX_GROWN: usize = 4096;

pub(super) fn describe(
    format: &Format,
    each: &Target,
    [start, length, size]: [&Operand; 3],
) -> String {
    let text = |operand| operand_text(format, each, operand);
    format!(
        "for each of {}: {} + {} is at most {}",
        format.path_of(each),
        text(start),
        text(length),
        text(size)
    )
}
