//! What a spec leaves open, as far as reading it shows.
//!
//! What only making files can show (rules that nothing breaks alone, readings that no file tells apart) is
//! found by `harness-generate`.

use std::collections::BTreeSet;

use crate::format::{
    Check, Condition, Content, Count, CountSource, Derive, Extent, FieldRef, Image, ImageSource,
    LinkedRelocations, LinkedSymbols, Linking, Operand, Stub, Target,
};
use crate::{Format, Spec, locate};

/// Something that a spec leaves open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    /// Short name of the kind.
    pub kind: &'static str,
    /// The clause, field, enum or choice it is about.
    pub subject: String,
    /// What it is, and what to do.
    pub message: String,
    /// Line in the YAML, counting from 1.
    pub line: usize,
}

/// The lints of `spec`, in the order of the document.
#[must_use]
pub fn lint(spec: &Spec) -> Vec<Lint> {
    let linter = Linter { spec, format: spec.format(), used: used_fields(spec.format()) };
    let mut lints = linter.clauses();
    lints.extend(linter.fields());
    lints.extend(linter.attributes());
    lints.extend(linter.choices());
    lints.extend(linter.codes());
    lints.sort_by_key(|lint| lint.line);
    lints
}

struct Linter<'a> {
    spec: &'a Spec,
    format: &'a Format,
    /// (record, field) that some rule, derivation or layout looks at.
    used: BTreeSet<(usize, usize)>,
}

impl Linter<'_> {
    fn lint(&self, kind: &'static str, path: &[&str], subject: String, message: &str) -> Lint {
        let (_, text) = self.spec.text();
        let at = locate::definition(text, path);
        let line = text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
        Lint { kind, subject, message: message.to_owned(), line }
    }

    /// Sentences of the document that nothing tests: no rule stands on them, nor on a field or region that
    /// they describe.
    fn clauses(&self) -> Vec<Lint> {
        let format = self.format;
        let mut covered: BTreeSet<&str> =
            format.rules.iter().map(|rule| rule.clause.as_str()).collect();
        for (record, spec) in format.records.iter().enumerate() {
            covered.extend(spec.clause.as_deref());
            for (field, spec) in spec.fields.iter().enumerate() {
                covered.extend(
                    spec.clause.as_deref().filter(|_| self.used.contains(&(record, field))),
                );
            }
        }
        covered.extend(format.regions.iter().filter_map(|region| region.clause.as_deref()));
        covered.extend(
            format.relocations.iter().filter_map(|relocation| relocation.clause.as_deref()),
        );
        let open = format
            .clauses
            .iter()
            .filter(|c| c.untestable.is_none() && !covered.contains(c.id.as_str()));
        let message =
            "no rule stands on this clause; if no file can break it, say why with `untestable`";
        open.map(|clause| {
            self.lint("uncovered-clause", &["clauses", &clause.id], clause.id.clone(), message)
        })
        .collect()
    }

    /// Fields that may hold anything without anybody having said so.
    fn fields(&self) -> Vec<Lint> {
        let mut lints = Vec::new();
        for (record, spec) in self.format.records.iter().enumerate() {
            for (field, named) in spec.fields.iter().enumerate() {
                let free = named.unconstrained.is_some()
                    || matches!(named.field_type, crate::format::FieldType::Pad(_));
                if !free
                    && named.field_type.record().is_none()
                    && !self.used.contains(&(record, field))
                {
                    let subject = format!("{}.{}", spec.name, named.name);
                    let path = ["records", &spec.name, &named.name];
                    let message = "no rule constrains this field; if every value means something, say so with `unconstrained`";
                    lints.push(self.lint("unconstrained-field", &path, subject, message));
                }
            }
        }
        lints
    }

    /// Attributes that no path names: probably a misspelt key of an enum value.
    fn attributes(&self) -> Vec<Lint> {
        let (_, text) = self.spec.text();
        let mut lints = Vec::new();
        for e in &self.format.enums {
            for attribute in &e.attributes {
                if !text.contains(&format!(".{attribute}")) {
                    let subject = format!("{}.{attribute}", e.name);
                    let message = "no path names this attribute; is it a misspelt key?";
                    lints.push(self.lint(
                        "unused-attribute",
                        &["enums", &e.name, attribute],
                        subject,
                        message,
                    ));
                }
            }
        }
        lints
    }

    fn choices(&self) -> Vec<Lint> {
        let mut lints = Vec::new();
        for (id, choice) in self.spec.choices() {
            for rule in choice.rules.iter().filter(|rule| self.format.rule(rule).is_none()) {
                let message = format!("names the rule `{rule}`, which does not exist");
                lints.push(self.lint("unknown-rule", &["choices", id], id.to_owned(), &message));
            }
        }
        for rule in self.format.rules.iter().filter(|rule| !rule.active && rule.choice.is_none()) {
            let message = "is not active and belongs to no choice that could turn it on";
            lints.push(self.lint("dead-rule", &["rules", &rule.id], rule.id.clone(), message));
        }
        lints
    }

    /// Enum codes that do not fit their integer type.
    fn codes(&self) -> Vec<Lint> {
        let mut lints = Vec::new();
        for e in &self.format.enums {
            let bits = u32::from(e.width) * 8;
            for value in e.values.iter().filter(|value| bits < 64 && value.code >> bits != 0) {
                let subject = format!("{}.{}", e.name, value.name);
                let message = "the code does not fit the enum's integer type";
                lints.push(self.lint(
                    "code-too-large",
                    &["enums", &e.name, &value.name],
                    subject,
                    message,
                ));
            }
        }
        lints
    }
}

