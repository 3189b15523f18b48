//! Bytes to a model and the list of violated rules.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use blobspec::Format;
use blobspec::format::{
    ArrayCount, Condition, Content, Count, CountSource, Element, Endian, Extent, Field, FieldType,
    Operand, Payloads, Region, Rule, Scalar, Trailer,
};

use crate::evaluate::Context;
use crate::limits::{MAX_FILE, MAX_KEPT_PER_RULE, SHARED_PORTIONS};
use crate::model::{Model, Node, RegionNode, Span, Value};
use crate::rules::{self, Sink};
use crate::shared::{Seen, Shared};
use crate::violation::{Verdict, Violation};

/// A file, decoded as far as it goes.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The regions that decoded.
    pub model: Model,
    /// Violations ordered by stage, order of the rules in the spec, and offset. At most
    /// [`MAX_KEPT_PER_RULE`] of each rule.
    pub violations: Vec<Violation>,
    /// Verdict of the first violation.
    pub verdict: Verdict,
    /// Rules that were evaluated on at least one element, in spec order: what this file exercises.
    pub exercised: Vec<usize>,
    /// Bytes of strings that rules looked at one by one: a measure of effort that does not depend on the
    /// machine. It stays near the size of the file, whatever the file.
    pub work: u64,
}

impl Decoded {
    /// The distinct violated rules, in order.
    #[must_use]
    pub fn violated_rules(&self) -> Vec<usize> {
        let mut rules: Vec<usize> =
            self.violations.iter().map(|violation| violation.rule).collect();
        rules.dedup();
        rules
    }
}

/// Decodes `file` and checks every active rule of `format`.
///
/// Total: any bytes give a result. A file over [`MAX_FILE`] bytes is cut there and so breaks a bounds rule
/// (callers that read files refuse it before).
#[must_use]
pub fn decode(format: &Format, file: &[u8]) -> Decoded {
    let file = file.get(..MAX_FILE).unwrap_or(file);
    let mut sink = Sink::new(format);
    let gates = rules::gates(format);
    let mut decoder =
        Decoder { format, file, gates: &gates, model: Model::default(), shared: Vec::new() };
    decoder.run(&mut sink);
    let mut work = 0;
    if sink.violations.is_empty() {
        let context = Context::new(format, file, &decoder.model);
        for (index, rule) in
            format.rules.iter().enumerate().filter(|(_, rule)| rule.active && !rule.gate)
        {
            sink.rule = index;
            rules::check(&context, rule, &mut sink);
        }
        work = context.spent();
        for (index, rule) in
            format.rules.iter().enumerate().filter(|(_, rule)| rule.active && !rule.gate)
        {
            sink.rule = index;
            decoder.check_shared(rule, &mut sink);
        }
    }
    let model = decoder.model;
    let Sink { mut violations, exercised, .. } = sink;
    violations.sort_by_key(|v| (format.rules.get(v.rule).map(|rule| rule.stage), v.rule, v.offset));
    let verdict = Verdict::of(format, &violations);
    let exercised =
        exercised.iter().enumerate().filter(|(_, seen)| **seen).map(|(rule, _)| rule).collect();
    Decoded { model, violations, verdict, exercised, work }
}

/// Why decoding stops: the bytes of a region end at this offset.
struct RanOut {
    at: usize,
}

struct Decoder<'a> {
    format: &'a Format,
    file: &'a [u8],
    /// For each region the gates that can be checked once it is decoded.
    gates: &'a [Vec<usize>],
    model: Model,
    /// Records that are checked, but not kept in the model.
    shared: Vec<Shared>,
}

impl<'a> Decoder<'a> {
    fn run(&mut self, sink: &mut Sink) {
        let mut end = 0;
        for (index, region) in self.format.regions.iter().enumerate() {
            sink.exercise_bounds(self.format, index);
            match self.region(region, end) {
                Ok(node) => {
                    end = node.span.range().end;
                    self.model.regions.push(node);
                }
                Err(RanOut { at }) => {
                    self.report_bounds(index, region, at, sink);
                    break;
                }
            }
            if self.gates(index, sink) {
                break;
            }
        }
    }

