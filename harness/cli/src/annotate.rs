//! A file as a list of named stretches: every byte belongs to exactly one.

use std::ops::Range;

use blobspec::Format;
use blobspec::format::{Content, Field, FieldType, Meaning, Refers, Scalar};
use harness_codec::{Decoded, Node, Site, Value};

/// A stretch of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Where.
    pub(crate) range: Range<usize>,
    /// Path of the field that owns it.
    pub(crate) path: String,
    /// Its value in words.
    pub(crate) text: String,
}

/// Every byte of `file` with its owner, in file order; what no field owns is said to be so.
pub(crate) fn stretches(format: &Format, decoded: &Decoded, file: &[u8]) -> Vec<Stretch> {
    let mut walk = Walk { format, file, decoded, stretches: Vec::new() };
    for (index, region) in decoded.model.regions.iter().enumerate() {
        walk.region(index, region);
    }
    let mut stretches = walk.stretches;
    stretches.retain(|stretch| !stretch.range.is_empty());
    stretches.sort_by_key(|stretch| (stretch.range.start, stretch.range.end));
    with_gaps(stretches, file.len(), decoded.model.regions.len() == format.regions.len())
}

fn with_gaps(stretches: Vec<Stretch>, size: usize, complete: bool) -> Vec<Stretch> {
    let mut all = Vec::new();
    let mut at = 0;
    let gap = |range: Range<usize>| {
        let owner = if complete { "(no field)" } else { "(not decoded)" };
        Stretch { text: format!("{} bytes", range.len()), range, path: owner.to_owned() }
    };
    for stretch in stretches {
        if stretch.range.start > at {
            all.push(gap(at..stretch.range.start));
        }
        at = at.max(stretch.range.end);
        all.push(stretch);
    }
    if at < size {
        all.push(gap(at..size));
    }
    all
}

struct Walk<'a> {
    format: &'a Format,
    file: &'a [u8],
    decoded: &'a Decoded,
    stretches: Vec<Stretch>,
}

