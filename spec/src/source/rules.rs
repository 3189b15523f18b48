//! Rules: what may be wrong with a file.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Number, Where};

/// One thing that may be wrong with a file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Rule {
    /// Frozen id, never used again for something else.
    pub id: String,
    /// How far a loader gets with a file that breaks it.
    pub stage: Stage,
    /// Other stages that are right as well, where the document does not settle it.
    #[serde(default)]
    pub also: Vec<Stage>,
    /// Whether the document demands or recommends it.
    #[serde(default)]
    pub level: Level,
    /// A file that breaks it is not looked at any further. Rules of the stage `malformed` always are gates.
    #[serde(default)]
    pub gate: bool,
    /// `false`: only holds under a reading or a variant that turns it on.
    #[serde(default = "yes")]
    pub active: bool,
    /// Id of the clause that it stands on.
    pub clause: String,
    /// Id of the choice that settles a gap in that clause.
    #[serde(default)]
    pub choice: Option<String>,
    /// What goes wrong in a loader that does not check it.
    pub why: String,
    /// Which elements it looks at; none: all. For the kinds that look at a field or at elements.
    #[serde(default, rename = "where")]
    pub filter: Where,
    /// What is checked.
    #[serde(flatten)]
    pub check: Check,
}

fn yes() -> bool {
    true
}

/// How far a loader gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The bytes do not decode.
    Malformed,
    /// They decode but break a rule.
    Invalid,
    /// Valid, but not for this loader.
    Unsupported,
    /// An import, dependency or relocation cannot be resolved.
    Unresolvable,
    /// The system refused the mapping.
    Unmappable,
    /// Mapped: for rules about what can be seen then.
    Loaded,
}

impl Stage {
    /// The stage's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Invalid => "invalid",
            Self::Unsupported => "unsupported",
            Self::Unresolvable => "unresolvable",
            Self::Unmappable => "unmappable",
            Self::Loaded => "loaded",
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// How strongly the document says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Demanded.
    #[default]
    Must,
    /// Recommended.
    Should,
}

