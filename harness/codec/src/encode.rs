//! A draft to bytes: layout, derived values, checksums last.

use std::collections::HashMap;
use std::ops::Range;

use blobspec::Format;
use blobspec::format::{
    ChecksumReads, Content, CountSource, Derive, Element, Endian, Field, FieldType, Record, Refers,
    Region, Scalar,
};

use crate::checksum;
use crate::decode::align_up;
use crate::draft::{Draft, Item, RegionDraft};
use crate::limits::MAX_ENCODED;

/// Why a draft has no bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The draft does not have the shape of the spec.
    #[error("the draft of `{place}` does not have the shape that the spec gives it")]
    Shape {
        /// Region or field.
        place: String,
    },
    /// The file would be too large.
    #[error("the file would be larger than {MAX_ENCODED} bytes")]
    TooLarge,
    /// A name is used, but the region that it should go to holds no strings.
    #[error("`{place}` names a string, but the spec gives it no strings region")]
    NoStrings {
        /// Field.
        place: String,
    },
}

/// An encoded file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The file.
    pub bytes: Vec<u8>,
    /// Where each region lies.
    pub regions: Vec<Range<usize>>,
}

/// Writes `draft`.
///
/// # Errors
/// When the draft does not have the spec's shape or is absurdly large.
pub fn encode(format: &Format, draft: &Draft) -> Result<Encoded, EncodeError> {
    let mut draft = draft.clone();
    if draft.regions.len() != format.regions.len() {
        return Err(EncodeError::Shape { place: format.id.clone() });
    }
    let strings = intern(format, &mut draft)?;
    let Layout { regions, payloads } = layout(format, &draft)?;
    let mut writer = Writer {
        format,
        draft: &draft,
        strings,
        regions: shortened(&regions, &draft),
        payloads,
        bytes: Vec::new(),
        at: 0,
        element: 0,
        checksums: Vec::new(),
    };
    for gap in &draft.gaps {
        writer.at = gap.at;
        writer.emit(&gap.bytes);
    }
    for (index, range) in regions.iter().enumerate() {
        writer.pad_to(range.start);
        writer.region(index, range.len())?;
    }
    if let Some(cut) = draft.cut {
        let end = regions.get(cut.region).map_or(0, |range| range.start).min(writer.bytes.len());
        let from = cut.from.min(end);
        writer.bytes.drain(from..end);
        for pending in writer.checksums.iter_mut().filter(|pending| pending.at >= end) {
            pending.at -= end - from;
        }
    }
    writer.checksums();
    let Writer { mut bytes, regions, .. } = writer;
    bytes.extend_from_slice(&draft.trailing);
    if let Some(length) = draft.truncate {
        bytes.truncate(length);
    }
    Ok(Encoded { bytes, regions })
}

/// Offset of every name, by strings region.
type Strings = HashMap<(usize, String), u64>;

/// Adds the names that drafts use to the strings regions that they belong to.
fn intern(format: &Format, draft: &mut Draft) -> Result<Strings, EncodeError> {
    let mut names: Vec<(usize, String)> = Vec::new();
    for (region, spec) in draft.regions.iter().zip(&format.regions) {
        let Some(record) = spec.record() else { continue };
        for item in region.item.records() {
            names_in(format, record, item, &mut names)?;
        }
    }
    let mut offsets = Strings::new();
    for (region, name) in names {
        let Some(RegionDraft { item: Item::List(strings), .. }) = draft.regions.get_mut(region)
        else {
            return Err(EncodeError::NoStrings { place: name });
        };
        let mut bytes = name.clone().into_bytes();
        bytes.push(0);
        let known =
            strings.iter().position(|item| matches!(item, Item::Bytes(known) if *known == bytes));
        let position = known.unwrap_or_else(|| {
            strings.push(Item::Bytes(bytes));
            strings.len() - 1
        });
        let before: usize = strings[..position].iter().map(string_length).sum();
        offsets.insert((region, name), (before + string_base(&format.regions[region])) as u64);
    }
    Ok(offsets)
}

fn string_length(item: &Item) -> usize {
    if let Item::Bytes(bytes) = item { bytes.len() } else { 0 }
}

fn string_base(region: &Region) -> usize {
    match &region.content {
        Content::Strings { from_prefix: true, count } => prefix_width(&count.source),
        _ => 0,
    }
}

