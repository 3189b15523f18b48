//! What the kinds work on when they break a rule: a valid file, decoded, and ready to be edited.

use blobspec::Format;
use blobspec::format::{Condition, FieldRef, Meaning, Operand, Scalar, Target};

use crate::draft::{Draft, Item, Site, lists};
use crate::evaluate::{Context, Element};
use crate::model::Model;

/// A valid file to edit.
pub struct Workbench<'a> {
    /// Its format.
    pub format: &'a Format,
    /// The file.
    pub file: &'a [u8],
    /// What it decodes to.
    pub model: &'a Model,
    /// A draft that writes it, with derived values derived.
    pub draft: &'a Draft,
    /// Which elements are to be edited; `None`: all.
    pub filter: Option<&'a Condition>,
}

/// An edit of a valid file.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Short name for ids, unique for one rule and file: `functions-1/size-plus-1`.
    pub name: String,
    /// The edit in words.
    pub edit: String,
    /// The edited file.
    pub draft: Draft,
    /// Name of the proposal on the other side of the boundary.
    pub twin: Option<String>,
}

impl Proposal {
    /// The draft as it is.
    #[must_use]
    pub fn plain(name: &str, draft: &Draft) -> Self {
        Self { name: name.to_owned(), edit: String::new(), draft: draft.clone(), twin: None }
    }
}

impl Proposal {
    /// With the name of its partner on the other side of the boundary.
    #[must_use]
    pub fn beside(self, twin: Option<String>) -> Self {
        Self { twin, ..self }
    }

    /// Under another name.
    #[must_use]
    pub fn named(self, name: String) -> Self {
        Self { name, ..self }
    }
}

/// What a rule looks at in one place.
pub(crate) struct Place {
    pub(crate) site: Site,
    pub(crate) value: u64,
    /// The operands that were asked for, where they have a value.
    pub(crate) operands: Vec<Option<u64>>,
}

impl<'a> Workbench<'a> {
    /// The same, for edits of the elements of which `filter` holds.
    pub(crate) fn only(&self, filter: &'a Condition) -> Self {
        let Self { format, file, model, draft, .. } = *self;
        Self { format, file, model, draft, filter: Some(filter) }
    }
}

impl Workbench<'_> {
    fn context(&self) -> Context<'_> {
        let context = Context::new(self.format, self.file, self.model);
        self.filter.iter().for_each(|filter| context.only(filter));
        context
    }

    /// The first and the last place that `target` looks at, with the values of `operands` there.
    pub(crate) fn ends(&self, target: &Target, operands: &[&Operand]) -> Vec<Place> {
        let mut places = self.places(target, operands);
        let last = if places.len() > 1 { places.pop() } else { None };
        places.truncate(1);
        places.extend(last);
        places
    }

    /// Every place that `target` looks at.
    pub(crate) fn places(&self, target: &Target, operands: &[&Operand]) -> Vec<Place> {
        let context = self.context();
        let mut places = Vec::new();
        context.visit(target, |element: &Element<'_, '_>| {
            places.push(Place {
                site: Site { region: target.region, steps: element.steps.to_vec() },
                value: element.node.number().unwrap_or_default(),
                operands: operands
                    .iter()
                    .map(|operand| context.operand(operand, element.stack))
                    .collect(),
            });
        });
        places
    }

    /// The value of an operand that needs no element around it.
    pub(crate) fn absolute(&self, operand: &Operand) -> Option<u64> {
        self.context().operand(operand, &[])
    }

    /// The scalar type of what `target` looks at.
    pub(crate) fn scalar(&self, target: &Target) -> Option<Scalar> {
        self.format.leaf(target)?.field_type.scalar()
    }

    /// The site of the field that `operand` is, seen from the element at `site` of `target`.
    pub(crate) fn operand_site(
        &self,
        operand: &Operand,
        site: &Site,
        target: &Target,
    ) -> Option<Site> {
        let (Operand::Field(field) | Operand::Attribute { field, .. }) = operand else {
            return None;
        };
        match field {
            FieldRef::Region { region, path } => {
                Some(Site { region: *region, steps: path.clone() })
            }
            FieldRef::Enclosing { depth, field, inner, .. } => {
                let mut steps = site.steps.get(..self.record_steps(target, *depth))?.to_vec();
                steps.push(*field);
                steps.extend(inner);
                Some(Site { region: site.region, steps })
            }
        }
    }

    /// How many steps lead to the record at `depth` on the way to `target`.
    fn record_steps(&self, target: &Target, depth: usize) -> usize {
        let content = self.format.regions.get(target.region).map(|region| &region.content);
        let mut steps = content.map_or(0, lists);
        for field in self.format.fields_of(target).iter().take(depth) {
            steps += 1 + usize::from(matches!(
                field.field_type,
                blobspec::format::FieldType::Array { .. }
            ));
        }
        steps
    }

    /// The proposal that a region starts at `at`, and what follows it after it.
    #[must_use]
    pub fn move_to(&self, region: usize, name: &str, at: usize) -> Option<Proposal> {
        let mut draft = self.draft.clone();
        draft.regions.get_mut(region)?.at = Some(at);
        let edit = format!("{} starts at {at:#x}", self.format.regions.get(region)?.name);
        Some(Proposal { name: name.to_owned(), edit, draft, twin: None })
    }

    /// The proposal to write `value` at `site`.
    #[must_use]
    pub fn set(&self, site: &Site, name: &str, value: u64) -> Option<Proposal> {
        self.put(site, name, Item::Number(value), &format!("{value:#x}"))
    }

    /// The proposal to put `item` at `site`; `words` describes it.
    #[must_use]
    pub fn put(&self, site: &Site, name: &str, item: Item, words: &str) -> Option<Proposal> {
        let path = site.path(self.format);
        let edit = format!("{path} = {words}");
        Some(Proposal {
            name: self.name(site, name),
            edit,
            draft: self.draft.with(site, item)?,
            twin: None,
        })
    }

    /// The name of an edit at `site`: numbered where the site is in a list.
    pub(crate) fn name(&self, site: &Site, name: &str) -> String {
        let path = site.path(self.format);
        let numbers: Vec<&str> =
            path.split('[').skip(1).filter_map(|part| part.split(']').next()).collect();
        if numbers.is_empty() { name.to_owned() } else { format!("{}/{name}", numbers.join("-")) }
    }

    /// The sizes of a region's content in bytes.
    pub(crate) fn content_size(&self, region: usize) -> u64 {
        self.model.regions.get(region).map_or(0, |region| region.node.span.range().len() as u64)
    }

    /// Number of elements of a region.
    pub(crate) fn count(&self, region: usize) -> u64 {
        self.model.regions.get(region).map_or(0, |region| region.node.children().len() as u64)
    }

    /// What an offset of 0 into the content of a strings region is written as.
    pub(crate) fn string_base(&self, region: usize) -> u64 {
        let context = self.context();
        (0..16).find(|value| context.string_position(region, *value) == Some(0)).unwrap_or(0)
    }
}

