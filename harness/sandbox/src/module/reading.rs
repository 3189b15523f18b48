//! A decoded file, looked into by the names that its spec gives.

use blobspec::Format;
use blobspec::format::{Content, Field, Meaning, Record, Refers};
use harness_codec::link::ImageLayout;
use harness_codec::{Model, Node, Site};

use super::ModuleError;
use crate::Architecture;

/// Name of the enum that says whose instructions a file holds.
const ARCHITECTURE: &str = "Architecture";

/// A valid file.
pub(super) struct Reading<'a> {
    pub(super) format: &'a Format,
    pub(super) file: &'a [u8],
    pub(super) model: &'a Model,
}

/// A record with the spec of its fields.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    format: &'a Format,
    record: &'a Record,
    node: &'a Node,
}

impl<'a> Reading<'a> {
    /// The images that the format lays out.
    pub(super) fn images(&self) -> Vec<ImageLayout> {
        harness_codec::link::images(self.format, self.model, self.file)
    }

    /// The one record of the first region.
    pub(super) fn header(&self) -> Option<Entry<'a>> {
        let spec = self.format.regions.first()?;
        let record = self.format.records.get(spec.record()?)?;
        Some(Entry { format: self.format, record, node: &self.model.regions.first()?.node })
    }

    /// Position and records of the region of that name, if the format has it.
    pub(super) fn table(&self, name: &str) -> Option<(usize, Vec<Entry<'a>>)> {
        let region = self.format.region(name)?;
        let record = self.format.records.get(self.format.regions.get(region)?.record()?)?;
        let nodes = self.model.regions.get(region)?.node.children();
        let entry = |node| Entry { format: self.format, record, node };
        Some((region, nodes.iter().map(entry).collect()))
    }

    /// Whose instructions the file holds.
    pub(super) fn architecture(&self) -> Result<Architecture, ModuleError> {
        let header = self.header();
        let name = header.and_then(|header| header.named_by(ARCHITECTURE)).ok_or_else(|| {
            let id = &self.format.id;
            ModuleError::Unsupported(format!("{id} files do not say whose instructions they hold"))
        })?;
        Architecture::named(name)
            .ok_or_else(|| ModuleError::Unsupported(format!("no machine here runs {name}")))
    }

    /// The path of an element, or of something in it, in the spec's terms.
    pub(super) fn path(&self, region: usize, steps: Vec<usize>) -> String {
        Site { region, steps }.path(self.format)
    }

    /// The string that a field of `entry` refers to.
    pub(super) fn text(&self, entry: Entry<'a>, field: &str) -> Option<String> {
        let (_, spec, node) = entry.field(field)?;
        let Some(Refers::String(region)) = spec.refers else { return None };
        let strings = self.model.regions.get(region)?;
        let start = match self.format.regions.get(region)?.content {
            Content::Strings { from_prefix: true, .. } => strings.span.offset(),
            _ => strings.node.span.offset(),
        };
        let start = usize::try_from(start.checked_add(node.number()?)?).ok()?;
        let rest = self.file.get(start..strings.span.range().end)?;
        let name = rest.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(name).into_owned())
    }
}

impl<'a> Entry<'a> {
    /// Position, spec and value of a field.
    pub(super) fn field(self, name: &str) -> Option<(usize, &'a Field, &'a Node)> {
        let position = self.record.fields.iter().position(|field| field.name == name)?;
        Some((position, self.record.fields.get(position)?, self.node.at(&[position])?))
    }

    /// The number in a field.
    pub(super) fn number(self, name: &str) -> Option<u64> {
        self.field(name)?.2.number()
    }

    /// The name of the code in a field.
    pub(super) fn code(self, name: &str) -> Option<&'a str> {
        let (_, field, node) = self.field(name)?;
        self.name_of(field, node)
    }

    /// The names of the codes in an array field; `None` if one has none.
    pub(super) fn codes(self, name: &str) -> Option<Vec<&'a str>> {
        let (_, field, node) = self.field(name)?;
        node.children().iter().map(|node| self.name_of(field, node)).collect()
    }

    /// The records in an array field.
    pub(super) fn entries(self, name: &str) -> Option<Vec<Self>> {
        let (_, field, node) = self.field(name)?;
        let record = self.format.records.get(field.field_type.record()?)?;
        let entry = |node| Self { format: self.format, record, node };
        Some(node.children().iter().map(entry).collect())
    }

    /// Whether a bit is set in a field of flags.
    pub(super) fn flag(self, name: &str, bit: &str) -> bool {
        let Some((_, field, node)) = self.field(name) else { return false };
        let Some(Meaning::Flags(set)) = field.field_type.scalar().map(|scalar| scalar.meaning)
        else {
            return false;
        };
        let bits = self.format.flags.get(set).map(|set| set.bits.as_slice()).unwrap_or_default();
        let bit = bits.iter().find(|(known, _)| known == bit).map(|(_, bit)| *bit);
        node.number().zip(bit).is_some_and(|(value, bit)| value >> bit & 1 == 1)
    }

    /// The name of the code in the first field whose codes are those of this enum.
    fn named_by(self, codes: &str) -> Option<&'a str> {
        let of_enum = |field: &&Field| {
            let meaning = field.field_type.scalar().map(|scalar| scalar.meaning);
            let Some(Meaning::Enum(index)) = meaning else { return false };
            self.format.enums.get(index).is_some_and(|known| known.name == codes)
        };
        let field = self.record.fields.iter().find(of_enum)?;
        self.code(&field.name)
    }

    fn name_of(self, field: &Field, node: &Node) -> Option<&'a str> {
        let Meaning::Enum(index) = field.field_type.scalar()?.meaning else { return None };
        let value = self.format.enums.get(index)?.value(node.number()?)?;
        Some(value.name.as_str())
    }
}
