//! Valid files from the spec alone, to start edits from.

use std::collections::BTreeMap;

use blobspec::Format;
use blobspec::format::{
    ArrayCount, Attribute, Content, Element, Field, FieldType, Meaning, Refers, Region, Rule,
    Scalar, Stub, Target,
};
use harness_codec::{Decoded, Draft, Item, RegionDraft, Site, decode, encode, rules, satisfy};

use crate::scene::{self, Stage};

/// What a base file looks like.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// Elements of every array region that is not named below.
    pub elements: usize,
    /// Elements of some array regions, by position.
    pub per_region: BTreeMap<usize, usize>,
    /// Codes of fields of record regions.
    pub codes: Vec<(Site, u64)>,
    /// Whether the code region has code when there are no elements to point into it.
    pub code: bool,
}

/// A valid file.
#[derive(Clone, Debug)]
pub struct Base {
    /// Name: shape and profile, such as `rich-x86_64`.
    pub name: String,
    /// The file.
    pub file: Vec<u8>,
    /// What it decodes to.
    pub decoded: Decoded,
    /// A draft that writes it, with derived values derived and everything else pinned.
    pub draft: Draft,
}

/// A valid file cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaseError {
    /// It cannot be written.
    #[error("base file `{name}`: {error}")]
    Encode {
        /// Name of the base.
        name: String,
        /// Why.
        error: harness_codec::EncodeError,
    },
    /// It breaks a rule.
    #[error(
        "base file `{name}` breaks {rule} at offset {offset:#x}: {detail}. Give the fields it is about a constant, a range or a derivation that generated files can follow"
    )]
    Invalid {
        /// Name of the base.
        name: String,
        /// The first broken rule.
        rule: String,
        /// Where.
        offset: u64,
        /// How.
        detail: String,
    },
    /// Writing what was decoded gives other bytes.
    #[error(
        "base file `{name}` changes when it is decoded and encoded again: a derived value depends on something that decoding does not keep"
    )]
    Unstable {
        /// Name of the base.
        name: String,
    },
}

impl Base {
    /// Makes the valid file of that shape.
    ///
    /// # Errors
    /// When defaults cannot satisfy the spec's rules.
    pub fn make(format: &Format, name: &str, shape: &Shape) -> Result<Self, BaseError> {
        if let Some(stage) = Stage::of(format) {
            let stub = Builder { format, shape }.code_stub();
            let scene = scene::of_shape(&stage, &stub, shape);
            return Self::of(format, name, &stage.draft(&scene, shape));
        }
        let mut draft = Builder { format, shape }.draft();
        for (site, code) in &shape.codes {
            if let Some(item) = draft.get_mut(site) {
                *item = Item::Number(*code);
            }
        }
        for rule in format.rules.iter().filter(|rule| rule.active) {
            satisfy(format, rule, &mut draft);
        }
        Self::of(format, name, &draft)
    }

    /// The valid file that `draft` writes.
    ///
    /// # Errors
    /// When it is not valid.
    pub fn of(format: &Format, name: &str, draft: &Draft) -> Result<Self, BaseError> {
        let named = || name.to_owned();
        let file = encode(format, draft)
            .map_err(|error| BaseError::Encode { name: named(), error })?
            .bytes;
        let decoded = decode(format, &file);
        if let harness_codec::Verdict::Rejected { rule, offset, detail, .. } = decoded.verdict {
            return Err(BaseError::Invalid { name: named(), rule, offset, detail });
        }
        let pinned = Draft::pinned(format, &decoded.model, &file);
        let draft = pinned.ok_or_else(|| BaseError::Unstable { name: named() })?.relaxed(format);
        match encode(format, &draft) {
            Ok(again) if again.bytes == file => Ok(Self { name: named(), file, decoded, draft }),
            _ => Err(BaseError::Unstable { name: named() }),
        }
    }

    /// Where edits of it are made.
    #[must_use]
    pub fn workbench<'a>(&'a self, format: &'a Format) -> rules::Workbench<'a> {
        rules::Workbench {
            format,
            file: &self.file,
            model: &self.decoded.model,
            draft: &self.draft,
            filter: None,
        }
    }
}

