//! `bounds`: a region lies inside the file and before its limit. Decoding itself finds the violation; here
//! are only the ways to cause it.

use blobspec::format::{
    ArrayCount, Content, CountSource, Derive, Extent, FieldRef, FieldType, Operand, Payloads,
    Target,
};

use super::in_enum::unknown_neighbours;
use super::workbench::distinct;
use super::{Proposal, Workbench};
use crate::draft::{Cut, Item, Site};
use crate::encode::instruction_bytes;
use crate::model::{Node, Span};

pub(super) fn propose(bench: &Workbench<'_>, region: usize) -> Vec<Proposal> {
    let spec = &bench.format.regions[region];
    let mut proposals = Vec::new();
    match spec.count().map(|count| &count.source) {
        Some(CountSource::Prefix(width)) => proposals.extend(prefixes(bench, region, *width)),
        Some(CountSource::Operand(operand)) => proposals.extend(counts(bench, region, operand)),
        _ => {}
    }
    if let Content::Bytes(Extent::Size(size)) | Content::Stream { extent: Extent::Size(size), .. } =
        &spec.content
    {
        let span = bench.model.regions[region].span;
        let edits = field_site(bench, size).map(|site| sizes(bench, site, span));
        proposals.extend(edits.into_iter().flatten());
    }
    if let Content::Payloads(payloads) = &spec.content {
        proposals.extend(stretches(bench, region, payloads));
    }
    if let Some(limited_by) = limiting_region(bench, region) {
        proposals.extend(cuts(bench, region, limited_by));
    }
    proposals.extend(inner_counts(bench, region));
    if let Some(at) = &spec.at {
        let span = bench.model.regions[region].span;
        let edits = field_site(bench, at).map(|site| offsets(bench, site, span));
        proposals.extend(edits.into_iter().flatten());
    }
    if let Content::Stream { opcodes, .. } = &spec.content {
        proposals.extend(unknown_opcodes(bench, region, *opcodes));
        proposals.extend(cut_instructions(bench, region, *opcodes));
    }
    proposals
}

/// The field that an operand is, with the largest value of its type.
fn field_site(bench: &Workbench<'_>, operand: &Operand) -> Option<(Site, u64)> {
    let Operand::Field(FieldRef::Region { region, path }) = operand else { return None };
    let target = Target { region: *region, path: path.clone() };
    let max = bench.scalar(&target)?.max();
    Some((Site { region: *region, steps: path.clone() }, max))
}

/// Counts before the elements.
fn prefixes(bench: &Workbench<'_>, region: usize, width: u8) -> Vec<Proposal> {
    let limit = if width >= 8 { u64::MAX } else { (1 << (u32::from(width) * 8)) - 1 };
    let real =
        bench.model.regions[region].count.as_ref().and_then(Node::number).unwrap_or_default();
    let edit = |(name, value): (&'static str, u64)| {
        let mut draft = bench.draft.clone();
        draft.regions[region].count = Some(Item::Number(value));
        let edit = format!("{}.count = {value:#x}", bench.format.regions[region].name);
        Proposal { name: name.to_owned(), edit, draft, twin: None }
    };
    other_counts(bench, region, real, limit).into_iter().map(edit).collect()
}

/// Counts in a field elsewhere.
fn counts(bench: &Workbench<'_>, region: usize, operand: &Operand) -> Vec<Proposal> {
    let Some((site, limit)) = field_site(bench, operand) else { return Vec::new() };
    let real = bench.absolute(operand).unwrap_or_default();
    let values = other_counts(bench, region, real, limit).into_iter();
    values.filter_map(|(name, value)| bench.set(&site, name, value)).collect()
}

/// Counts that promise more than there is, up to those whose product with an element's size wraps.
fn other_counts(
    bench: &Workbench<'_>,
    region: usize,
    real: u64,
    limit: u64,
) -> Vec<(&'static str, u64)> {
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
    let mut values = distinct(values, limit);
    values.retain(|(_, value)| *value != real);
    values
}