fn prefix_width(source: &CountSource) -> usize {
    if let CountSource::Prefix(width) = source { usize::from(*width) } else { 0 }
}

fn names_in(
    format: &Format,
    record: usize,
    item: &Item,
    names: &mut Vec<(usize, String)>,
) -> Result<(), EncodeError> {
    for (field, item) in format.records[record].fields.iter().zip(item.children()) {
        match (item, field.refers) {
            (Item::Name(name), Some(Refers::String(region))) => names.push((region, name.clone())),
            (Item::Name(_), _) => return Err(EncodeError::NoStrings { place: field.name.clone() }),
            _ => {}
        }
        let Some(inner) = field.field_type.record() else { continue };
        match item {
            Item::List(elements) => {
                elements.iter().try_for_each(|e| names_in(format, inner, e, names))?;
            }
            item => names_in(format, inner, item, names)?,
        }
    }
    Ok(())
}

/// Where everything lies.
#[derive(PartialEq, Eq)]
pub(crate) struct Layout {
    /// Every region.
    regions: Vec<Range<usize>>,
    /// The payloads of every region, empty for those without.
    payloads: Vec<Vec<Range<usize>>>,
}

/// Where every region lies before anything is cut out.
pub(crate) fn layout(format: &Format, draft: &Draft) -> Result<Layout, EncodeError> {
    let mut previous = 0_usize;
    let mut regions = Vec::with_capacity(draft.regions.len());
    let mut payloads = vec![Vec::new(); draft.regions.len()];
    for (index, (region, spec)) in draft.regions.iter().zip(&format.regions).enumerate() {
        let start = region.at.unwrap_or_else(|| align_up(previous, spec.align));
        match &spec.content {
            Content::Payloads(_) => {
                let ranges = payload_ranges(format, draft, index, start);
                let end = ranges.iter().map(|range| range.end).max().unwrap_or(previous);
                if end > MAX_ENCODED {
                    return Err(EncodeError::TooLarge);
                }
                payloads[index] = ranges;
                regions.push(start.min(end)..end);
                previous = end;
                continue;
            }
            Content::Inside { .. } => {
                regions.push(previous..previous);
                continue;
            }
            _ => {}
        }
        let prefix = spec.count().map_or(0, |count| prefix_width(&count.source));
        let length = size(format, spec, &region.item)?.saturating_add(prefix);
        let end = start.saturating_add(length);
        if end > MAX_ENCODED {
            return Err(EncodeError::TooLarge);
        }
        regions.push(start..end);
        previous = end;
    }
    if draft.gaps.iter().any(|gap| gap.at.saturating_add(gap.bytes.len()) > MAX_ENCODED) {
        return Err(EncodeError::TooLarge);
    }
    Ok(Layout { regions, payloads })
}

/// Where each payload of a region lies: one after the other from `start`, but for those with a place of their own.
fn payload_ranges(
    format: &Format,
    draft: &Draft,
    region: usize,
    start: usize,
) -> Vec<Range<usize>> {
    let mut next = start;
    let (spec, placed) = (&format.regions[region], &draft.regions[region]);
    let mut ranges = Vec::new();
    for (index, item) in placed.item.children().iter().enumerate() {
        if matches!(item, Item::Absent) {
            ranges.push(0..0);
            continue;
        }
        let records: usize = payload_records(format, draft, region, index)
            .map(|(record, item)| record_size(format, record, item))
            .sum();
        let place = placed.places.get(index).copied().flatten();
        let at = place.unwrap_or_else(|| align_up(next, spec.align));
        let end = at.saturating_add(records).saturating_add(string_length(item));
        next = next.max(end);
        ranges.push(at..end);
    }
    ranges
}

/// The records that stand at the start of a payload, each with the position of its type.
fn payload_records<'d>(
    format: &'d Format,
    draft: &'d Draft,
    region: usize,
    payload: usize,
) -> impl Iterator<Item = (usize, &'d Item)> {
    let inside =
        format.regions.iter().zip(&draft.regions).filter_map(move |(spec, held)| {
            match spec.content {
                Content::Inside { record, payloads, .. } if payloads == region => {
                    Some((record, held.item.children().get(payload)?))
                }
                _ => None,
            }
        });
    inside.flat_map(|(record, list)| list.children().iter().map(move |item| (record, item)))
}