/// The base changed so that `rule` looks at its first element, for a rule that looks at none of the base itself.
#[must_use]
pub fn where_it_looks(format: &Format, base: &Base, rule: &Rule) -> Option<Base> {
    let target = rule.check.target().filter(|_| !rule.filter.is_always())?;
    if base.decoded.exercised.iter().any(|seen| format.rules[*seen].id == rule.id) {
        return None;
    }
    let elements = Target { region: target.region, path: Vec::new() };
    let mut draft = base.draft.clone();
    let site = draft.sites(&elements).into_iter().next()?;
    scene::force(draft.get_mut(&site)?, &rule.filter);
    Base::of(format, &base.name, &draft).ok()
}

/// The bases of a format: empty, single and rich for each profile.
///
/// A profile is a value of a header enum whose values have attributes (an architecture, say): what depends
/// on it differs from profile to profile.
///
/// # Errors
/// When one of them cannot be made.
pub fn bases(format: &Format) -> Result<Vec<Base>, BaseError> {
    let mut bases = Vec::new();
    for (profile, codes) in profiles(format) {
        for (shape, elements, code) in [("rich", 3, true), ("single", 1, true), ("empty", 0, false)]
        {
            let name =
                if profile.is_empty() { shape.to_owned() } else { format!("{shape}-{profile}") };
            let shape = Shape { elements, codes: codes.clone(), code, ..Shape::default() };
            bases.push(Base::make(format, &name, &shape)?);
        }
    }
    Ok(bases)
}

/// Name and header codes of every profile; one without either where there are none.
#[must_use]
pub fn profiles(format: &Format) -> Vec<(String, Vec<(Site, u64)>)> {
    let mut profiles = Vec::new();
    for (region, spec) in format.regions.iter().enumerate() {
        let Content::Record(record) = spec.content else { continue };
        for (index, field) in format.records[record].fields.iter().enumerate() {
            let Some(Meaning::Enum(e)) = field.field_type.scalar().map(|scalar| scalar.meaning)
            else {
                continue;
            };
            if format.enums[e].attributes.is_empty() || !profiles.is_empty() {
                continue;
            }
            let site = Site { region, steps: vec![index] };
            profiles.extend(
                format.enums[e]
                    .values
                    .iter()
                    .map(|v| (v.name.clone(), vec![(site.clone(), v.code)])),
            );
        }
    }
    if profiles.is_empty() {
        profiles.push((String::new(), Vec::new()));
    }
    profiles
}

/// Makes drafts of which only the rules are still to be satisfied.
pub(crate) struct Builder<'a> {
    pub(crate) format: &'a Format,
    pub(crate) shape: &'a Shape,
}