/// Sizes that reach past the file, up to those whose sum with the start wraps.
fn sizes(bench: &Workbench<'_>, (site, limit): (Site, u64), span: Span) -> Vec<Proposal> {
    let (start, size) = (span.offset(), span.range().len() as u64);
    let wrap = 0_u64.wrapping_sub(start) & limit;
    let values = [
        ("size-plus-1", size.checked_add(1)),
        ("size-minus-1", size.checked_sub(1)),
        ("size-zero", Some(0)),
        ("size-2-gib", Some(1 << 31)),
        ("size-4-gib", Some(1 << 32)),
        ("size-4-gib-and-right", (1_u64 << 32).checked_add(size)),
        ("size-sum-wraps-to-0", Some(wrap)),
        ("size-sum-wraps-to-end", wrap.checked_add(size)),
        ("size-sum-is-max", Some(wrap.wrapping_sub(1) & limit)),
        ("size-half", Some((limit >> 1) + 1)),
        ("size-below-half", Some(limit >> 1)),
        ("size-max-minus-1", Some(limit - 1)),
        ("size-max", Some(limit)),
    ];
    let edits = distinct(values, limit).into_iter();
    edits.filter_map(|(name, value)| bench.set(&site, name, value)).collect()
}

/// Sizes and offsets of the first and the last stretch that has bytes.
fn stretches(bench: &Workbench<'_>, region: usize, payloads: &Payloads) -> Vec<Proposal> {
    let nodes = bench.model.regions[region].node.children().iter().enumerate();
    let full: Vec<(usize, Span)> =
        nodes.map(|(index, node)| (index, node.span)).filter(|(_, s)| s.start < s.end).collect();
    let mut ends: Vec<(usize, Span)> = full.first().copied().into_iter().collect();
    ends.extend(full.last().copied().filter(|_| full.len() > 1));
    let mut proposals = Vec::new();
    for (index, span) in ends {
        let field = |path: &[usize]| {
            let target = Target { region: payloads.table, path: path.to_vec() };
            let steps = std::iter::once(index).chain(path.iter().copied()).collect();
            Some((Site { region: payloads.table, steps }, bench.scalar(&target)?.max()))
        };
        let edits = field(&payloads.size).map(|site| sizes(bench, site, span));
        proposals.extend(edits.into_iter().flatten());
        let edits = field(&payloads.offset).map(|site| offsets(bench, site, span));
        proposals.extend(edits.into_iter().flatten());
        if let (Some((size, _)), Some((offset, _))) =
            (field(&payloads.size), field(&payloads.offset))
        {
            proposals.extend(empty_ones(bench, &size, &offset));
        }
    }
    proposals
}

/// A stretch of no bytes at the end of the file, and behind it.
fn empty_ones(bench: &Workbench<'_>, size: &Site, offset: &Site) -> Vec<Proposal> {
    let end = bench.file.len() as u64;
    let at = |(name, at): (&str, u64)| {
        let proposal = bench.set(offset, name, at)?;
        let draft = proposal.draft.with(size, Item::Number(0))?;
        let edit = format!("{}, {} = 0", proposal.edit, size.path(bench.format));
        let twin = (name == "empty-past-end").then(|| bench.name(offset, "empty-at-end"));
        Some(Proposal { draft, edit, ..proposal }.beside(twin))
    };
    [("empty-at-end", end), ("empty-past-end", end + 1)].into_iter().filter_map(at).collect()
}

/// Offsets at and past the last one that fits, up to those whose sum with the size wraps.
fn offsets(bench: &Workbench<'_>, (site, limit): (Site, u64), span: Span) -> Vec<Proposal> {
    let (start, size) = (span.offset(), span.range().len() as u64);
    let end = bench.file.len() as u64;
    let last = end.saturating_sub(size);
    let values = [
        ("offset-past-last", last.checked_add(1)),
        ("offset-last", Some(last)),
        ("offset-past-end", end.checked_add(1)),
        ("offset-end-aligned", end.checked_next_multiple_of(4096)),
        ("offset-4-gib-and-right", (1_u64 << 32).checked_add(start)),
        ("offset-sum-wraps-to-0", Some(0_u64.wrapping_sub(size) & limit)),
        ("offset-sum-wraps-to-right", Some(start.wrapping_sub(size) & limit)),
        ("offset-half", Some((limit >> 1) + 1)),
        ("offset-below-half", Some(limit >> 1)),
        ("offset-max", Some(limit)),
    ];
    let edits = distinct(values, limit).into_iter().filter(|(_, value)| *value != start);
    let twin = |name: &str| (name == "offset-past-last").then(|| "offset-last".to_owned());
    edits
        .filter_map(|(name, value)| Some(bench.set(&site, name, value)?.beside(twin(name))))
        .collect()
}