/// Where every region lies after the cut.
fn shortened(regions: &[Range<usize>], draft: &Draft) -> Vec<Range<usize>> {
    let Some(cut) = draft.cut else { return regions.to_vec() };
    let start = regions.get(cut.region).map_or(0, |range| range.start);
    let gap = start.saturating_sub(cut.from);
    let moved = |(index, range): (usize, &Range<usize>)| {
        if index < cut.region {
            range.start.min(cut.from)..range.end.min(cut.from)
        } else {
            range.start.saturating_sub(gap)..range.end.saturating_sub(gap)
        }
    };
    regions.iter().enumerate().map(moved).collect()
}

fn size(format: &Format, region: &Region, item: &Item) -> Result<usize, EncodeError> {
    let shape = || EncodeError::Shape { place: region.name.clone() };
    match (&region.content, item) {
        (Content::Record(record), item) => Ok(record_size(format, *record, item)),
        (Content::Array { record, .. }, Item::List(elements)) => {
            Ok(elements.iter().map(|element| record_size(format, *record, element)).sum())
        }
        (Content::Strings { .. }, Item::List(strings)) => {
            Ok(strings.iter().map(string_length).sum())
        }
        (Content::Bytes(_), Item::Bytes(bytes)) => Ok(bytes.len()),
        (Content::Stream { opcodes, .. }, Item::List(instructions)) => Ok(instructions
            .iter()
            .map(|instruction| instruction_size(format, *opcodes, instruction))
            .sum()),
        _ => Err(shape()),
    }
}

fn instruction_size(format: &Format, opcodes: usize, item: &Item) -> usize {
    let Item::Instruction(position, _) = item else { return string_length(item) };
    let table = &format.opcodes[opcodes];
    let Some(instruction) = table.instructions.get(*position) else { return 0 };
    let operands = table.before.iter().chain(&instruction.operands);
    usize::from(table.width) + operands.map(|(_, s)| usize::from(s.width)).sum::<usize>()
}

/// An instruction, or the raw bytes that stand in its place.
pub(crate) fn instruction_bytes(format: &Format, opcodes: usize, item: &Item) -> Vec<u8> {
    let Item::Instruction(position, values) = item else {
        return if let Item::Bytes(bytes) = item { bytes.clone() } else { Vec::new() };
    };
    let table = &format.opcodes[opcodes];
    let Some(instruction) = table.instructions.get(*position) else { return Vec::new() };
    let value = |index: usize| match values.get(index) {
        Some(Item::Number(value)) => *value,
        _ => 0,
    };
    let integer = |value: u64, width: u8| integer_bytes(format.endian, value, width);
    let before = table.before.iter().enumerate().map(|(i, (_, s))| integer(value(i), s.width));
    let first = table.before.len();
    let operands = instruction.operands.iter().enumerate();
    let operands = operands.map(|(i, (_, s))| integer(value(first + i), s.width));
    before.chain([integer(instruction.code, table.width)]).chain(operands).flatten().collect()
}

/// The low `width` bytes of a number in the file's byte order.
pub(crate) fn integer_bytes(endian: Endian, value: u64, width: u8) -> Vec<u8> {
    let width = usize::from(width);
    match endian {
        Endian::Little => value.to_le_bytes()[..width].to_vec(),
        Endian::Big => value.to_be_bytes()[8 - width..].to_vec(),
    }
}

fn record_size(format: &Format, record: usize, item: &Item) -> usize {
    let fields = format.records[record].fields.iter().zip(item.children());
    fields.map(|(field, item)| field_size(format, field, item)).sum()
}

fn field_size(format: &Format, field: &Field, item: &Item) -> usize {
    match &field.field_type {
        FieldType::Scalar(scalar) => usize::from(scalar.width),
        FieldType::Pad(length) if matches!(item, Item::Derived) => {
            usize::try_from(*length).unwrap_or_default()
        }
        FieldType::Bytes(_) | FieldType::Pad(_) => string_length(item),
        FieldType::Record(record) => record_size(format, *record, item),
        FieldType::Array { element: Element::Scalar(scalar), .. } => {
            item.children().len() * usize::from(scalar.width)
        }
        FieldType::Array { element: Element::Record(record), .. } => {
            item.children().iter().map(|element| record_size(format, *record, element)).sum()
        }
    }
}

