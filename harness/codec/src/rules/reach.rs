//! How much of a file must be decoded before a rule can be checked.

use blobspec::Format;
use blobspec::format::{
    Attribute, Check, Condition, Derive, FieldRef, ImageSource, Meaning, Operand, Refers, Rule,
    Target,
};

/// The last region that a rule looks at, in any way; `None` for rules that are not checked on the model.
pub(super) fn last_region(format: &Format, rule: &Rule) -> Option<usize> {
    let mut reach = Reach { format, last: 0 };
    reach.condition(&rule.filter);
    match &rule.check {
        Check::Bounds { .. }
        | Check::Mapping { .. }
        | Check::HostPlatform { .. }
        | Check::Resolved { .. }
        | Check::RelocationRange { .. } => return None,
        Check::Const { target, .. }
        | Check::InEnum { target }
        | Check::Excludes { target, .. }
        | Check::ReservedBits { target, .. }
        | Check::PowerOfTwo { target }
        | Check::ClearBits { target, .. } => reach.target(target),
        Check::NameLength { target, region, .. }
        | Check::NameUtf8 { target, region }
        | Check::RefersTo { target, region, .. } => {
            reach.target(target);
            reach.region(*region);
        }
        Check::ImageSize { images, .. } => images.iter().for_each(|image| reach.image(*image)),
        Check::Range { target, min, max } => {
            reach.target(target);
            min.iter().chain(max).for_each(|end| reach.operand(end));
        }
        Check::Filled { region, .. } | Check::Ends { region } | Check::Utf8 { region } => {
            reach.region(*region);
        }
        Check::Within { target, refers } => {
            let (Refers::String(region) | Refers::Offset(region) | Refers::Index(region)) = refers;
            reach.target(target);
            reach.region(*region);
        }
        Check::EntryStart { target, region } | Check::NeedsEntry { target, region, .. } => {
            reach.target(target);
            reach.region(*region);
        }
        Check::Align { target, to } => {
            reach.target(target);
            reach.operand(to);
        }
        Check::Unique { target, text_in } => {
            reach.target(target);
            text_in.iter().for_each(|region| reach.region(*region));
        }
        Check::Implies { when, then } => {
            when.iter().chain(then).for_each(|(target, _)| reach.target(target));
        }
        Check::Fits { each, start, length, size, .. } => {
            reach.target(each);
            [start, length, size].into_iter().for_each(|operand| reach.operand(operand));
        }
        Check::Separate { regions } => regions.iter().for_each(|region| reach.region(*region)),
        Check::Disjoint { each, start, length } => {
            reach.target(each);
            [start, length].into_iter().for_each(|operand| reach.operand(operand));
        }
        Check::Derived { target } => reach.derived(target),
    }
    Some(reach.last)
}

struct Reach<'a> {
    format: &'a Format,
    last: usize,
}

impl Reach<'_> {
    fn region(&mut self, region: usize) {
        self.last = self.last.max(region);
    }

    fn target(&mut self, target: &Target) {
        self.region(target.region);
    }

    fn operand(&mut self, operand: &Operand) {
        if let Operand::ImageSize(image) = operand {
            self.image(*image);
        }
        let (Operand::Field(field) | Operand::Attribute { field, .. }) = operand else { return };
        if let FieldRef::Region { region, .. } = field {
            self.region(*region);
        }
        if let Operand::Attribute { attribute, .. } = operand {
            self.attribute(field, *attribute);
        }
    }

    /// Attributes are numbers from elsewhere in turn: `header.architecture.pointer`.
    fn attribute(&mut self, field: &FieldRef, attribute: usize) {
        let scalar = self.format.field_of(field).and_then(|field| field.field_type.scalar());
        let Some(Meaning::Enum(index)) = scalar.map(|scalar| scalar.meaning) else { return };
        for value in self.format.enums.get(index).into_iter().flat_map(|e| &e.values) {
            if let Some(Attribute::Number(Operand::Field(FieldRef::Region { region, .. }))) =
                value.attributes.get(attribute)
            {
                self.region(*region);
            }
            if let Some(Attribute::Number(inner @ Operand::Attribute { .. })) =
                value.attributes.get(attribute)
            {
                self.operand(inner);
            }
        }
    }

    fn image(&mut self, image: usize) {
        match self.format.images.get(image).map(|image| &image.source) {
            Some(ImageSource::Region(region)) => self.region(*region),
            Some(ImageSource::Sections(sections)) => self.region(sections.contents),
            None => {}
        }
    }

    fn condition(&mut self, condition: &Condition) {
        for field in condition.fields() {
            if let FieldRef::Region { region, .. } = field {
                self.region(*region);
            }
        }
    }

    fn derived(&mut self, target: &Target) {
        self.target(target);
        let leaf = self.format.leaf(target);
        match leaf.and_then(|field| field.derive.as_ref()) {
            Some(
                Derive::OffsetOf(region)
                | Derive::SizeOf(region)
                | Derive::PayloadOffset(region)
                | Derive::PayloadSize(region)
                | Derive::CountOfRegion(region, _),
            ) => self.region(*region),
            Some(Derive::Crc32 { to, .. }) => self.region(*to),
            Some(Derive::Fnv1a(name)) => {
                let mut sibling = target.clone();
                sibling.path.pop();
                sibling.path.push(*name);
                if let Some(Refers::String(region)) =
                    self.format.leaf(&sibling).and_then(|field| field.refers)
                {
                    self.region(region);
                }
            }
            Some(Derive::CountOfField(_) | Derive::SizeOfFile) | None => {}
        }
    }
}
