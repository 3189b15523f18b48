//! A file to be written: values to pin and values to derive.

use blobspec::Format;
use blobspec::format::{
    Condition, Content, Derive, Field, FieldRef, FieldType, Region, Target, Test,
};

use crate::model::{Model, Node, RegionNode, Value};

/// A file to be written. Everything that is [`Item::Derived`] is computed; everything else is written as it
/// stands, right or wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// One entry for each region of the spec.
    pub regions: Vec<RegionDraft>,
    /// Bytes that no region owns, where they are not zero: between tables, say.
    pub gaps: Vec<Gap>,
    /// Bytes of the header part from this offset to the start of the region are left out, and what is derived
    /// follows: a table that ends too early in a file that is otherwise right.
    pub cut: Option<Cut>,
    /// Bytes after the last region.
    pub trailing: Vec<u8>,
    /// The file ends after this many bytes.
    pub truncate: Option<usize>,
}

/// Bytes that no region owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// File offset of the first.
    pub at: usize,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A stretch to leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// First byte to leave out.
    pub from: usize,
    /// Position of the region that follows the gap.
    pub region: usize,
}

/// One region of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionDraft {
    /// Its file offset, for a region that the spec places by a number; `None`: after the region before.
    pub at: Option<usize>,
    /// File offset of each payload, for those that do not lie where the encoder would put them. Empty: all do.
    pub places: Vec<Option<usize>>,
    /// The count before the elements.
    pub count: Option<Item>,
    /// The content.
    pub item: Item,
}

/// One value of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// What the spec derives.
    Derived,
    /// An integer; the low bytes are written.
    Number(u64),
    /// The offset of this string, which is added to the strings if it is not there.
    Name(String),
    /// Raw bytes, or a string with its NUL.
    Bytes(Vec<u8>),
    /// Fields in the order of the spec.
    Record(Vec<Self>),
    /// Elements.
    List(Vec<Self>),
    /// No payload, or no records in a payload.
    Absent,
    /// An instruction: position in its opcode table, then its values.
    Instruction(usize, Vec<Self>),
}

impl Item {
    /// Fields or elements.
    #[must_use]
    pub fn children(&self) -> &[Self] {
        match self {
            Self::Record(children) | Self::List(children) | Self::Instruction(_, children) => {
                children
            }
            _ => &[],
        }
    }

    /// Calls `visit` with the record that this is, or with those of its lists.
    pub(crate) fn for_each_record(&mut self, visit: &mut impl FnMut(&mut Self)) {
        match self {
            Self::List(elements) => elements.iter_mut().for_each(|e| e.for_each_record(visit)),
            Self::Absent => {}
            item => visit(item),
        }
    }

    /// The record that this is, or those of its lists.
    #[must_use]
    pub fn records(&self) -> Vec<&Self> {
        match self {
            Self::List(elements) => elements.iter().flat_map(Self::records).collect(),
            Self::Absent => Vec::new(),
            item => vec![item],
        }
    }

    /// The value that a way of positions leads to.
    #[must_use]
    pub fn at(&self, path: &[usize]) -> Option<&Self> {
        path.iter().try_fold(self, |item, step| item.children().get(*step))
    }

    /// Fields or elements, to change.
    pub fn children_mut(&mut self) -> Option<&mut Vec<Self>> {
        match self {
            Self::Record(children) | Self::List(children) | Self::Instruction(_, children) => {
                Some(children)
            }
            _ => None,
        }
    }
}

/// The place of one value in a draft and, at the same positions, in a model: region, then positions of
/// elements and fields. Shown as `types[0].fields[1].offset`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Site {
    /// The region.
    pub region: usize,
    /// Positions on the way down.
    pub steps: Vec<usize>,
}

impl Site {
    /// The site in words.
    #[must_use]
    pub fn path(&self, format: &Format) -> String {
        let Some(region) = format.regions.get(self.region) else { return "?".into() };
        let mut path = region.name.clone();
        let mut record = region.record();
        let mut lists = lists(&region.content);
        for step in &self.steps {
            if lists > 0 {
                path += &format!("[{step}]");
                lists -= 1;
            } else if let Some(field) =
                record.and_then(|r| format.records.get(r)).and_then(|r| r.fields.get(*step))
            {
                path += &format!(".{}", field.name);
                lists = usize::from(matches!(field.field_type, FieldType::Array { .. }));
                record = field.field_type.record();
            }
        }
        path
    }
}

/// How many lists lie in each other at the top of a region.
pub(crate) fn lists(content: &Content) -> usize {
    match content {
        Content::Array { .. } | Content::Strings { .. } | Content::Payloads(_) => 1,
        Content::Inside { .. } => 2,
        Content::Record(_) | Content::Bytes(_) | Content::Stream { .. } => 0,
    }
}