/// A checksum to be filled in when all other bytes stand.
struct Pending {
    at: usize,
    width: usize,
    from: usize,
    to: usize,
    reads: ChecksumReads,
}

struct Writer<'a> {
    format: &'a Format,
    draft: &'a Draft,
    strings: Strings,
    regions: Vec<Range<usize>>,
    payloads: Vec<Vec<Range<usize>>>,
    bytes: Vec<u8>,
    /// Where the next bytes go.
    at: usize,
    /// Position of the element of an array that is being written.
    element: usize,
    checksums: Vec<Pending>,
}

impl Writer<'_> {
    /// Goes on at `at`; an empty region lies inside the file, too.
    fn pad_to(&mut self, at: usize) {
        self.bytes.resize(self.bytes.len().max(at), 0);
        self.at = at;
    }

    fn emit(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = self.at + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[self.at..end].copy_from_slice(bytes);
        self.at = end;
    }

    fn region(&mut self, index: usize, length: usize) -> Result<(), EncodeError> {
        let (format, draft) = (self.format, self.draft);
        let (spec, region) = (&format.regions[index], &draft.regions[index]);
        if let Some(count) = spec.count()
            && let CountSource::Prefix(width) = count.source
        {
            let derived = self.count_of(index, length - usize::from(width));
            self.number(region.count.as_ref().unwrap_or(&Item::Derived), width, derived);
        }
        match (&spec.content, &region.item) {
            (Content::Record(record), item) => self.record(*record, item),
            (Content::Array { record, .. }, Item::List(elements)) => {
                for (index, element) in elements.iter().enumerate() {
                    self.element = index;
                    self.record(*record, element)?;
                }
                Ok(())
            }
            (Content::Payloads(_), Item::List(items)) => self.payloads(index, items),
            (Content::Inside { .. }, _) => Ok(()),
            (Content::Stream { opcodes, .. }, Item::List(instructions)) => {
                for instruction in instructions {
                    self.emit(&instruction_bytes(format, *opcodes, instruction));
                }
                Ok(())
            }
            (_, Item::List(strings)) => {
                strings.iter().for_each(|string| self.raw(string));
                Ok(())
            }
            (_, item) => {
                self.raw(item);
                Ok(())
            }
        }
    }

    /// Each payload with the records in it first.
    fn payloads(&mut self, region: usize, items: &[Item]) -> Result<(), EncodeError> {
        let (format, draft) = (self.format, self.draft);
        for (index, item) in items.iter().enumerate() {
            let range = self.payloads[region][index].clone();
            if matches!(item, Item::Absent) {
                continue;
            }
            self.pad_to(range.start);
            for (record, item) in payload_records(format, draft, region, index) {
                self.record(record, item)?;
            }
            self.raw(item);
        }
        Ok(())
    }

    fn raw(&mut self, item: &Item) {
        if let Item::Bytes(bytes) = item {
            self.emit(bytes);
        }
    }

    fn count_of(&self, region: usize, content_size: usize) -> u64 {
        let in_bytes = self.format.regions[region].count().is_some_and(|count| count.bytes);
        let elements = self.draft.regions[region].item.children().len();
        (if in_bytes { content_size } else { elements }) as u64
    }

    fn number(&mut self, item: &Item, width: u8, derived: u64) {
        let value = if let Item::Number(value) = item { *value } else { derived };
        self.emit(&integer_bytes(self.format.endian, value, width));
    }

    fn record(&mut self, record: usize, item: &Item) -> Result<(), EncodeError> {
        let record = &self.format.records[record];
        let items = item.children();
        if items.len() != record.fields.len() {
            return Err(EncodeError::Shape { place: record.name.clone() });
        }
        record
            .fields
            .iter()
            .zip(items)
            .try_for_each(|(field, item)| self.field(field, item, record, items))
    }

    fn field(
        &mut self,
        field: &Field,
        item: &Item,
        record: &Record,
        siblings: &[Item],
    ) -> Result<(), EncodeError> {
        match (&field.field_type, item) {
            (FieldType::Scalar(scalar), item) => {
                let derived = self.derived(field, item, *scalar, record, siblings);
                self.number(item, scalar.width, derived);
                Ok(())
            }
            (FieldType::Pad(length), Item::Derived) => {
                self.emit(&vec![0; usize::try_from(*length).unwrap_or_default()]);
                Ok(())
            }
            (FieldType::Bytes(_) | FieldType::Pad(_), item) => {
                self.raw(item);
                Ok(())
            }
            (FieldType::Record(record), item) => self.record(*record, item),
            (FieldType::Array { element, .. }, Item::List(elements)) => {
                elements.iter().try_for_each(|item| match element {
                    Element::Scalar(scalar) => {
                        self.number(item, scalar.width, 0);
                        Ok(())
                    }
                    Element::Record(record) => self.record(*record, item),
                })
            }
            _ => Err(EncodeError::Shape { place: field.name.clone() }),
        }
    }

    fn derived(
        &mut self,
        field: &Field,
        item: &Item,
        scalar: Scalar,
        record: &Record,
        siblings: &[Item],
    ) -> u64 {
        if let (Item::Name(name), Some(Refers::String(region))) = (item, field.refers) {
            return self.strings.get(&(region, name.clone())).copied().unwrap_or_default();
        }
        match &field.derive {
            Some(Derive::OffsetOf(region)) => self.regions[*region].start as u64,
            Some(Derive::SizeOf(region)) => self.regions[*region].len() as u64,
            Some(Derive::SizeOfFile) => {
                let end = self.regions.iter().map(|range| range.end).max();
                (end.unwrap_or(0) + self.draft.trailing.len()) as u64
            }
            Some(Derive::PayloadOffset(region)) => {
                self.payloads[*region].get(self.element).map_or(0, |range| range.start as u64)
            }
            Some(Derive::PayloadSize(region)) => {
                self.payloads[*region].get(self.element).map_or(0, |range| range.len() as u64)
            }
            Some(Derive::CountOfRegion(region, filter)) if filter.is_always() => {
                self.count_of(*region, self.regions[*region].len())
            }
            Some(Derive::CountOfRegion(region, filter)) => {
                let records = self.draft.regions[*region].item.records();
                records.iter().filter(|record| self.draft.holds(filter, record)).count() as u64
            }
            Some(Derive::CountOfField(index)) => {
                siblings.get(*index).map_or(0, |item| item.children().len()) as u64
            }
            Some(Derive::Fnv1a(index)) => {
                let name = self.name_in(siblings.get(*index), *index, record);
                u64::from(checksum::fnv1a(&name))
            }
            Some(Derive::Crc32 { from, to, reads }) => {
                if matches!(item, Item::Derived) {
                    let (from, to) = (self.regions[*from].start, self.regions[*to].end);
                    let (at, width) = (self.at, usize::from(scalar.width));
                    self.checksums.push(Pending { at, width, from, to, reads: *reads });
                }
                0
            }
            None => 0,
        }
    }

    /// The bytes of the string that the sibling at `index` refers to, as a name or as an offset.
    fn name_in(&self, item: Option<&Item>, index: usize, record: &Record) -> Vec<u8> {
        let refers = record.fields.get(index).and_then(|field| field.refers);
        match (item, refers) {
            (Some(Item::Name(name)), _) => name.clone().into_bytes(),
            (Some(Item::Number(offset)), Some(Refers::String(region))) => {
                let strings = self.draft.regions[region].item.children().iter();
                let content: Vec<u8> = strings
                    .flat_map(
                        |s| if let Item::Bytes(bytes) = s { bytes.clone() } else { Vec::new() },
                    )
                    .collect();
                let start = usize::try_from(*offset)
                    .unwrap_or(usize::MAX)
                    .checked_sub(string_base(&self.format.regions[region]));
                let rest = start.and_then(|start| content.get(start..)).unwrap_or_default();
                rest.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
            }
            _ => Vec::new(),
        }
    }

    fn checksums(&mut self) {
        for Pending { at, width, from, to, reads } in std::mem::take(&mut self.checksums) {
            let (to, field) = (to.min(self.bytes.len()), at..at + width);
            let crc = checksum::crc32(&self.bytes, from..to, field.clone(), reads);
            let (Some(crc), Some(target)) = (crc, self.bytes.get_mut(field)) else {
                continue; // a draft that was cut apart
            };
            let width = u8::try_from(width).unwrap_or(8);
            target.copy_from_slice(&integer_bytes(self.format.endian, u64::from(crc), width));
        }
    }
}