/// Instructions that no table has, at the end of the stream: undefined opcodes, and defined ones after words
/// that give them no meaning.
fn unknown_opcodes(bench: &Workbench<'_>, region: usize, opcodes: usize) -> Vec<Proposal> {
    let table = &bench.format.opcodes[opcodes];
    let limit = if table.width >= 8 { u64::MAX } else { (1 << (u32::from(table.width) * 8)) - 1 };
    let known: Vec<u64> = table.instructions.iter().map(|i| i.code).collect();
    let mut words: Vec<Vec<u64>> = vec![vec![0; table.before.len()]];
    for instruction in &table.instructions {
        let mut word = vec![0; table.before.len()];
        for (position, value) in &instruction.when {
            word[*position] = *value;
        }
        if !words.contains(&word) {
            words.push(word);
        }
    }
    let mut codes = unknown_neighbours(&known, limit);
    codes.extend(known);
    let mut proposals = Vec::new();
    for (word, code) in words.iter().flat_map(|word| codes.iter().map(move |code| (word, *code))) {
        let mut bytes = Vec::new();
        for ((_, scalar), value) in table.before.iter().zip(word) {
            bytes.extend(crate::encode::integer_bytes(bench.format.endian, *value, scalar.width));
        }
        bytes.extend(crate::encode::integer_bytes(bench.format.endian, code, table.width));
        let before: String = word.iter().map(|value| format!("{value}-")).collect();
        proposals.extend(append(bench, region, &format!("opcode-{before}{code:#x}"), bytes));
    }
    proposals
}

/// The stream ends inside an instruction: one byte short, after the opcode, and inside it.
fn cut_instructions(bench: &Workbench<'_>, region: usize, opcodes: usize) -> Vec<Proposal> {
    let table = &bench.format.opcodes[opcodes];
    let mut proposals = Vec::new();
    for (position, instruction) in table.instructions.iter().enumerate() {
        let mut values = vec![Item::Number(0); table.before.len() + instruction.operands.len()];
        for (before, value) in &instruction.when {
            values[*before] = Item::Number(*value);
        }
        let whole = instruction_bytes(bench.format, opcodes, &Item::Instruction(position, values));
        let name = &instruction.mnemonic;
        for kept in [1, whole.len() / 2, whole.len() - 1] {
            let bytes = whole.get(..kept).filter(|bytes| !bytes.is_empty()).map(<[u8]>::to_vec);
            let cut =
                bytes.and_then(|b| append(bench, region, &format!("{name}-cut-at-{kept}"), b));
            let twin = Some(format!("{name}-whole"));
            proposals.extend(cut.map(|proposal| proposal.beside(twin)));
        }
        proposals.extend(append(bench, region, &format!("{name}-whole"), whole));
    }
    proposals
}

/// Raw bytes as the last instruction.
fn append(bench: &Workbench<'_>, region: usize, name: &str, bytes: Vec<u8>) -> Option<Proposal> {
    let mut draft = bench.draft.clone();
    let edit = format!("{} ends with {bytes:02x?}", bench.format.regions[region].name);
    draft.regions.get_mut(region)?.item.children_mut()?.push(Item::Bytes(bytes));
    Some(Proposal { name: name.to_owned(), edit, draft, twin: None })
}

/// The region whose offset limits this one.
fn limiting_region(bench: &Workbench<'_>, region: usize) -> Option<usize> {
    let Some(Operand::Field(FieldRef::Region { region: holder, path })) =
        &bench.format.regions[region].limit
    else {
        return None;
    };
    let target = Target { region: *holder, path: path.clone() };
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
    let fields = &bench.format.records[record].fields;
    let counting = fields.iter().filter_map(|field| match field.field_type {
        FieldType::Array { count: ArrayCount::Field(index), .. } => Some(index),
        _ => None,
    });
    for index in counting {
        let field = &fields[index];
        let target = Target { region, path: vec![index] };
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