impl Draft {
    /// A draft that writes exactly what `model` was decoded from, with every value pinned.
    ///
    /// `None` when the model is of a file that did not decode, or whose payloads share so many bytes that copies
    /// of them would be over [`crate::limits::MAX_PAYLOAD_COPIES`].
    #[must_use]
    pub fn pinned(format: &Format, model: &Model, file: &[u8]) -> Option<Self> {
        if model.regions.len() != format.regions.len() {
            return None;
        }
        let mut stretches = model.regions.iter().zip(&format.regions);
        if stretches.any(|(region, spec)| region.is_copied_too_often(&spec.content, file)) {
            return None;
        }
        let region = |(region, spec): (&RegionNode, &Region)| RegionDraft {
            at: (spec.at.is_some() || spec.trailer.is_some()).then_some(region.span.range().start),
            places: places(region, &spec.content),
            count: region.count.as_ref().map(|count| item(count, file)),
            item: item(&region.node, file),
        };
        let (gaps, end) = gaps(format, model, file);
        let mut regions: Vec<RegionDraft> =
            model.regions.iter().zip(&format.regions).map(region).collect();
        for (index, spec) in format.regions.iter().enumerate() {
            if let Content::Inside { payloads, .. } = spec.content {
                keep_rests(&mut regions, &model.regions[index], payloads);
            }
        }
        Some(Self {
            regions,
            gaps,
            cut: None,
            trailing: file.get(end..).unwrap_or_default().to_vec(),
            truncate: None,
        })
    }

    /// The same with everything derived that the spec derives. Where regions lie is derived too when they lie
    /// where the encoder would put them; tables in another order or with gaps between them stay in place.
    #[must_use]
    pub fn relaxed(mut self, format: &Format) -> Self {
        self.relax_places(format);
        let absent: Vec<Vec<usize>> = self.regions.iter().map(absent_payloads).collect();
        for (draft, region) in self.regions.iter_mut().zip(&format.regions) {
            if draft.count.is_some() {
                draft.count = Some(Item::Derived);
            }
            let Some(record) = region.record() else { continue };
            let kept = draft.item.clone();
            draft.item.for_each_record(&mut |item| relax(format, record, item));
            restore(format, record, &kept, &absent, &mut draft.item);
        }
        self
    }

    fn relax_places(&mut self, format: &Format) {
        let placed = |region: &RegionDraft| region.at.is_some() || !region.places.is_empty();
        if !self.gaps.is_empty() || !self.regions.iter().any(placed) {
            return;
        }
        let mut free = self.clone();
        for region in &mut free.regions {
            region.at = None;
            region.places.clear();
        }
        let placed = crate::encode::layout(format, self).ok();
        if placed.is_some() && placed == crate::encode::layout(format, &free).ok() {
            *self = free;
        }
    }

    /// The value at `site`.
    #[must_use]
    pub fn get(&self, site: &Site) -> Option<&Item> {
        site.steps
            .iter()
            .try_fold(&self.regions.get(site.region)?.item, |item, step| item.children().get(*step))
    }

    /// The value at `site`, to change.
    pub fn get_mut(&mut self, site: &Site) -> Option<&mut Item> {
        let region = self.regions.get_mut(site.region)?;
        site.steps
            .iter()
            .try_fold(&mut region.item, |item, step| item.children_mut()?.get_mut(*step))
    }

    /// Whether `condition` holds of a record of this draft. A derived value is not known here and passes no test.
    #[must_use]
    pub fn holds(&self, condition: &Condition, record: &Item) -> bool {
        let value = |field: &FieldRef| match field {
            FieldRef::Region { region, path } => self.regions.get(*region)?.item.at(path),
            FieldRef::Enclosing { field, inner, .. } => record.children().get(*field)?.at(inner),
        };
        let passes = |(field, test): &(FieldRef, Test)| matches!(value(field), Some(Item::Number(number)) if test.passes(*number));
        condition.is_always() || condition.alternatives.iter().any(|tests| tests.iter().all(passes))
    }

    /// This draft with another value at `site`; `None` when there is no such site.
    #[must_use]
    pub fn with(&self, site: &Site, value: Item) -> Option<Self> {
        let mut draft = self.clone();
        *draft.get_mut(site)? = value;
        Some(draft)
    }

    /// The sites of every element that `target` looks at.
    #[must_use]
    pub fn sites(&self, target: &Target) -> Vec<Site> {
        let Some(region) = self.regions.get(target.region) else { return Vec::new() };
        let mut sites = Vec::new();
        let mut steps = Vec::new();
        collect_elements(&region.item, target, &mut steps, &mut sites);
        sites
    }
}

/// Elements whose payload is absent.
fn absent_payloads(region: &RegionDraft) -> Vec<usize> {
    let items = region.item.children().iter().enumerate();
    items.filter(|(_, item)| matches!(item, Item::Absent)).map(|(index, _)| index).collect()
}

