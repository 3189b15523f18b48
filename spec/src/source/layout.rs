//! Regions of the file, images in memory, relocations between the two.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Number, Where};

/// A stretch of the file. Exactly one of `record`, `array`, `strings`, `bytes`, `stream` and `payloads`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Name, unique among regions.
    pub name: String,
    /// One record.
    #[serde(default)]
    pub record: Option<String>,
    /// Consecutive records of one kind.
    #[serde(default)]
    pub array: Option<String>,
    /// NUL-terminated strings.
    #[serde(default)]
    pub strings: Option<Strings>,
    /// Raw bytes.
    #[serde(default)]
    pub bytes: Option<Extent>,
    /// Instructions of an opcode table, to the end of the extent.
    #[serde(default)]
    pub stream: Option<Stream>,
    /// Stretches of bytes that the elements of a table place, one each.
    #[serde(default)]
    pub payloads: Option<Payloads>,
    /// For an array: the records lie in some payloads of an earlier region, one list each.
    #[serde(default)]
    pub inside: Option<Inside>,
    /// The region lies at the end of the file if the bytes there say so; otherwise where it would without this.
    #[serde(default)]
    pub trailer: Option<Trailer>,
    /// How many elements an array or strings region has.
    #[serde(default)]
    pub count: Option<Count>,
    /// File offset of the first byte; without it the region follows the one before.
    #[serde(default)]
    pub at: Option<Number>,
    /// The region starts at the next multiple of this many bytes after the one before. With `at` this is where
    /// an encoder puts it; without, a decoder skips to it as well. What is skipped is zero on write and
    /// ignored on read.
    #[serde(default)]
    pub align: Option<u64>,
    /// File offset that the region must not reach past.
    #[serde(default)]
    pub limit: Option<Number>,
    /// For code: bytes that return at once, so that generated files hold something callable.
    #[serde(default)]
    pub stub: Option<Number>,
    /// What it is for.
    #[serde(default)]
    pub doc: String,
    /// Id of the clause that describes it.
    #[serde(default)]
    pub clause: Option<String>,
}

/// How far raw bytes reach. At most one key; none means to the end of the file.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Extent {
    /// Length in bytes.
    pub size: Option<Number>,
    /// File offset of the first byte after them; nothing when that lies before the region.
    pub until: Option<Number>,
}

/// Stretches of bytes that the elements of a table place: the contents of sections, say. An encoder writes one
/// after the other, each at the next multiple of the region's `align`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Payloads {
    /// The array region whose elements place them.
    pub table: String,
    /// Field with the file offset.
    pub offset: String,
    /// Field with the number of bytes.
    pub size: String,
    /// Which elements have bytes in the file.
    #[serde(default, rename = "where")]
    pub filter: Where,
}

/// Records that lie in payloads: as many as fit in each.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inside {
    /// The payloads region.
    pub payloads: String,
    /// Which of its table's elements hold records.
    #[serde(default, rename = "where")]
    pub filter: Where,
}

/// A region that is found by what the file's last bytes begin with.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trailer {
    /// How far before the end of the file it starts, in bytes.
    pub size: u64,
    /// What its bytes begin with, in hexadecimal.
    pub starts_with: String,
}

/// A stream of instructions.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// Name of the opcode table.
    pub opcodes: String,
    /// How far it reaches.
    #[serde(default)]
    pub extent: Extent,
}

/// NUL-terminated UTF-8 strings.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Strings {
    /// From where offsets into the region count: `content` (the first byte after a count prefix, the
    /// default) or `count` (the prefix itself).
    pub base: Option<String>,
}

/// How many elements there are. Exactly one of `prefix` and `field`; none means as many as fit.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// Integer type of a count that stands right before the elements.
    pub prefix: Option<String>,
    /// Path to a field that holds the count.
    pub field: Option<Number>,
    /// What is counted: `elements` (the default) or `bytes`.
    pub unit: Option<String>,
}

/// What gets mapped. Exactly one of `region` and `sections`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// A region that is mapped as it stands.
    #[serde(default)]
    pub region: Option<String>,
    /// Elements of a section table that make up the image, in table order.
    #[serde(default)]
    pub sections: Option<ImageSections>,
    /// `r`, `rw` or `rx`.
    pub permissions: String,
    /// What it is for.
    #[serde(default)]
    pub doc: String,
}

/// Which elements of a section table make up an image.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageSections {
    /// The region that is the section table.
    pub table: String,
    /// Which of its elements belong to the image, by one field's enum values.
    #[serde(rename = "where")]
    pub filter: Where,
    /// The payloads region with the sections' bytes.
    pub contents: String,
    /// Field with the number of bytes in memory; the difference is zero.
    #[serde(default)]
    pub virtual_size: Option<String>,
    /// Field with the alignment in the image.
    #[serde(default)]
    pub align: Option<String>,
    /// Permissions that some of the enum values have instead of the image's. Where permissions change from one
    /// section to the next, the next starts on a page of its own.
    #[serde(default)]
    pub permissions: BTreeMap<String, String>,
}

/// One kind of relocation.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Relocation {
    /// Code in the relocation table; none for a relocation that is implied.
    #[serde(default)]
    pub code: Option<u64>,
    /// Where the result goes, for a relocation that is implied.
    #[serde(default)]
    pub place: String,
    /// Bytes that are written: 0, 1, 2, 4, 8 or `pointer`.
    pub width: Width,
    /// The value: a sum of S (symbol), A (addend), P (place), B (image base), G (GOT slot) and fields of the
    /// relocated record. Empty: nothing is written.
    #[serde(default)]
    pub calc: String,
    /// The range that the value must fit: i8…i64, u8…u64.
    #[serde(default)]
    pub fits: Option<String>,
    /// The place may lead to code that jumps to S instead.
    #[serde(default)]
    pub stub: bool,
    /// A loader may refuse it as unsupported.
    #[serde(default)]
    pub optional: bool,
    /// Architectures it exists on; empty: all.
    #[serde(default)]
    pub architectures: Vec<String>,
    /// Id of the clause that describes it.
    #[serde(default)]
    pub clause: Option<String>,
}

/// Width of a relocated place.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Width {
    /// Bytes.
    Bytes(u8),
    /// `pointer`: that of the architecture.
    Named(String),
}
