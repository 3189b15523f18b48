//! Enums, flags, records and their fields.

use std::fmt;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::Where;

/// A closed set of codes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enum {
    /// Integer type of the code: u8, u16, u32 or u64.
    pub repr: String,
    /// The values by name.
    pub values: IndexMap<String, EnumValue>,
    /// What it is for.
    #[serde(default)]
    pub doc: String,
}

/// One value of an enum.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct EnumValue {
    /// The code in the file.
    pub code: u64,
    /// What it means.
    #[serde(default)]
    pub doc: String,
    /// Everything else is an attribute that paths can name (`header.architecture.pointer`): a number, a
    /// path to another number, or bytes as hexadecimal text.
    #[serde(flatten)]
    pub attributes: IndexMap<String, Number>,
}

/// A number, or a path to one. Paths start at a region (`header.code_blob_size`) or at the record that
/// they stand in (`type_code.size`); `file.size` is the length of the file in bytes.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum Number {
    /// The number itself.
    Literal(u64),
    /// A path, or hexadecimal bytes where bytes are wanted.
    Path(String),
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

/// By hand, since a derived one can only say that no variant matched.
struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number from 0 to 2^64 - 1, a path to one, or hexadecimal bytes in quotes")
    }

    fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
        Ok(Number::Literal(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Number, E> {
        let value = u64::try_from(value)
            .map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self))?;
        Ok(Number::Literal(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Number, E> {
        Ok(Number::Path(value.to_owned()))
    }
}

/// A set of bits.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagSet {
    /// Integer type: u8, u16, u32 or u64.
    pub repr: String,
    /// Bit number by name, counting from the least significant. Other bits are reserved.
    pub bits: IndexMap<String, u32>,
    /// What it is for.
    #[serde(default)]
    pub doc: String,
}

/// A sequence of fields without implied padding.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The fields in file order.
    pub fields: Vec<Field>,
    /// What it is for.
    #[serde(default)]
    pub doc: String,
    /// Id of the clause that describes it.
    #[serde(default)]
    pub clause: Option<String>,
}

/// A field of a record.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Name, unique in the record.
    pub name: String,
    /// u8…u64, i8…i64, `bytes[N]`, `pad[N]` (ignored on read, zero on write), an enum, a flag set, a record,
    /// or an array `T[N]` / `T[count_field]` of any of these but bytes and pad.
    #[serde(rename = "type")]
    pub field_type: String,
    /// Unit of the number, for documentation.
    #[serde(default)]
    pub unit: Option<String>,
    /// What it means.
    #[serde(default)]
    pub doc: String,
    /// Id of the clause that describes it.
    #[serde(default)]
    pub clause: Option<String>,
    /// How the encoder computes it.
    #[serde(default)]
    pub derive: Option<Derive>,
    /// What an offset or index in this field points to.
    #[serde(default)]
    pub refers: Option<Refers>,
    /// Why every value of the field is right, for a field that no rule looks at.
    #[serde(default)]
    pub unconstrained: Option<String>,
}

/// How a value follows from the rest of the file. Exactly one key, and `where` beside `count_of`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Derive {
    /// File offset of a region's first byte; in a record that places payloads, of its own payload's.
    pub offset_of: Option<String>,
    /// Length of a region in bytes, of a record's own payload, or of the whole file: `file`.
    pub size_of: Option<String>,
    /// Number of elements of a region, or of an array field of the same record.
    pub count_of: Option<String>,
    /// With `count_of` a region: which of its elements are counted.
    #[serde(rename = "where")]
    pub filter: Option<Where>,
    /// CRC-32/ISO-HDLC over consecutive regions.
    pub crc32: Option<Checksum>,
    /// 32-bit FNV-1a of the string that another field of the same record refers to.
    pub fnv1a: Option<Fnv1a>,
}

/// What a checksum covers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checksum {
    /// The region whose first byte is the first byte covered.
    pub from: String,
    /// The region whose last byte is the last byte covered.
    pub to: String,
    /// How the field itself is read while computing.
    pub checksum_reads: ChecksumReads,
}

/// How a checksum field that lies inside its own range is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChecksumReads {
    /// As zero bytes.
    Zero,
    /// Its bytes are left out.
    Nothing,
}

/// What a name hash covers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fnv1a {
    /// A field of the same record that refers to a string.
    pub name: String,
}

/// What a number points to. Exactly one key.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refers {
    /// Offset of a NUL-terminated string inside a strings region.
    pub string: Option<String>,
    /// Offset of a byte inside a region.
    pub offset: Option<String>,
    /// Index of an element of a region.
    pub index: Option<String>,
}