    /// Checks the gates that can be checked now that `region` is decoded; whether one is violated.
    fn gates(&mut self, region: usize, sink: &mut Sink) -> bool {
        let gates: &'a [usize] = self.gates.get(region).map(Vec::as_slice).unwrap_or_default();
        for &index in gates {
            let Some(rule) = self.format.rules.get(index) else { continue };
            sink.rule = index;
            rules::check(&Context::new(self.format, self.file, &self.model), rule, sink);
            if sink.violations.is_empty() {
                self.check_shared(rule, sink);
            }
            // Decoding ends at the first element in the order of the tables, wherever in the file it lies.
            if let Some(first) = sink.violations.first().map(|violation| violation.offset) {
                sink.violations.retain(|violation| violation.offset >= first);
                return true;
            }
        }
        false
    }

    /// Checks `rule` on the records that are not kept in the model, a portion at a time in place of those that
    /// are. Rules that compare elements compare those of one portion.
    fn check_shared(&mut self, rule: &Rule, sink: &mut Sink) {
        let Some(region) = rule.check.target().map(|target| target.region) else { return };
        let looked_at = self.shared.iter().filter(|shared| shared.region == region);
        let portions: Vec<_> = looked_at
            .flat_map(|shared| {
                let portions = shared.portions(self.file.len() / SHARED_PORTIONS);
                portions.map(|portion| (shared.record, portion))
            })
            .collect();
        for (record, portion) in portions {
            let mut cursor = Cursor { decoder: self, at: portion.start, limit: portion.end };
            let list = cursor.list(&REST, None, |cursor| cursor.record(record));
            let (Ok(list), Some(node)) = (list, self.model.regions.get_mut(region)) else { return };
            let portion = Node { span: list.span, value: Value::List(vec![list]) };
            let kept = std::mem::replace(&mut node.node, portion);
            rules::check(&Context::new(self.format, self.file, &self.model), rule, sink);
            if let Some(node) = self.model.regions.get_mut(region) {
                node.node = kept;
            }
            if rule.gate && !sink.violations.is_empty() {
                return;
            }
        }
    }

    fn report_bounds(&self, index: usize, region: &Region, at: usize, sink: &mut Sink) {
        sink.rule = rules::bounds_rule(self.format, index).unwrap_or_default();
        let offset = u64::try_from(at).unwrap_or(u64::MAX);
        sink.report(offset, || {
            format!("{} runs past its end: nothing fits at {offset:#x}", region.name)
        });
    }

    fn operand(&self, operand: &Operand) -> Option<u64> {
        Context::new(self.format, self.file, &self.model).operand(operand, &[])
    }

    fn position(&self, operand: &Operand) -> usize {
        self.operand(operand).and_then(|value| usize::try_from(value).ok()).unwrap_or(usize::MAX)
    }

    fn region(&mut self, region: &Region, previous_end: usize) -> Result<RegionNode, RanOut> {
        match &region.content {
            Content::Payloads(payloads) => return self.payloads(payloads, previous_end),
            Content::Inside { record, payloads, filter } => {
                let (node, shared) = self.inside(*record, *payloads, filter, previous_end);
                self.shared.extend(shared);
                return Ok(node);
            }
            _ => {}
        }
        let follows = || align_up(previous_end, region.align);
        let start = region.at.as_ref().map_or_else(follows, |at| self.position(at));
        let trailer = region.trailer.as_ref().and_then(|trailer| self.trailer(trailer));
        let start = trailer.unwrap_or(start);
        let limit = region
            .limit
            .as_ref()
            .map_or(self.file.len(), |limit| self.position(limit))
            .min(self.file.len());
        if start > limit {
            return Err(RanOut { at: start }); // not even an empty region lies past the end
        }
        let mut cursor = Cursor { decoder: self, at: start, limit };
        let count = cursor.prefix(region)?;
        let node = cursor.content(region, count.as_ref().and_then(Node::number))?;
        Ok(RegionNode { span: Span::new(start, cursor.at), count, node })
    }
}