impl Walk<'_> {
    fn region(&mut self, index: usize, region: &harness_codec::RegionNode) {
        let spec = &self.format.regions[index];
        if let Some(count) = &region.count {
            let text = count.number().unwrap_or_default().to_string();
            self.push(count, format!("{}.count", spec.name), text);
        }
        let mut site = Site { region: index, steps: Vec::new() };
        match &region.node.value {
            Value::List(elements) => {
                for (element, node) in elements.iter().enumerate() {
                    if self.holds_records(index, element) {
                        continue; // they are shown as what they are
                    }
                    site.steps.push(element);
                    self.element(spec, &mut site, node);
                    site.steps.pop();
                }
            }
            Value::Record(_) => self.record(spec.record(), &mut site, &region.node),
            _ => self.push(
                &region.node,
                spec.name.clone(),
                format!("{} bytes", region.node.span.range().len()),
            ),
        }
    }

    /// Whether the bytes of payload `element` of `region` are the records of another region.
    fn holds_records(&self, region: usize, element: usize) -> bool {
        self.format.regions.iter().zip(&self.decoded.model.regions).any(|(spec, records)| {
            let list = records.node.children().get(element).map(|list| &list.value);
            matches!(spec.content, Content::Inside { payloads, .. } if payloads == region)
                && matches!(list, Some(Value::List(_)))
        })
    }

    fn element(&mut self, spec: &blobspec::format::Region, site: &mut Site, node: &Node) {
        match (&spec.content, &node.value) {
            (Content::Stream { opcodes, .. }, Value::Instruction(position, values)) => {
                let instruction = self.format.opcodes[*opcodes].instructions.get(*position);
                let mnemonic = instruction.map_or("?", |instruction| instruction.mnemonic.as_str());
                let operands: Vec<String> = values
                    .iter()
                    .filter_map(Node::number)
                    .map(|number| format!("{number:#x}"))
                    .collect();
                self.push(
                    node,
                    site.path(self.format),
                    format!("{mnemonic} {}", operands.join(", ")),
                );
            }
            (_, Value::Record(_)) => self.record(spec.record(), site, node),
            (_, Value::List(elements)) => {
                for (index, element) in elements.iter().enumerate() {
                    site.steps.push(index);
                    self.element(spec, site, element);
                    site.steps.pop();
                }
            }
            (Content::Payloads(_), _) => {
                self.push(node, site.path(self.format), bytes_text(node.span.of(self.file)));
            }
            _ => {
                let bytes = node.span.of(self.file);
                let text = String::from_utf8_lossy(bytes.strip_suffix(b"\0").unwrap_or(bytes))
                    .into_owned();
                self.push(node, site.path(self.format), format!("{text:?}"));
            }
        }
    }

    fn record(&mut self, record: Option<usize>, site: &mut Site, node: &Node) {
        let Some(record) = record.and_then(|record| self.format.records.get(record)) else {
            return;
        };
        for (index, (field, node)) in record.fields.iter().zip(node.children()).enumerate() {
            site.steps.push(index);
            self.field(field, site, node);
            site.steps.pop();
        }
    }

    fn field(&mut self, field: &Field, site: &mut Site, node: &Node) {
        match (&field.field_type, &node.value) {
            (FieldType::Record(record), _) => self.record(Some(*record), site, node),
            (_, Value::List(elements)) => {
                for (index, element) in elements.iter().enumerate() {
                    site.steps.push(index);
                    match field.field_type.record() {
                        Some(record) => self.record(Some(record), site, element),
                        None => self.leaf(field, site, element),
                    }
                    site.steps.pop();
                }
            }
            _ => self.leaf(field, site, node),
        }
    }

    fn leaf(&mut self, field: &Field, site: &Site, node: &Node) {
        let text = match (field.field_type.scalar(), node.number()) {
            (Some(scalar), Some(number)) => self.number(field, scalar, number),
            _ => bytes_text(node.span.of(self.file)),
        };
        self.push(node, site.path(self.format), text);
    }

    fn number(&self, field: &Field, scalar: Scalar, number: u64) -> String {
        match scalar.meaning {
            Meaning::Enum(index) => {
                let value = self.format.enums[index].value(number);
                format!("{number} {}", value.map_or("(unknown)", |value| value.name.as_str()))
            }
            Meaning::Flags(index) => {
                let set = &self.format.flags[index];
                let mut names: Vec<String> = set
                    .bits
                    .iter()
                    .filter(|(_, bit)| number >> bit & 1 == 1)
                    .map(|(name, _)| name.clone())
                    .collect();
                let reserved = number & !set.mask();
                names.extend((reserved != 0).then(|| format!("reserved {reserved:#x}")));
                format!(
                    "{number:#x} {}",
                    if names.is_empty() { "(none)".to_owned() } else { names.join(", ") }
                )
            }
            Meaning::Number if scalar.signed => number.cast_signed().to_string(),
            Meaning::Number => match field.refers {
                Some(Refers::String(region)) => {
                    format!("{number:#x} {}", self.string(region, number))
                }
                _ if number > 4096 => format!("{number} ({number:#x})"),
                _ => number.to_string(),
            },
        }
    }

    fn string(&self, region: usize, offset: u64) -> String {
        let Some(strings) = self.decoded.model.regions.get(region) else {
            return "(not decoded)".to_owned();
        };
        let base = match self.format.regions[region].content {
            Content::Strings { from_prefix: true, .. } => strings.span.range().start,
            _ => strings.node.span.range().start,
        };
        let start = usize::try_from(offset).ok().and_then(|offset| base.checked_add(offset));
        let rest = start
            .filter(|start| *start < strings.span.range().end)
            .and_then(|start| self.file.get(start..));
        let text = rest.and_then(|rest| rest.split(|byte| *byte == 0).next());
        text.map_or_else(
            || "(outside)".to_owned(),
            |bytes| format!("{:?}", String::from_utf8_lossy(bytes)),
        )
    }

    fn push(&mut self, node: &Node, path: String, text: String) {
        self.stretches.push(Stretch { range: node.span.range(), path, text });
    }
}

/// Bytes as text if they are text, else how many there are.
fn bytes_text(bytes: &[u8]) -> String {
    let printable = bytes.iter().all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | 0));
    if printable && bytes.iter().any(|byte| *byte != 0) {
        format!("{:?}", String::from_utf8_lossy(bytes))
    } else {
        format!("{} bytes", bytes.len())
    }
}