impl Builder<'_> {
    pub(crate) fn draft(&self) -> Draft {
        let mut regions: Vec<RegionDraft> = Vec::with_capacity(self.format.regions.len());
        for (index, region) in self.format.regions.iter().enumerate() {
            let drafted = self.region(index, region, &regions);
            regions.push(drafted);
        }
        Draft { regions, gaps: Vec::new(), cut: None, trailing: Vec::new(), truncate: None }
    }

    fn elements(&self, region: usize) -> usize {
        self.shape.per_region.get(&region).copied().unwrap_or(self.shape.elements)
    }

    /// Code of the first region with a stub.
    pub(crate) fn code_stub(&self) -> Vec<u8> {
        let stubbed = self.format.regions.iter().find(|region| region.stub.is_some());
        stubbed.map(|region| self.stub(region)).unwrap_or_default()
    }

    fn region(&self, index: usize, region: &Region, earlier: &[RegionDraft]) -> RegionDraft {
        let list_for = |region: usize| earlier.get(region).map_or(0, |r| r.item.children().len());
        let item = match &region.content {
            Content::Record(record) => self.record(*record, region, 0),
            Content::Array { record, .. } => Item::List(
                (0..self.elements(index))
                    .map(|element| self.record(*record, region, element))
                    .collect(),
            ),
            Content::Strings { .. } => Item::List(Vec::new()),
            Content::Bytes(_) => Item::Bytes(self.bytes(region)),
            Content::Stream { opcodes, .. } => Item::List(self.instructions(*opcodes)),
            // Whether an element has a payload shows once its record is encoded: see `Scene` for formats that link.
            Content::Payloads(payloads) => {
                let payload = if payloads.filter.is_always() {
                    Item::Bytes(self.bytes(region))
                } else {
                    Item::Absent
                };
                Item::List(vec![payload; list_for(payloads.table)])
            }
            Content::Inside { payloads, .. } => Item::List(vec![Item::Absent; list_for(*payloads)]),
        };
        let count = region.count().map(|_| Item::Derived);
        RegionDraft { at: None, places: Vec::new(), count, item }
    }

    pub(crate) fn record(&self, record: usize, region: &Region, element: usize) -> Item {
        let fields = self.format.records[record].fields.iter();
        Item::Record(fields.map(|field| self.field(field, region, element)).collect())
    }

    fn field(&self, field: &Field, region: &Region, element: usize) -> Item {
        if field.derive.is_some() {
            return Item::Derived;
        }
        match &field.field_type {
            FieldType::Scalar(scalar) => self.scalar(field, *scalar, region, element),
            FieldType::Bytes(length) | FieldType::Pad(length) => {
                Item::Bytes(vec![0; usize::try_from(*length).unwrap_or_default()])
            }
            FieldType::Record(record) => self.record(*record, region, element),
            FieldType::Array { element: kind, count } => {
                let number = match count {
                    ArrayCount::Fixed(number) => usize::try_from(*number).unwrap_or_default(),
                    ArrayCount::Field(_) => element,
                };
                let item = |index: usize| match kind {
                    Element::Scalar(scalar) => self.scalar(field, *scalar, region, index),
                    Element::Record(record) => self.record(*record, region, index),
                };
                Item::List((0..number).map(item).collect())
            }
        }
    }

    fn scalar(&self, field: &Field, scalar: Scalar, region: &Region, element: usize) -> Item {
        match (field.refers, scalar.meaning) {
            (Some(Refers::String(_)), _) => Item::Name(format!("{}_{element}", region.name)),
            (Some(Refers::Offset(target)), _) => {
                let stub = self.stub(&self.format.regions[target]).len();
                Item::Number((element * stub) as u64)
            }
            (Some(Refers::Index(_)), _) | (_, Meaning::Flags(_)) => Item::Number(0),
            (_, Meaning::Enum(index)) => {
                // Later values first: the first is often `none` or `void`.
                let values = &self.format.enums[index].values;
                let position =
                    if region.record().is_some() && matches!(region.content, Content::Record(_)) {
                        0
                    } else {
                        (element + 1) % values.len().max(1)
                    };
                Item::Number(values.get(position).map_or(0, |value| value.code))
            }
            (_, Meaning::Number) => Item::Number(element as u64),
        }
    }

    /// Code for as many entry points as there are elements; nothing for other byte regions.
    fn bytes(&self, region: &Region) -> Vec<u8> {
        let entries =
            (0..self.format.regions.len()).map(|index| self.elements(index)).max().unwrap_or(0);
        let stubs = if self.shape.code { entries.max(1) } else { entries };
        self.stub(region).repeat(stubs)
    }

    fn stub(&self, region: &Region) -> Vec<u8> {
        match &region.stub {
            None => Vec::new(),
            Some(Stub::Bytes(bytes)) => bytes.clone(),
            Some(Stub::Attribute { field, attribute }) => {
                let blobspec::format::FieldRef::Region { region, path } = field else {
                    return Vec::new();
                };
                let target = blobspec::format::Target { region: *region, path: path.clone() };
                let scalar = self.format.leaf(&target).and_then(|field| field.field_type.scalar());
                let Some(Meaning::Enum(index)) = scalar.map(|scalar| scalar.meaning) else {
                    return Vec::new();
                };
                let site = Site { region: *region, steps: path.clone() };
                let chosen = self
                    .shape
                    .codes
                    .iter()
                    .find(|(known, _)| *known == site)
                    .map(|(_, code)| *code);
                let values = &self.format.enums[index].values;
                let value =
                    values.iter().find(|value| Some(value.code) == chosen).or(values.first());
                match value.and_then(|value| value.attributes.get(*attribute)) {
                    Some(Attribute::Bytes(bytes)) => bytes.clone(),
                    _ => Vec::new(),
                }
            }
        }
    }

    fn instructions(&self, opcodes: usize) -> Vec<Item> {
        let table = &self.format.opcodes[opcodes];
        let instruction = |index: usize| {
            let position = index % table.instructions.len().max(1);
            let spec = table.instructions.get(position)?;
            let before = table.before.iter().enumerate().map(|(field, _)| {
                Item::Number(
                    spec.when
                        .iter()
                        .find(|(known, _)| *known == field)
                        .map_or(0, |(_, value)| *value),
                )
            });
            let values = before.chain(spec.operands.iter().map(|_| Item::Number(0))).collect();
            Some(Item::Instruction(position, values))
        };
        let elements = self.shape.elements;
        // A rich file has every instruction.
        let count = if elements > 1 { elements.max(table.instructions.len()) } else { elements };
        (0..count).filter_map(instruction).collect()
    }
}