/// Every field that a rule, a derivation or the layout looks at.
fn used_fields(format: &Format) -> BTreeSet<(usize, usize)> {
    let mut uses = Uses { format, fields: BTreeSet::new() };
    for rule in &format.rules {
        uses.check(&rule.check);
        uses.condition(&rule.filter);
    }
    for (record, spec) in format.records.iter().enumerate() {
        for (index, field) in spec.fields.iter().enumerate() {
            match field.derive {
                Some(Derive::Crc32 { .. } | Derive::Fnv1a(_)) | None => {}
                // Sizes, counts and offsets are what decoding itself goes by.
                Some(_) => {
                    uses.fields.insert((record, index));
                }
            }
        }
    }
    for region in &format.regions {
        uses.region(&region.content);
        region.at.iter().chain(&region.limit).for_each(|operand| uses.operand(operand));
        if let Some(Stub::Attribute { field, .. }) = &region.stub {
            uses.field(field);
        }
    }
    format.images.iter().for_each(|image| uses.image(image));
    format.linking.iter().for_each(|linking| uses.linking(linking));
    uses.fields
}

struct Uses<'a> {
    format: &'a Format,
    fields: BTreeSet<(usize, usize)>,
}

impl Uses<'_> {
    fn target(&mut self, target: &Target) {
        let mut record =
            self.format.regions.get(target.region).and_then(crate::format::Region::record);
        for &field in &target.path {
            let Some(current) = record else { return };
            self.fields.insert((current, field));
            let spec = self.format.records.get(current).and_then(|record| record.fields.get(field));
            record = spec.and_then(|field| field.field_type.record());
        }
    }

    fn field(&mut self, field: &FieldRef) {
        match field {
            FieldRef::Region { region, path } => {
                self.target(&Target { region: *region, path: path.clone() });
            }
            FieldRef::Enclosing { record, field, inner, .. } => {
                self.fields.insert((*record, *field));
                self.nested(*record, *field, inner);
            }
        }
    }

    /// Marks the fields on the way from a field of `record` inwards.
    fn nested(&mut self, record: usize, field: usize, inner: &[usize]) {
        let spec = self.format.records.get(record).and_then(|record| record.fields.get(field));
        if let (Some(record), Some((&field, rest))) =
            (spec.and_then(|field| field.field_type.record()), inner.split_first())
        {
            self.fields.insert((record, field));
            self.nested(record, field, rest);
        }
    }

    fn operand(&mut self, operand: &Operand) {
        if let Operand::Field(field) | Operand::Attribute { field, .. } = operand {
            self.field(field);
        }
    }

    fn region(&mut self, content: &Content) {
        match content {
            Content::Array {
                count: Count { source: CountSource::Operand(operand), .. }, ..
            }
            | Content::Strings {
                count: Count { source: CountSource::Operand(operand), .. }, ..
            }
            | Content::Bytes(Extent::Size(operand) | Extent::Until(operand))
            | Content::Stream { extent: Extent::Size(operand) | Extent::Until(operand), .. } => {
                self.operand(operand);
            }
            Content::Payloads(payloads) => {
                for path in [&payloads.offset, &payloads.size] {
                    self.target(&Target { region: payloads.table, path: path.clone() });
                }
                self.condition(&payloads.filter);
            }
            Content::Inside { filter, .. } => self.condition(filter),
            _ => {}
        }
    }

    fn condition(&mut self, condition: &Condition) {
        condition.fields().for_each(|field| self.field(field));
    }

    fn image(&mut self, image: &Image) {
        let ImageSource::Sections(sections) = &image.source else { return };
        self.condition(&sections.filter);
        for path in sections.virtual_size.iter().chain(&sections.align) {
            self.target(&Target { region: sections.table, path: path.clone() });
        }
    }

    fn linking(&mut self, linking: &Linking) {
        let LinkedSymbols { table, name, value, defined, weak, exported, images, .. } =
            &linking.symbols;
        for path in [name, value] {
            self.target(&Target { region: *table, path: path.clone() });
        }
        let conditions = [defined, exported].into_iter().chain(weak);
        for condition in conditions.chain(images.iter().map(|(_, condition)| condition)) {
            self.condition(condition);
        }
        let LinkedRelocations { table, place, symbol, kind, addend, .. } = &linking.relocations;
        for path in [place, symbol, kind, addend] {
            self.target(&Target { region: *table, path: path.clone() });
        }
    }

    fn check(&mut self, check: &Check) {
        match check {
            Check::Bounds { .. }
            | Check::Filled { .. }
            | Check::Ends { .. }
            | Check::Separate { .. }
            | Check::Utf8 { .. }
            | Check::ImageSize { .. }
            | Check::Resolved { .. }
            | Check::RelocationRange { .. }
            | Check::Mapping { .. } => {}
            Check::Const { target, .. }
            | Check::InEnum { target }
            | Check::Excludes { target, .. }
            | Check::ReservedBits { target, .. }
            | Check::ClearBits { target, .. }
            | Check::Within { target, .. }
            | Check::EntryStart { target, .. }
            | Check::NeedsEntry { target, .. }
            | Check::Unique { target, .. }
            | Check::PowerOfTwo { target }
            | Check::NameLength { target, .. }
            | Check::NameUtf8 { target, .. }
            | Check::HostPlatform { target, .. }
            | Check::Derived { target } => self.target(target),
            Check::RefersTo { target, is, .. } => {
                self.target(target);
                self.condition(is);
            }
            Check::Range { target, min, max } => {
                self.target(target);
                min.iter().chain(max).for_each(|operand| self.operand(operand));
            }
            Check::Align { target, to } => {
                self.target(target);
                self.operand(to);
            }
            Check::Implies { when, then } => {
                when.iter().chain(then).for_each(|(target, _)| self.target(target));
            }
            Check::Fits { each, start, length, size, .. } => {
                self.target(each);
                [start, length, size].into_iter().for_each(|operand| self.operand(operand));
            }
            Check::Disjoint { each, start, length } => {
                self.target(each);
                [start, length].into_iter().for_each(|operand| self.operand(operand));
            }
        }
    }
}
