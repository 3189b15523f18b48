//! A spec as it is written: the YAML document, typed, before any name in it is looked up.
//!
//! These types are also the source of the JSON Schema for editors ([`crate::schema`]): their doc
//! comments are what an editor shows. What they mean to a decoder is settled in [`crate::format`].

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

mod choices;
mod conditions;
mod layout;
mod linking;
mod opcodes;
mod rules;
mod types;

pub use choices::{Choice, Reading, Variant};
pub use conditions::{Test, TestKeys, Where};
pub use layout::{
    Count, Extent, Image, ImageSections, Inside, Payloads, Region, Relocation, Stream, Strings,
    Trailer, Width,
};
pub use linking::{LinkedRelocations, LinkedSymbols, Linking};
pub use opcodes::{Instruction, OpcodeTable, Operand};
pub use rules::{Check, Fill, Level, Protection, Rule, Stage};
pub use types::{
    Checksum, ChecksumReads, Derive, Enum, EnumValue, Field, FlagSet, Fnv1a, Number, Record, Refers,
};

/// A spec document.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What the format is called and where it is described.
    pub format: FormatHeader,
    /// The sentences of the source document that rules stand on.
    #[serde(default)]
    pub clauses: Vec<Clause>,
    /// Closed sets of codes.
    #[serde(default)]
    pub enums: IndexMap<String, Enum>,
    /// Sets of bits.
    #[serde(default)]
    pub flags: IndexMap<String, FlagSet>,
    /// Sequences of fields.
    pub records: IndexMap<String, Record>,
    /// Tables of instructions, for formats whose code is bytecode.
    #[serde(default)]
    pub opcodes: IndexMap<String, OpcodeTable>,
    /// Where records, arrays, strings and bytes lie, in file order.
    pub regions: Vec<Region>,
    /// What gets mapped, and how.
    #[serde(default)]
    pub images: IndexMap<String, Image>,
    /// Which records are symbols and relocations.
    #[serde(default)]
    pub linking: Option<Linking>,
    /// How addresses are patched into an image.
    #[serde(default)]
    pub relocations: IndexMap<String, Relocation>,
    /// What may be wrong with a file. The order is the order of reporting within a stage.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Where the document is silent or contradicts itself: the possible readings.
    #[serde(default)]
    pub choices: IndexMap<String, Choice>,
    /// Dialects, each as a difference from this document.
    #[serde(default)]
    pub variants: IndexMap<String, Variant>,
}

/// What the format is called and where it is described.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatHeader {
    /// Short lower-case name, the first part of every vector's id.
    pub id: String,
    /// Full name.
    pub title: String,
    /// Version that this spec describes.
    pub version: String,
    /// Byte order of every integer.
    pub endian: Endian,
    /// File name extensions, without the dot.
    #[serde(default)]
    pub extensions: Vec<String>,
    /// The document that the clauses quote.
    #[serde(default)]
    pub source: String,
}

/// Byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// One sentence of the source document.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// Name by which rules, fields and regions refer to it.
    pub id: String,
    /// Heading under which it stands.
    #[serde(default)]
    pub section: String,
    /// The words of the document.
    pub quote: String,
    /// Why no file can break it, for a clause that no rule covers.
    #[serde(default)]
    pub untestable: Option<String>,
}

/// Differences from the document: path → new value (`null` removes). Path segments are keys, or the `id`
/// or `name` of a list element: `rules.SCP-HEADER-MAGIC.value`. A last segment with a `+` puts the elements of a
/// list after the element of that name, or at the end of that list: `records.Header.fields.flags+`.
pub type Patch = BTreeMap<String, serde_json::Value>;
