//! Enums, flag sets, records and opcode tables.

use super::{Resolved, Resolver, hex_bytes, unsigned_width};
use crate::format::{
    ArrayCount, Attribute, Condition, Derive, Element, Enum, EnumValue, Field, FieldRef, FieldType,
    FlagSet, Instruction, Meaning, OpcodeTable, Operand, Record, Refers, Scalar, Target,
};
use crate::limits::{MAX_FIXED_LENGTH, MAX_RECORD_BYTES};
use crate::source::{self, Number};

/// What is known about the size of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Unknown,
    InProgress,
    Known(u64),
}

impl Resolver<'_> {
    pub(super) fn resolve_records(&self) -> Resolved<Vec<Record>> {
        let records: Vec<Record> = self
            .document
            .records
            .iter()
            .map(|(name, record)| self.record(name, record))
            .collect::<Resolved<_>>()?;
        let mut sizes = vec![Size::Unknown; records.len()];
        for record in 0..records.len() {
            self.least_size(&records, record, &mut sizes)?;
        }
        Ok(records)
    }

    /// The records with the conditions of what they count, which look at fields of records themselves.
    pub(super) fn resolve_counts(&self) -> Resolved<Vec<Record>> {
        let mut records = self.records.clone();
        for (record, source) in records.iter_mut().zip(self.document.records.values()) {
            for (field, source) in record.fields.iter_mut().zip(&source.fields) {
                let path = ["records", record.name.as_str(), source.name.as_str()];
                let Some(source::Derive { count_of: Some(name), filter: Some(filter), .. }) =
                    &source.derive
                else {
                    continue;
                };
                let Some(Derive::CountOfRegion(_, condition)) = &mut field.derive else {
                    let message = "`where` stands beside `count_of` a region";
                    return Err(self.fail(&path, "where", message.into()));
                };
                let (_, scope) = self.target(&path, name)?;
                *condition = self.condition(&path, filter, &scope)?;
            }
        }
        Ok(records)
    }

    /// Fewest bytes that a record takes; refuses records that contain themselves.
    fn least_size(&self, records: &[Record], record: usize, sizes: &mut [Size]) -> Resolved<u64> {
        if let Size::Known(size) = sizes[record] {
            return Ok(size);
        }
        sizes[record] = Size::InProgress;
        let mut total = 0_u64;
        for field in &records[record].fields {
            let path = ["records", records[record].name.as_str(), field.name.as_str()];
            let nested = match field.field_type.record() {
                Some(inner) if sizes[inner] == Size::InProgress => {
                    let name = &records[inner].name;
                    let message = format!("record {name} contains itself");
                    return Err(self.fail(&path, name, message));
                }
                Some(inner) => self.least_size(records, inner, sizes)?,
                None => field.field_type.scalar().map_or(0, |scalar| u64::from(scalar.width)),
            };
            total = total.saturating_add(match &field.field_type {
                FieldType::Bytes(length) | FieldType::Pad(length) => *length,
                FieldType::Array { count: ArrayCount::Fixed(count), .. } => {
                    nested.saturating_mul(*count)
                }
                FieldType::Array { count: ArrayCount::Field(_), .. } => 0,
                FieldType::Scalar(_) | FieldType::Record(_) => nested,
            });
            if total > MAX_RECORD_BYTES {
                let message = format!("a record has at most {MAX_RECORD_BYTES} bytes");
                return Err(self.fail(&path, &field.name, message));
            }
        }
        sizes[record] = Size::Known(total);
        Ok(total)
    }

    fn record(&self, name: &str, record: &source::Record) -> Resolved<Record> {
        self.clause_exists(&["records", name], record.clause.as_deref())?;
        if record.fields.is_empty() {
            let message = format!("record {name} has no fields");
            return Err(self.fail(&["records", name], name, message));
        }
        let fields = record
            .fields
            .iter()
            .map(|field| self.field(name, record, field))
            .collect::<Resolved<_>>()?;
        Ok(Record {
            name: name.to_owned(),
            doc: record.doc.clone(),
            fields,
            clause: record.clause.clone(),
        })
    }

    fn field(&self, name: &str, record: &source::Record, field: &source::Field) -> Resolved<Field> {
        let path = ["records", name, field.name.as_str()];
        self.clause_exists(&path, field.clause.as_deref())?;
        Ok(Field {
            name: field.name.clone(),
            field_type: self.field_type(&path, record, &field.field_type)?,
            unit: field.unit.clone(),
            doc: field.doc.clone(),
            clause: field.clause.clone(),
            unconstrained: field.unconstrained.clone(),
            derive: field
                .derive
                .as_ref()
                .map(|derive| self.derive(&path, record, derive))
                .transpose()?,
            refers: field.refers.as_ref().map(|refers| self.refers(&path, refers)).transpose()?,
        })
    }

    fn field_type(
        &self,
        path: &[&str],
        record: &source::Record,
        text: &str,
    ) -> Resolved<FieldType> {
        let Some((base, length)) = text.strip_suffix(']').and_then(|t| t.split_once('[')) else {
            return Ok(match self.element(path, text)? {
                Element::Scalar(scalar) => FieldType::Scalar(scalar),
                Element::Record(record) => FieldType::Record(record),
            });
        };
        let fixed = length.parse::<u64>().ok();
        if fixed.is_some_and(|length| !(1..=MAX_FIXED_LENGTH).contains(&length)) {
            let message = format!("`{text}`: a field has 1 to {MAX_FIXED_LENGTH} elements");
            return Err(self.fail(path, text, message));
        }
        match (base, fixed) {
            ("bytes", Some(length)) => Ok(FieldType::Bytes(length)),
            ("pad", Some(length)) => Ok(FieldType::Pad(length)),
            ("bytes" | "pad", None) => Err(self.fail(
                path,
                text,
                format!("`{text}`: the length of {base} is a number; longer data is a region"),
            )),
            (_, fixed) => {
                let count = match fixed {
                    Some(length) => ArrayCount::Fixed(length),
                    None => ArrayCount::Field(self.count_field(path, record, length)?),
                };
                Ok(FieldType::Array { element: self.element(path, base)?, count })
            }
        }
    }

    fn sibling(&self, path: &[&str], record: &source::Record, name: &str) -> Resolved<usize> {
        let names = || record.fields.iter().map(|field| field.name.as_str());
        names().position(|n| n == name).ok_or_else(|| self.unknown(path, "field", name, names()))
    }

    /// The earlier field of the same record that says how long an array is.
    fn count_field(&self, path: &[&str], record: &source::Record, name: &str) -> Resolved<usize> {
        let position = self.sibling(path, record, name)?;
        let own = path.last().and_then(|own| record.fields.iter().position(|f| f.name == **own));
        if own.is_some_and(|own| position >= own) {
            let message = format!("`{name}` counts this array, so it must stand before it");
            return Err(self.fail(path, name, message));
        }
        let count = &record.fields[position].field_type;
        if unsigned_width(count).is_none() {
            let message = format!("`{name}` counts this array, so it must be u8, u16, u32 or u64");
            return Err(self.fail(path, name, message));
        }
        Ok(position)
    }

    fn element(&self, path: &[&str], name: &str) -> Resolved<Element> {
        if let Some(index) = self.document.records.get_index_of(name) {
            return Ok(Element::Record(index));
        }
        self.scalar(path, name).map(Element::Scalar)
    }

    fn scalar(&self, path: &[&str], name: &str) -> Resolved<Scalar> {
        if let Some(width) = unsigned_width(name) {
            return Ok(Scalar { width, signed: false, meaning: Meaning::Number });
        }
        if let Some(width) =
            name.strip_prefix('i').and_then(|rest| unsigned_width(&format!("u{rest}")))
        {
            return Ok(Scalar { width, signed: true, meaning: Meaning::Number });
        }
        if let Some((index, _, e)) = self.document.enums.get_full(name) {
            let width = self.repr(&["enums", name], &e.repr)?;
            return Ok(Scalar { width, signed: false, meaning: Meaning::Enum(index) });
        }
        if let Some((index, _, set)) = self.document.flags.get_full(name) {
            let width = self.repr(&["flags", name], &set.repr)?;
            return Ok(Scalar { width, signed: false, meaning: Meaning::Flags(index) });
        }
        let primitives = ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64"];
        let document = self.document;
        let named =
            document.enums.keys().chain(document.flags.keys()).chain(document.records.keys());
        Err(self.unknown(
            path,
            "type",
            name,
            primitives.into_iter().chain(named.map(String::as_str)),
        ))
    }

    pub(super) fn repr(&self, path: &[&str], repr: &str) -> Resolved<u8> {
        unsigned_width(repr)
            .ok_or_else(|| self.unknown(path, "integer type", repr, ["u8", "u16", "u32", "u64"]))
    }

    fn derive(
        &self,
        path: &[&str],
        record: &source::Record,
        derive: &source::Derive,
    ) -> Resolved<Derive> {
        let source::Derive { offset_of, size_of, count_of, filter, crc32, fnv1a } = derive;
        let own = path.last().and_then(|own| record.fields.iter().find(|f| f.name == **own));
        if own.is_none_or(|own| unsigned_width(&own.field_type).is_none()) {
            let message = "only a field of type u8, u16, u32 or u64 has a `derive`";
            return Err(self.fail(path, "derive", message.into()));
        }
        let given = [
            offset_of.is_some(),
            size_of.is_some(),
            count_of.is_some(),
            crc32.is_some(),
            fnv1a.is_some(),
        ];
        if given.into_iter().filter(|given| *given).count() != 1 {
            let message =
                "derive has exactly one key: offset_of, size_of, count_of, crc32 or fnv1a";
            return Err(self.fail(path, "derive", message.into()));
        }
        if filter.is_some() && count_of.is_none() {
            return Err(self.fail(path, "where", "`where` stands beside `count_of`".into()));
        }
        if let Some(region) = offset_of {
            let index = self.region_index(path, region)?;
            return Ok(match self.own_payload(path, index) {
                true => Derive::PayloadOffset(index),
                false => Derive::OffsetOf(index),
            });
        }
        if let Some(region) = size_of {
            let whole = region == "file" && !self.document.regions.iter().any(|r| r.name == "file");
            if whole {
                return Ok(Derive::SizeOfFile);
            }
            let index = self.region_index(path, region)?;
            return Ok(match self.own_payload(path, index) {
                true => Derive::PayloadSize(index),
                false => Derive::SizeOf(index),
            });
        }
        if let Some(name) = count_of {
            return self.derived_count(path, record, name);
        }
        if let Some(hash) = fnv1a {
            let name = self.sibling(path, record, &hash.name)?;
            let refers = record.fields[name].refers.as_ref();
            if refers.is_none_or(|refers| refers.string.is_none()) {
                let message = format!("`{}` is hashed, but does not refer to a string", hash.name);
                return Err(self.fail(path, &hash.name, message));
            }
            return Ok(Derive::Fnv1a(name));
        }
        self.checksum(path, crc32.as_ref())
    }

    /// Whether the record that `path` leads to places one payload of the region, each of its elements its own.
    fn own_payload(&self, path: &[&str], region: usize) -> bool {
        let table = self.document.regions[region].payloads.as_ref().map(|p| &p.table);
        let table = table.and_then(|t| self.document.regions.iter().find(|r| r.name == *t));
        table.and_then(|table| table.array.as_deref()) == path.get(1).copied()
    }

    fn derived_count(
        &self,
        path: &[&str],
        record: &source::Record,
        name: &str,
    ) -> Resolved<Derive> {
        if let Some(field) = record.fields.iter().position(|field| field.name == *name) {
            return Ok(Derive::CountOfField(field));
        }
        let region = self.region_index(path, name)?;
        let counted = &self.document.regions[region];
        if counted.array.is_none() && counted.strings.is_none() {
            let message = format!("region `{name}` has no elements to count");
            return Err(self.fail(path, name, message));
        }
        Ok(Derive::CountOfRegion(region, Condition::default()))
    }

    fn checksum(&self, path: &[&str], crc: Option<&source::Checksum>) -> Resolved<Derive> {
        let Some(crc) = crc else {
            return Err(self.fail(path, "derive", "derive says nothing".into()));
        };
        let (from, to) = (self.region_index(path, &crc.from)?, self.region_index(path, &crc.to)?);
        if from > to {
            let message = format!("`{}` stands after `{}`: nothing is covered", crc.from, crc.to);
            return Err(self.fail(path, &crc.from, message));
        }
        Ok(Derive::Crc32 { from, to, reads: crc.checksum_reads })
    }

    fn refers(&self, path: &[&str], refers: &source::Refers) -> Resolved<Refers> {
        let region = |name: &String, fits: fn(&source::Region) -> bool, what: &str| {
            let index = self.region_index(path, name)?;
            if fits(&self.document.regions[index]) {
                return Ok(index);
            }
            Err(self.fail(path, name, format!("region `{name}` {what}")))
        };
        match (&refers.string, &refers.offset, &refers.index) {
            (Some(name), None, None) => {
                Ok(Refers::String(region(name, |r| r.strings.is_some(), "holds no strings")?))
            }
            (None, Some(name), None) => Ok(Refers::Offset(region(name, |_| true, "")?)),
            (None, None, Some(name)) => {
                let has_elements = |r: &source::Region| r.array.is_some() || r.strings.is_some();
                Ok(Refers::Index(region(name, has_elements, "has no elements to index")?))
            }
            _ => {
                let message = "refers has exactly one key: string, offset or index";
                Err(self.fail(path, "refers", message.into()))
            }
        }
    }

    pub(super) fn resolve_enums(&self) -> Resolved<Vec<Enum>> {
        self.document.enums.iter().map(|(name, e)| self.enumeration(name, e)).collect()
    }

    fn enumeration(&self, name: &str, e: &source::Enum) -> Resolved<Enum> {
        let width = self.repr(&["enums", name], &e.repr)?;
        let attributes: Vec<String> = e
            .values
            .values()
            .next()
            .map(|value| value.attributes.keys().cloned().collect())
            .unwrap_or_default();
        let mut values: Vec<EnumValue> = Vec::new();
        for (value_name, value) in &e.values {
            let path = ["enums", name, value_name.as_str()];
            if value.attributes.len() != attributes.len()
                || attributes.iter().any(|a| !value.attributes.contains_key(a))
            {
                let message = format!(
                    "every value of {name} has the same attributes: {}",
                    attributes.join(", ")
                );
                return Err(self.fail(&path, value_name, message));
            }
            if let Some(other) = values.iter().find(|other| other.code == value.code) {
                let message = format!("{name}.{value_name} has the code of {name}.{}", other.name);
                return Err(self.fail(&path, value_name, message));
            }
            let resolved = attributes
                .iter()
                .map(|a| self.attribute(&path, &value.attributes[a]))
                .collect::<Resolved<_>>()?;
            values.push(EnumValue {
                name: value_name.clone(),
                code: value.code,
                doc: value.doc.clone(),
                attributes: resolved,
            });
        }
        Ok(Enum { name: name.to_owned(), width, attributes, values })
    }

    fn attribute(&self, path: &[&str], number: &Number) -> Resolved<Attribute> {
        match number {
            Number::Path(text) if !text.contains('.') => match hex_bytes(text) {
                Some(bytes) => Ok(Attribute::Bytes(bytes)),
                None => Err(self.fail(
                    path,
                    text,
                    format!("`{text}` is neither a number, a path nor hexadecimal bytes"),
                )),
            },
            number => {
                let operand = self.operand(path, number, None)?;
                self.looks_up(path, number, &operand)?;
                Ok(Attribute::Number(operand))
            }
        }
    }

    /// An attribute may be another enum's, as long as following them comes to an end.
    fn looks_up(&self, path: &[&str], number: &Number, operand: &Operand) -> Resolved<()> {
        let Operand::Attribute { field: FieldRef::Region { region, path: steps }, .. } = operand
        else {
            return Ok(());
        };
        let own = path.get(1).and_then(|name| self.document.enums.get_index_of(*name));
        let target = Target { region: *region, path: steps.clone() };
        let meaning = self.leaf(path, "", &target)?.field_type.scalar().map(|s| s.meaning);
        if let (Some(Meaning::Enum(other)), Some(own), Number::Path(text)) = (meaning, own, number)
            && other >= own
        {
            let message =
                format!("`{text}`: attributes may only be those of an enum listed before");
            return Err(self.fail(path, text, message));
        }
        Ok(())
    }

    pub(super) fn resolve_flags(&self) -> Resolved<Vec<FlagSet>> {
        let sets = self.document.flags.iter().map(|(name, set)| {
            let path = ["flags", name.as_str()];
            let width = self.repr(&path, &set.repr)?;
            if let Some((bit, number)) =
                set.bits.iter().find(|(_, number)| **number >= u32::from(width) * 8)
            {
                return Err(self.fail(
                    &path,
                    bit,
                    format!("bit {number} of {name} is outside its {}", set.repr),
                ));
            }
            let bits = set.bits.iter().map(|(bit, number)| (bit.clone(), *number)).collect();
            Ok(FlagSet { name: name.clone(), width, bits })
        });
        sets.collect()
    }

    pub(super) fn resolve_opcodes(&self) -> Resolved<Vec<OpcodeTable>> {
        self.document.opcodes.iter().map(|(name, table)| self.opcode_table(name, table)).collect()
    }

    fn opcode_table(&self, name: &str, table: &source::OpcodeTable) -> Resolved<OpcodeTable> {
        let path = ["opcodes", name];
        let operands =
            |path: &[&str], operands: &[source::Operand]| -> Resolved<Vec<(String, Scalar)>> {
                operands
                    .iter()
                    .map(|o| Ok((o.name.clone(), self.scalar(path, &o.operand_type)?)))
                    .collect()
            };
        let before = operands(&path, &table.before)?;
        let mut instructions = Vec::new();
        for (mnemonic, instruction) in &table.instructions {
            let path = ["opcodes", name, mnemonic.as_str()];
            let when = instruction.when.iter().map(|(field, value)| {
                let position = before.iter().position(|(name, _)| name == field);
                position.map(|position| (position, *value)).ok_or_else(|| {
                    self.unknown(
                        &path,
                        "field",
                        field,
                        before.iter().map(|(name, _)| name.as_str()),
                    )
                })
            });
            instructions.push(Instruction {
                mnemonic: mnemonic.clone(),
                code: instruction.code,
                when: when.collect::<Resolved<_>>()?,
                operands: operands(&path, &instruction.operands)?,
                role: instruction.role.clone(),
            });
        }
        Ok(OpcodeTable {
            name: name.to_owned(),
            before,
            width: self.repr(&path, &table.repr)?,
            instructions,
        })
    }
}