/// Nothing follows from a payload that is not there: what the table says of it stays as it was.
fn restore(format: &Format, record: usize, kept: &Item, absent: &[Vec<usize>], item: &mut Item) {
    for (position, field) in format.records[record].fields.iter().enumerate() {
        let Some(Derive::PayloadOffset(payloads) | Derive::PayloadSize(payloads)) = field.derive
        else {
            continue;
        };
        for &element in absent.get(payloads).into_iter().flatten() {
            let old = kept.at(&[element, position]).cloned();
            let new = item.children_mut().and_then(|elements| elements.get_mut(element));
            let new = new.and_then(Item::children_mut).and_then(|fields| fields.get_mut(position));
            if let (Some(old), Some(new)) = (old, new) {
                *new = old;
            }
        }
    }
}

/// Where the payloads of a region lie; nothing for other regions.
fn places(region: &RegionNode, content: &Content) -> Vec<Option<usize>> {
    if !matches!(content, Content::Payloads(_)) {
        return Vec::new();
    }
    let place = |node: &Node| (node.value != Value::Absent).then(|| node.span.range().start);
    region.node.children().iter().map(place).collect()
}

/// Payloads that hold records keep only what comes after the last record.
fn keep_rests(regions: &mut [RegionDraft], records: &RegionNode, payloads: usize) {
    let Some(items) = regions.get_mut(payloads).and_then(|region| region.item.children_mut())
    else {
        return;
    };
    for (item, list) in items.iter_mut().zip(records.node.children()) {
        if let (Item::Bytes(bytes), Value::List(_)) = (item, &list.value) {
            bytes.drain(..list.span.range().len().min(bytes.len()));
        }
    }
}

/// The sites in a region: in its record, its elements, or the elements of each of its lists.
fn collect_elements(item: &Item, target: &Target, steps: &mut Vec<usize>, sites: &mut Vec<Site>) {
    match item {
        Item::List(elements) => {
            for (index, element) in elements.iter().enumerate() {
                steps.push(index);
                collect_elements(element, target, steps, sites);
                steps.pop();
            }
        }
        Item::Absent => {}
        item => collect(item, &target.path, target.region, steps, sites),
    }
}

/// What no region owns, and where the last region ends.
fn gaps(format: &Format, model: &Model, file: &[u8]) -> (Vec<Gap>, usize) {
    let stretches = |(region, spec): (&RegionNode, &Region)| region.stretches(&spec.content);
    let mut ranges: Vec<_> = model
        .regions
        .iter()
        .zip(&format.regions)
        .flat_map(stretches)
        .map(crate::model::Span::range)
        .collect();
    ranges.sort_by_key(|range| range.start);
    let (mut gaps, mut end) = (Vec::new(), 0);
    for range in ranges {
        let bytes = file.get(end..range.start).unwrap_or_default();
        if bytes.iter().any(|byte| *byte != 0) {
            gaps.push(Gap { at: end, bytes: bytes.to_vec() });
        }
        end = end.max(range.end);
    }
    (gaps, end)
}

fn collect(
    item: &Item,
    path: &[usize],
    region: usize,
    steps: &mut Vec<usize>,
    sites: &mut Vec<Site>,
) {
    let Some((field, rest)) = path.split_first() else {
        sites.push(Site { region, steps: steps.clone() });
        return;
    };
    let Some(child) = item.children().get(*field) else { return };
    steps.push(*field);
    if let Item::List(elements) = child {
        for (index, element) in elements.iter().enumerate() {
            steps.push(index);
            collect(element, rest, region, steps, sites);
            steps.pop();
        }
    } else {
        collect(child, rest, region, steps, sites);
    }
    steps.pop();
}

fn item(node: &Node, file: &[u8]) -> Item {
    let items = |nodes: &[Node]| nodes.iter().map(|node| item(node, file)).collect();
    match &node.value {
        Value::Uint(value) => Item::Number(*value),
        Value::Int(value) => Item::Number(value.cast_unsigned()),
        Value::Bytes => Item::Bytes(node.span.of(file).to_vec()),
        Value::Record(fields) => Item::Record(items(fields)),
        Value::List(elements) => Item::List(items(elements)),
        Value::Absent => Item::Absent,
        Value::Instruction(position, values) => Item::Instruction(*position, items(values)),
    }
}

fn relax(format: &Format, record: usize, item: &mut Item) {
    let Some(record) = format.records.get(record) else { return };
    let Some(items) = item.children_mut() else { return };
    for (field, item) in record.fields.iter().zip(items) {
        relax_field(format, field, item);
    }
}

fn relax_field(format: &Format, field: &Field, item: &mut Item) {
    if field.derive.is_some() {
        *item = Item::Derived;
        return;
    }
    let Some(inner) = field.field_type.record() else { return };
    match item {
        Item::List(elements) => {
            elements.iter_mut().for_each(|element| relax(format, inner, element));
        }
        item => relax(format, inner, item),
    }
}