/// The closed set of rule kinds. Field paths start at a region and run through its elements:
/// `types.fields.type_code` is that field of every element of the array field `fields` of every type.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Check {
    /// The region fits before its limit and the end of the file.
    Bounds {
        /// The region.
        region: String,
    },
    /// The field has this value: a number, or bytes as hexadecimal text.
    Const {
        /// The field.
        field: String,
        /// Its value.
        value: Number,
    },
    /// The field lies in a range, ends included.
    Range {
        /// The field.
        field: String,
        /// Smallest value; none: no lower end.
        #[serde(default)]
        min: Option<Number>,
        /// Largest value; none: no upper end.
        #[serde(default)]
        max: Option<Number>,
    },
    /// The field's code is one of its enum's.
    InEnum {
        /// The field.
        field: String,
    },
    /// The field's code is none of these.
    Excludes {
        /// The field.
        field: String,
        /// Names of enum values.
        values: Vec<String>,
    },
    /// No undefined bit of the field's flag set is set.
    ReservedBits {
        /// The field.
        field: String,
    },
    /// None of these bits is set.
    ClearBits {
        /// The field.
        field: String,
        /// Names of bits.
        bits: Vec<String>,
    },
    /// The region's bytes are all zero, or there are none.
    Filled {
        /// The region.
        region: String,
        /// With what.
        with: Fill,
    },
    /// The file ends where the region ends.
    Ends {
        /// The region.
        region: String,
    },
    /// Every string of the region is UTF-8.
    Utf8 {
        /// The region.
        region: String,
    },
    /// The offset or index in the field is inside what the field refers to.
    Within {
        /// The field; it says what it `refers` to.
        field: String,
    },
    /// The offset in the field is that of the first byte of a string.
    EntryStart {
        /// The field; it `refers` to a string.
        field: String,
    },
    /// The field is a multiple.
    Align {
        /// The field.
        field: String,
        /// Of what; 0 and 1: anything goes.
        to: Number,
    },
    /// Where the field has one of these values, the region has at least one element.
    NeedsEntry {
        /// The field.
        field: String,
        /// Names of enum values.
        values: Vec<String>,
        /// The region.
        region: String,
    },
    /// No two elements have the same value; fields that refer to strings are compared by text.
    Unique {
        /// The field.
        field: String,
    },
    /// Where all fields of `when` have one of the named values, so have all of `then`.
    Implies {
        /// Field → names of enum values.
        when: IndexMap<String, Vec<String>>,
        /// Field → names of enum values.
        then: IndexMap<String, Vec<String>>,
    },
    /// `start + length ≤ size` for every element, in unbounded integers.
    Fits {
        /// The elements.
        each: String,
        /// Their start.
        start: Number,
        /// Their length.
        length: Number,
        /// A shorter length counts as this one.
        #[serde(default)]
        least: u64,
        /// What they must fit.
        size: Number,
    },
    /// The field is a power of two, or 0.
    PowerOfTwo {
        /// The field.
        field: String,
    },
    /// The string that the field refers to is at most so long.
    NameLength {
        /// The field; it `refers` to a string.
        field: String,
        /// Bytes without the NUL.
        max: u64,
    },
    /// The string that the field refers to is UTF-8.
    NameUtf8 {
        /// The field; it `refers` to a string.
        field: String,
    },
    /// The element that the field refers to is one of these.
    RefersTo {
        /// The field; it `refers` to an index.
        field: String,
        /// Tests of the element.
        is: Where,
    },
    /// The images together take at most so many bytes.
    ImageSize {
        /// The images.
        images: Vec<String>,
        /// In bytes.
        max: u64,
    },
    /// Seen when the file is loaded: the field names the system that loads it, or any.
    HostPlatform {
        /// The field; its enum's values are named like `linux`.
        field: String,
        /// Names of the values that every system loads.
        any: Vec<String>,
    },
    /// Seen when the file is loaded: the symbols of the relocations are defined somewhere.
    Resolved {
        /// The relocations.
        table: String,
    },
    /// Seen when the file is loaded: the values of the relocations fit.
    RelocationRange {
        /// The relocations.
        table: String,
    },
    /// No byte of the file belongs to two of these regions.
    Separate {
        /// The regions.
        regions: Vec<String>,
    },
    /// No two elements of one parent overlap.
    Disjoint {
        /// The elements.
        each: String,
        /// Their start.
        start: Number,
        /// Their length.
        length: Number,
    },
    /// The field has the value that its `derive` computes.
    Derived {
        /// The field.
        field: String,
    },
    /// Seen in memory while the file is loaded.
    Mapping {
        /// The image.
        image: String,
        /// What must not be seen.
        never: Protection,
    },
}

impl Check {
    /// The kind's name in YAML.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bounds { .. } => "bounds",
            Self::Const { .. } => "const",
            Self::Range { .. } => "range",
            Self::InEnum { .. } => "in-enum",
            Self::Excludes { .. } => "excludes",
            Self::ReservedBits { .. } => "reserved-bits",
            Self::ClearBits { .. } => "clear-bits",
            Self::Filled { .. } => "filled",
            Self::Ends { .. } => "ends",
            Self::Utf8 { .. } => "utf8",
            Self::Within { .. } => "within",
            Self::EntryStart { .. } => "entry-start",
            Self::Align { .. } => "align",
            Self::NeedsEntry { .. } => "needs-entry",
            Self::Unique { .. } => "unique",
            Self::Implies { .. } => "implies",
            Self::Fits { .. } => "fits",
            Self::PowerOfTwo { .. } => "power-of-two",
            Self::NameLength { .. } => "name-length",
            Self::NameUtf8 { .. } => "name-utf8",
            Self::RefersTo { .. } => "refers-to",
            Self::ImageSize { .. } => "image-size",
            Self::HostPlatform { .. } => "host-platform",
            Self::Resolved { .. } => "resolved",
            Self::RelocationRange { .. } => "relocation-range",
            Self::Separate { .. } => "separate",
            Self::Disjoint { .. } => "disjoint",
            Self::Derived { .. } => "derived",
            Self::Mapping { .. } => "mapping",
        }
    }
}

/// What fills a region that no field owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fill {
    /// Zero bytes.
    Zero,
    /// The region is empty.
    Nothing,
}

/// A protection that must not be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// Writable and executable at once.
    Wx,
    /// Bytes other than those that follow from the file.
    OtherBytes,
    /// Permissions other than the image's.
    OtherPermissions,
    /// Something that can be accessed right before or after it.
    Neighbours,
}