impl Decoder<'_> {
    /// Where the trailer starts, if the file has one.
    fn trailer(&self, trailer: &Trailer) -> Option<usize> {
        let start = self.file.len().checked_sub(usize::try_from(trailer.size).ok()?)?;
        self.file.get(start..)?.starts_with(&trailer.starts_with).then_some(start)
    }

    /// One stretch of bytes for each element of the table, as it says.
    fn payloads(&self, payloads: &Payloads, previous_end: usize) -> Result<RegionNode, RanOut> {
        let context = Context::new(self.format, self.file, &self.model);
        let table = context.elements(payloads.table);
        let mut nodes = Vec::with_capacity(table.len());
        let mut bounds: Option<(usize, usize)> = None;
        for element in table {
            if !context.holds(&payloads.filter, &[element]) {
                nodes.push(Node { span: Span::default(), value: Value::Absent });
                continue;
            }
            let number = |path: &[usize]| {
                let number = element.at(path).and_then(Node::number);
                number.and_then(|number| usize::try_from(number).ok()).unwrap_or(usize::MAX)
            };
            let start = number(&payloads.offset);
            if start > self.file.len() {
                return Err(RanOut { at: start });
            }
            let mut cursor = Cursor { decoder: self, at: start, limit: self.file.len() };
            let (span, _) = cursor.take(number(&payloads.size))?;
            let (first, last) = bounds.unwrap_or((start, cursor.at));
            bounds = Some((first.min(start), last.max(cursor.at)));
            nodes.push(Node { span, value: Value::Bytes });
        }
        let (start, end) = bounds.unwrap_or((previous_end, previous_end));
        let span = Span::new(start, end);
        Ok(RegionNode { span, count: None, node: Node { span, value: Value::List(nodes) } })
    }

    /// As many records as fit in each payload that holds records.
    fn inside(
        &self,
        record: usize,
        payloads: usize,
        filter: &Condition,
        previous_end: usize,
    ) -> (RegionNode, Option<Shared>) {
        let context = Context::new(self.format, self.file, &self.model);
        let table = match self.format.regions.get(payloads).map(|region| &region.content) {
            Some(Content::Payloads(placed)) => context.elements(placed.table),
            _ => &[],
        };
        let size = self.fixed_size(record);
        let mut seen = Seen::new(size.unwrap_or(1));
        let (mut bytes, mut stretches) = (0_usize, Vec::new());
        let mut lists = Vec::with_capacity(table.len());
        for (element, payload) in table.iter().zip(context.elements(payloads)) {
            if payload.value == Value::Absent || !context.holds(filter, &[element]) {
                lists.push(Node { span: Span::default(), value: Value::Absent });
                continue;
            }
            let range = payload.span.range();
            bytes = bytes.saturating_add(range.len());
            let unseen = seen.unseen(&range);
            let absent = Node { span: payload.span, value: Value::Absent };
            if bytes > self.file.len() {
                stretches.extend(unseen); // some lists share bytes: see `crate::shared`
                lists.push(absent);
                continue;
            }
            let mut cursor = Cursor { decoder: self, at: range.start, limit: range.end };
            lists.push(cursor.list(&REST, None, |cursor| cursor.record(record)).unwrap_or(absent));
        }
        let span = Span::new(previous_end, previous_end);
        let node = RegionNode { span, count: None, node: Node { span, value: Value::List(lists) } };
        let shared =
            size.map(|size| Shared { region: self.model.regions.len(), record, size, stretches });
        (node, shared.filter(|shared| !shared.stretches.is_empty()))
    }

    /// Bytes of a record that always has the same number of them.
    fn fixed_size(&self, record: usize) -> Option<usize> {
        let fields = &self.format.records.get(record)?.fields;
        fields.iter().try_fold(0_usize, |sum, field| {
            let element = |element: &Element| match element {
                Element::Scalar(scalar) => Some(usize::from(scalar.width)),
                Element::Record(record) => self.fixed_size(*record),
            };
            let size = match &field.field_type {
                FieldType::Scalar(scalar) => usize::from(scalar.width),
                FieldType::Bytes(length) | FieldType::Pad(length) => {
                    usize::try_from(*length).ok()?
                }
                FieldType::Record(record) => self.fixed_size(*record)?,
                FieldType::Array { element: inner, count: ArrayCount::Fixed(count) } => {
                    element(inner)?.checked_mul(usize::try_from(*count).ok()?)?
                }
                FieldType::Array { count: ArrayCount::Field(_), .. } => return None,
            };
            sum.checked_add(size)
        })
    }
}

/// As many elements as fit.
const REST: Count = Count { source: CountSource::Rest, bytes: false };