/// Drops the values that are not below or at `max`, and repeats.
pub(crate) fn distinct(
    values: impl IntoIterator<Item = (&'static str, Option<u64>)>,
    max: u64,
) -> Vec<(&'static str, u64)> {
    let mut seen: Vec<(&'static str, u64)> = Vec::new();
    for (name, value) in values {
        if let Some(value) = value.filter(|value| *value <= max)
            && !seen.iter().any(|(_, known)| *known == value)
        {
            seen.push((name, value));
        }
    }
    seen
}

/// The enum values of what a target looks at.
pub(crate) fn enum_values<'f>(
    format: &'f Format,
    target: &Target,
) -> &'f [blobspec::format::EnumValue] {
    let scalar = format.leaf(target).and_then(|field| field.field_type.scalar());
    match scalar.map(|scalar| scalar.meaning) {
        Some(Meaning::Enum(index)) => {
            format.enums.get(index).map(|e| e.values.as_slice()).unwrap_or_default()
        }
        _ => &[],
    }
}

fn attribute_name<'f>(format: &'f Format, field: &FieldRef, attribute: usize) -> Option<&'f str> {
    let Meaning::Enum(index) = format.field_of(field)?.field_type.scalar()?.meaning else {
        return None;
    };
    format.enums.get(index)?.attributes.get(attribute).map(String::as_str)
}

/// An operand of a rule that looks at `target`, in words.
pub(crate) fn operand_text(format: &Format, target: &Target, operand: &Operand) -> String {
    match operand {
        Operand::Literal(value) => value.to_string(),
        Operand::FileSize => "the size of the file".into(),
        Operand::ImageSize(image) => {
            let name = format.images.get(*image).map_or("?", |image| image.name.as_str());
            format!("the size of image {name}")
        }
        Operand::Field(field) => field_text(format, target, field),
        Operand::Attribute { field, attribute } => {
            let name = attribute_name(format, field, *attribute).unwrap_or("?");
            format!("{}.{name}", field_text(format, target, field))
        }
    }
}

/// Fields of the element itself go by their names, those of the records around it by their path.
fn field_text(format: &Format, target: &Target, field: &FieldRef) -> String {
    let FieldRef::Enclosing { depth, field, inner, .. } = field else {
        let FieldRef::Region { region, path } = field else { return "?".into() };
        return format.path_of(&Target { region: *region, path: path.clone() });
    };
    let way = format.fields_of(target);
    let records: Vec<usize> =
        (0..way.len()).filter(|step| way[*step].field_type.record().is_some()).collect();
    let own = records.len() == way.len() && *depth == records.len();
    let outer =
        depth.checked_sub(1).and_then(|above| records.get(above)).map_or(0, |step| step + 1);
    let mut path = target.path.get(..outer).unwrap_or_default().to_vec();
    path.push(*field);
    path.extend(inner);
    let whole = format.path_of(&Target { region: target.region, path });
    let above = Target { region: target.region, path: target.path.clone() };
    let prefix = format!("{}.", format.path_of(&above));
    if own { whole.strip_prefix(&prefix).unwrap_or(&whole).to_owned() } else { whole }
}
