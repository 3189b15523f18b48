//! Enums, flag sets, records and opcode tables.

use super::{Resolved, Resolver, hex_bytes, unsigned_width};
use crate::format::{
    ArrayCount, Attribute, Derive, Element, Enum, EnumValue, Field, FieldType, FlagSet,
    Instruction, Meaning, OpcodeTable, Record, Refers, Scalar,
};
use crate::limits::MAX_FIXED_LENGTH;
use crate::source::{self, Number};

impl Resolver<'_> {
    pub(super) fn resolve_records(&self) -> Resolved<Vec<Record>> {
        self.document.records.iter().map(|(name, record)| self.record(name, record)).collect()
    }

    fn record(&self, name: &str, record: &source::Record) -> Resolved<Record> {
        self.clause_exists(&["records", name], record.clause.as_deref())?;
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
        if fixed.is_some_and(|length| length > MAX_FIXED_LENGTH) {
            return Err(self.fail(
                path,
                text,
                format!("`{text}`: at most {MAX_FIXED_LENGTH} elements in a field"),
            ));
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
                    None => ArrayCount::Field(self.sibling(path, record, length)?),
                };
                Ok(FieldType::Array { element: self.element(path, base)?, count })
            }
        }
    }

    fn sibling(&self, path: &[&str], record: &source::Record, name: &str) -> Resolved<usize> {
        let names = || record.fields.iter().map(|field| field.name.as_str());
        names().position(|n| n == name).ok_or_else(|| self.unknown(path, "field", name, names()))
    }

    fn element(&self, path: &[&str], name: &str) -> Resolved<Element> {
        if let Some(index) = self.document.records.get_index_of(name) {
            let own = self.document.records.get_index_of(path.get(1).copied().unwrap_or_default());
            if own.is_some_and(|own| index == own) {
                return Err(self.fail(path, name, format!("record {name} contains itself")));
            }
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
        match derive {
            source::Derive {
                offset_of: Some(region),
                size_of: None,
                count_of: None,
                crc32: None,
                fnv1a: None,
            } => Ok(Derive::OffsetOf(self.region_index(path, region)?)),
            source::Derive {
                offset_of: None,
                size_of: Some(region),
                count_of: None,
                crc32: None,
                fnv1a: None,
            } => Ok(Derive::SizeOf(self.region_index(path, region)?)),
            source::Derive {
                offset_of: None,
                size_of: None,
                count_of: Some(name),
                crc32: None,
                fnv1a: None,
            } => match record.fields.iter().position(|field| field.name == *name) {
                Some(field) => Ok(Derive::CountOfField(field)),
                None => Ok(Derive::CountOfRegion(self.region_index(path, name)?)),
            },
            source::Derive {
                offset_of: None,
                size_of: None,
                count_of: None,
                crc32: Some(crc),
                fnv1a: None,
            } => {
                let (from, to) =
                    (self.region_index(path, &crc.from)?, self.region_index(path, &crc.to)?);
                Ok(Derive::Crc32 { from, to, reads: crc.checksum_reads })
            }
            source::Derive {
                offset_of: None,
                size_of: None,
                count_of: None,
                crc32: None,
                fnv1a: Some(hash),
            } => Ok(Derive::Fnv1a(self.sibling(path, record, &hash.name)?)),
            _ => Err(self.fail(
                path,
                "derive",
                "derive has exactly one key: offset_of, size_of, count_of, crc32 or fnv1a".into(),
            )),
        }
    }

    fn refers(&self, path: &[&str], refers: &source::Refers) -> Resolved<Refers> {
        match (&refers.string, &refers.offset, &refers.index) {
            (Some(region), None, None) => Ok(Refers::String(self.region_index(path, region)?)),
            (None, Some(region), None) => Ok(Refers::Offset(self.region_index(path, region)?)),
            (None, None, Some(region)) => Ok(Refers::Index(self.region_index(path, region)?)),
            _ => Err(self.fail(
                path,
                "refers",
                "refers has exactly one key: string, offset or index".into(),
            )),
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
            number => Ok(Attribute::Number(self.operand(path, number, None)?)),
        }
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