struct Cursor<'a> {
    decoder: &'a Decoder<'a>,
    at: usize,
    limit: usize,
}

impl Cursor<'_> {
    fn take(&mut self, length: usize) -> Result<(Span, &[u8]), RanOut> {
        let end = self
            .at
            .checked_add(length)
            .filter(|end| *end <= self.limit)
            .ok_or(RanOut { at: self.at })?;
        let bytes = self.decoder.file.get(self.at..end).ok_or(RanOut { at: self.at })?;
        let span = Span::new(self.at, end);
        self.at = end;
        Ok((span, bytes))
    }

    fn scalar(&mut self, scalar: Scalar) -> Result<Node, RanOut> {
        let endian = self.decoder.format.endian;
        let (span, bytes) = self.take(usize::from(scalar.width))?;
        let value = integer(bytes, endian);
        let value = if scalar.signed {
            Value::Int(sign_extend(value, scalar.width))
        } else {
            Value::Uint(value)
        };
        Ok(Node { span, value })
    }

    fn prefix(&mut self, region: &Region) -> Result<Option<Node>, RanOut> {
        match region.count().map(|count| &count.source) {
            Some(CountSource::Prefix(width)) => self.unsigned(*width).map(Some),
            _ => Ok(None),
        }
    }

    fn unsigned(&mut self, width: u8) -> Result<Node, RanOut> {
        self.scalar(Scalar { width, signed: false, meaning: blobspec::format::Meaning::Number })
    }

    fn content(&mut self, region: &Region, prefix: Option<u64>) -> Result<Node, RanOut> {
        match &region.content {
            Content::Record(record) => self.record(*record),
            Content::Array { record, count } => {
                let number = self.number(count, prefix);
                self.list(count, number, |cursor| cursor.record(*record))
            }
            Content::Strings { count, .. } => {
                let number = self.number(count, prefix);
                self.list(count, number, Self::string)
            }
            Content::Bytes(extent) => {
                let length = self.length(extent);
                self.take(length).map(|(span, _)| Node { span, value: Value::Bytes })
            }
            Content::Stream { opcodes, extent } => {
                let length = self.length(extent);
                self.stream(*opcodes, length)
            }
            // Placed by their table: `Decoder::region` does not come here with them.
            Content::Payloads(_) | Content::Inside { .. } => Err(RanOut { at: self.at }),
        }
    }

    /// The number of elements; `None`: as many as fit.
    fn number(&self, count: &Count, prefix: Option<u64>) -> Option<u64> {
        match &count.source {
            CountSource::Prefix(_) => prefix,
            CountSource::Operand(operand) => Some(self.decoder.operand(operand).unwrap_or(0)),
            CountSource::Rest => None,
        }
    }

    /// Decodes elements one by one, so that nothing is reserved for a count whose bytes do not exist.
    fn list(
        &mut self,
        count: &Count,
        number: Option<u64>,
        mut element: impl FnMut(&mut Self) -> Result<Node, RanOut>,
    ) -> Result<Node, RanOut> {
        let start = self.at;
        let mut elements = Vec::new();
        let enough = |elements: &Vec<Node>, at: usize| match (number, count.bytes) {
            (Some(bytes), true) => {
                u64::try_from(at.saturating_sub(start)).unwrap_or(u64::MAX) >= bytes
            }
            (Some(number), false) => u64::try_from(elements.len()).unwrap_or(u64::MAX) >= number,
            (None, _) => false,
        };
        while !enough(&elements, self.at) {
            let before = self.at;
            match element(self) {
                Ok(node) => elements.push(node),
                Err(_) if number.is_none() => {
                    self.at = before;
                    break;
                }
                Err(ran_out) => return Err(ran_out),
            }
            if self.at == before {
                break; // an element without bytes: more of them say nothing
            }
        }
        elements.shrink_to_fit();
        Ok(Node { span: Span::new(start, self.at), value: Value::List(elements) })
    }

    fn string(&mut self) -> Result<Node, RanOut> {
        let rest = self.decoder.file.get(self.at..self.limit).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == 0).ok_or(RanOut { at: self.at })?;
        self.take(length.saturating_add(1)).map(|(span, _)| Node { span, value: Value::Bytes })
    }

    fn length(&self, extent: &Extent) -> usize {
        match extent {
            Extent::Size(size) => self.decoder.position(size),
            Extent::Until(until) => {
                self.decoder.position(until).min(self.limit).saturating_sub(self.at)
            }
            Extent::Rest => self.limit.saturating_sub(self.at),
        }
    }

    fn record(&mut self, record: usize) -> Result<Node, RanOut> {
        let start = self.at;
        let fields = self
            .decoder
            .format
            .records
            .get(record)
            .map(|record| record.fields.as_slice())
            .unwrap_or_default();
        let mut nodes = Vec::with_capacity(fields.len());
        for field in fields {
            let node = self.field(field, &nodes)?;
            nodes.push(node);
        }
        Ok(Node { span: Span::new(start, self.at), value: Value::Record(nodes) })
    }

    fn field(&mut self, field: &Field, earlier: &[Node]) -> Result<Node, RanOut> {
        match &field.field_type {
            FieldType::Scalar(scalar) => self.scalar(*scalar),
            FieldType::Bytes(length) | FieldType::Pad(length) => {
                let length = usize::try_from(*length).unwrap_or(usize::MAX);
                self.take(length).map(|(span, _)| Node { span, value: Value::Bytes })
            }
            FieldType::Record(record) => self.record(*record),
            FieldType::Array { element, count } => {
                let number = match count {
                    ArrayCount::Fixed(number) => *number,
                    ArrayCount::Field(index) => {
                        earlier.get(*index).and_then(Node::number).unwrap_or(0)
                    }
                };
                let elements = Count { source: CountSource::Rest, bytes: false };
                self.list(&elements, Some(number), |cursor| match element {
                    Element::Scalar(scalar) => cursor.scalar(*scalar),
                    Element::Record(record) => cursor.record(*record),
                })
            }
        }
    }

    /// Instructions up to `length` bytes from here; an unknown opcode or a truncated instruction ends it.
    fn stream(&mut self, opcodes: usize, length: usize) -> Result<Node, RanOut> {
        let (start, limit) = (self.at, self.limit);
        self.limit =
            start.checked_add(length).filter(|end| *end <= limit).ok_or(RanOut { at: start })?;
        let mut instructions = Vec::new();
        while self.at < self.limit {
            instructions.push(self.instruction(opcodes)?);
        }
        self.limit = limit;
        Ok(Node { span: Span::new(start, self.at), value: Value::List(instructions) })
    }

    fn instruction(&mut self, opcodes: usize) -> Result<Node, RanOut> {
        let start = self.at;
        let table = self.decoder.format.opcodes.get(opcodes).ok_or(RanOut { at: start })?;
        let mut values = Vec::new();
        for (_, scalar) in &table.before {
            values.push(self.scalar(*scalar)?);
        }
        let code = self.unsigned(table.width)?;
        let fits = |when: &[(usize, u64)]| {
            when.iter().all(|(position, value)| {
                values.get(*position).and_then(Node::number) == Some(*value)
            })
        };
        let known =
            |i: &blobspec::format::Instruction| Some(i.code) == code.number() && fits(&i.when);
        let position = table.instructions.iter().position(known).ok_or(RanOut { at: start })?;
        for (_, scalar) in table.instructions.get(position).into_iter().flat_map(|i| &i.operands) {
            values.push(self.scalar(*scalar)?);
        }
        Ok(Node { span: Span::new(start, self.at), value: Value::Instruction(position, values) })
    }
}

/// The next multiple of `align`; the end of the address space where there is none.
pub(crate) fn align_up(at: usize, align: u64) -> usize {
    let align = usize::try_from(align).unwrap_or(usize::MAX);
    at.checked_next_multiple_of(align).unwrap_or(usize::MAX)
}

fn integer(bytes: &[u8], endian: Endian) -> u64 {
    let push = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
    match endian {
        Endian::Big => bytes.iter().fold(0, push),
        Endian::Little => bytes.iter().rev().fold(0, push),
    }
}

fn sign_extend(value: u64, width: u8) -> i64 {
    let unused = 64_u32.saturating_sub(u32::from(width).saturating_mul(8));
    value
        .checked_shl(unused)
        .map_or(0, |shifted| shifted.cast_signed().checked_shr(unused).unwrap_or(0))
}

const _: () = assert!(MAX_KEPT_PER_RULE > 0);
