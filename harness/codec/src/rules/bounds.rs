//! `bounds`: a region lies inside the file and before its limit. Decoding itself finds the violation; here
//! are only the ways to cause it.

use blobspec::format::{Content, CountSource, Derive, Extent, FieldRef, Operand};

use super::workbench::distinct;
use super::{Proposal, Workbench};
use crate::draft::{Cut, Item, Site};
use crate::model::Node;

pub(super) fn propose(bench: &Workbench<'_>, region: usize) -> Vec<Proposal> {
    let spec = &bench.format.regions[region];
    let mut proposals = Vec::new();
    if let Some(CountSource::Prefix(width)) = spec.count().map(|count| &count.source) {
        proposals.extend(counts(bench, region, *width));
    }
    if let Content::Bytes(Extent::Size(Operand::Field(FieldRef::Region { region: holder, path }))) =
        &spec.content
    {
        let site = Site { region: *holder, steps: path.clone() };
        proposals.extend(sizes(bench, region, &site));
    }
    if let Some(limited_by) = limiting_region(bench, region) {
        proposals.extend(cuts(bench, region, limited_by));
    }
    proposals.extend(inner_counts(bench, region));
    proposals
}

/// Counts that promise more than there is, up to those whose product with an element's size wraps.
fn counts(bench: &Workbench<'_>, region: usize, width: u8) -> Vec<Proposal> {
    let limit = if width >= 8 { u64::MAX } else { (1 << (u32::from(width) * 8)) - 1 };
    let real =
        bench.model.regions[region].count.as_ref().and_then(Node::number).unwrap_or_default();
    let element =
        bench.content_size(region).checked_div(bench.count(region)).filter(|size| *size > 0);
    let wraps = element.map(|size| (1_u64 << 32).div_ceil(size));
    let values = [
        ("count-plus-1", real.checked_add(1)),
        ("count-plus-2", real.checked_add(2)),
        ("count-minus-1", real.checked_sub(1)),
        ("count-255", Some(0xff)),
        ("count-65536", Some(0x1_0000)),
        ("count-1m", Some(1 << 20)),
        ("count-product-wraps", wraps),
        ("count-product-wraps-plus-1", wraps.and_then(|w| w.checked_add(1))),
        ("count-half", Some((limit >> 1) + 1)),
        ("count-below-half", Some(limit >> 1)),
        ("count-max-minus-1", Some(limit - 1)),
        ("count-max", Some(limit)),
    ];
    let edit = |(name, value): (&'static str, u64)| {
        let mut draft = bench.draft.clone();
        draft.regions[region].count = Some(Item::Number(value));
        let edit = format!("{}.count = {value:#x}", bench.format.regions[region].name);
        Proposal { name: name.to_owned(), edit, draft, twin: None }
    };
    distinct(values, limit).into_iter().filter(|(_, value)| *value != real).map(edit).collect()
}

/// Sizes that reach past the file, up to those whose sum with the start wraps.
fn sizes(bench: &Workbench<'_>, region: usize, site: &Site) -> Vec<Proposal> {
    let span = bench.model.regions[region].span;
    let (start, size) = (span.offset(), span.range().len() as u64);
    let wrap = 0_u64.wrapping_sub(start);
    let values = [
        ("size-plus-1", size.checked_add(1)),
        ("size-minus-1", size.checked_sub(1)),
        ("size-zero", Some(0)),
        ("size-2-gib", Some(1 << 31)),
        ("size-4-gib", Some(1 << 32)),
        ("size-4-gib-and-right", (1_u64 << 32).checked_add(size)),
        ("size-sum-wraps-to-0", Some(wrap)),
        ("size-sum-wraps-to-end", wrap.checked_add(size)),
        ("size-sum-is-max", Some(wrap.wrapping_sub(1))),
        ("size-half", Some(1 << 63)),
        ("size-below-half", Some((1 << 63) - 1)),
        ("size-max-minus-1", Some(u64::MAX - 1)),
        ("size-max", Some(u64::MAX)),
    ];
    distinct(values, u64::MAX)
        .into_iter()
        .filter_map(|(name, value)| bench.set(site, name, value))
        .collect()
}

/// The region whose offset limits this one.
fn limiting_region(bench: &Workbench<'_>, region: usize) -> Option<usize> {
    let Some(Operand::Field(FieldRef::Region { region: holder, path })) =
        &bench.format.regions[region].limit
    else {
        return None;
    };
    let target = blobspec::format::Target { region: *holder, path: path.clone() };
    match bench.format.leaf(&target)?.derive {
        Some(Derive::OffsetOf(limited_by)) => Some(limited_by),
        _ => None,
    }
}

/// The file with everything from inside this region up to the limit left out: at and inside every field.
fn cuts(bench: &Workbench<'_>, region: usize, limited_by: usize) -> Vec<Proposal> {
    let node = &bench.model.regions[region];
    let mut offsets = vec![node.span.range().start];
    node.count.iter().for_each(|count| boundaries(count, &mut offsets));
    boundaries(&node.node, &mut offsets);
    offsets.sort_unstable();
    offsets.dedup();
    offsets.retain(|offset| node.span.range().contains(offset));
    let cut = |from: usize| {
        let mut draft = bench.draft.clone();
        draft.cut = Some(Cut { from, region: limited_by });
        let within = from - node.span.range().start;
        let name = &bench.format.regions[region].name;
        Proposal {
            name: format!("cut-at-{within}"),
            edit: format!("{name} ends after {within} of its bytes"),
            draft,
            twin: None,
        }
    };
    offsets.into_iter().map(cut).collect()
}

/// Start and middle of every leaf.
fn boundaries(node: &Node, offsets: &mut Vec<usize>) {
    if node.children().is_empty() {
        let range = node.span.range();
        offsets.extend([range.start, range.start + range.len() / 2]);
    }
    node.children().iter().for_each(|child| boundaries(child, offsets));
}

/// Counts inside the elements, such as a parameter count.
fn inner_counts(bench: &Workbench<'_>, region: usize) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    let Some(record) = bench.format.regions[region].record() else { return proposals };
    let fields = bench.format.records[record].fields.iter().enumerate();
    for (index, field) in
        fields.filter(|(_, field)| matches!(field.derive, Some(Derive::CountOfField(_))))
    {
        let target = blobspec::format::Target { region, path: vec![index] };
        let limit = field.field_type.scalar().map_or(0, blobspec::format::Scalar::max);
        for place in bench.ends(&target, &[]) {
            let values = [
                ("max", Some(limit)),
                ("plus-1", place.value.checked_add(1)),
                ("minus-1", place.value.checked_sub(1)),
            ];
            for (name, value) in distinct(values, limit) {
                proposals.extend(bench.set(
                    &place.site,
                    &format!("{}-{name}", field.name.replace('_', "-")),
                    value,
                ));
            }
        }
    }
    proposals
}
