//! A format: a spec with every name looked up, ready for a decoder.
//!
//! Names have become indices into the lists of [`Format`]; paths have become [`Target`]s (what a rule
//! looks at, once per element) and [`Operand`]s (a number from somewhere else in the file).

mod linking;
mod rules;

pub use crate::source::{Checksum, ChecksumReads, Clause, Endian, Fill, Level, Protection, Stage};
pub use linking::{
    Condition, IMAGE_PAGE, Image, ImageSource, LinkedRelocations, LinkedSymbols, Linking, Payloads,
    Relocation, Sections, Test,
};
pub use rules::{Check, Constant, Rule};

/// A resolved format under one set of readings.
#[derive(Clone, Debug)]
pub struct Format {
    /// Short name.
    pub id: String,
    /// Full name.
    pub title: String,
    /// Version that the spec describes.
    pub version: String,
    /// Byte order of every integer.
    pub endian: Endian,
    /// File name extensions without the dot.
    pub extensions: Vec<String>,
    /// The document that the clauses quote.
    pub source: String,
    /// Sentences of the document.
    pub clauses: Vec<Clause>,
    /// Enums.
    pub enums: Vec<Enum>,
    /// Flag sets.
    pub flags: Vec<FlagSet>,
    /// Records.
    pub records: Vec<Record>,
    /// Opcode tables.
    pub opcodes: Vec<OpcodeTable>,
    /// Regions in file order.
    pub regions: Vec<Region>,
    /// Images.
    pub images: Vec<Image>,
    /// Which records are symbols and relocations.
    pub linking: Option<Linking>,
    /// Relocations.
    pub relocations: Vec<Relocation>,
    /// All rules, the inactive ones too: positions in this list are stable across readings.
    pub rules: Vec<Rule>,
}

impl Format {
    /// The region of that name.
    #[must_use]
    pub fn region(&self, name: &str) -> Option<usize> {
        self.regions.iter().position(|region| region.name == name)
    }

    /// The rule of that id.
    #[must_use]
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// The clause of that id.
    #[must_use]
    pub fn clause(&self, id: &str) -> Option<&Clause> {
        self.clauses.iter().find(|clause| clause.id == id)
    }

    /// The fields that a target's path runs through, outermost first.
    #[must_use]
    pub fn fields_of(&self, target: &Target) -> Vec<&Field> {
        let mut record = self.regions.get(target.region).and_then(Region::record);
        let mut fields = Vec::new();
        for &index in &target.path {
            let Some(field) =
                record.and_then(|r| self.records.get(r)).and_then(|r| r.fields.get(index))
            else {
                break;
            };
            fields.push(field);
            record = field.field_type.record();
        }
        fields
    }

    /// The last field of a target's path; `None` when the target is the region's elements themselves.
    #[must_use]
    pub fn leaf(&self, target: &Target) -> Option<&Field> {
        self.fields_of(target).last().copied()
    }

    /// The field that a reference leads to.
    #[must_use]
    pub fn field_of(&self, field: &FieldRef) -> Option<&Field> {
        match field {
            FieldRef::Region { region, path } => {
                self.leaf(&Target { region: *region, path: path.clone() })
            }
            FieldRef::Enclosing { record, field, inner, .. } => {
                let first = self.records.get(*record)?.fields.get(*field)?;
                inner.iter().try_fold(first, |outer, step| {
                    self.records.get(outer.field_type.record()?)?.fields.get(*step)
                })
            }
        }
    }

    /// The target's path in words: `types.fields.type_code`.
    #[must_use]
    pub fn path_of(&self, target: &Target) -> String {
        let region = self.regions.get(target.region).map_or("?", |region| region.name.as_str());
        self.fields_of(target)
            .iter()
            .fold(region.to_owned(), |path, field| format!("{path}.{}", field.name))
    }
}

/// A closed set of codes.
#[derive(Clone, Debug)]
pub struct Enum {
    /// Name.
    pub name: String,
    /// Width of the code in bytes.
    pub width: u8,
    /// Names of the attributes that every value has.
    pub attributes: Vec<String>,
    /// The values.
    pub values: Vec<EnumValue>,
}

impl Enum {
    /// The value with that code.
    #[must_use]
    pub fn value(&self, code: u64) -> Option<&EnumValue> {
        self.values.iter().find(|value| value.code == code)
    }
}

/// One value of an enum.
#[derive(Clone, Debug)]
pub struct EnumValue {
    /// Name.
    pub name: String,
    /// Code in the file.
    pub code: u64,
    /// What it means.
    pub doc: String,
    /// Attributes, in the order of [`Enum::attributes`].
    pub attributes: Vec<Attribute>,
}

/// An attribute of an enum value.
#[derive(Clone, Debug)]
pub enum Attribute {
    /// A number.
    Number(Operand),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A set of bits.
#[derive(Clone, Debug)]
pub struct FlagSet {
    /// Name.
    pub name: String,
    /// Width in bytes.
    pub width: u8,
    /// Bits by name.
    pub bits: Vec<(String, u32)>,
}

impl FlagSet {
    /// The defined bits.
    #[must_use]
    pub fn mask(&self) -> u64 {
        self.bits.iter().fold(0, |mask, (_, bit)| mask | 1_u64.checked_shl(*bit).unwrap_or(0))
    }
}

/// A sequence of fields.
#[derive(Clone, Debug)]
pub struct Record {
    /// Name.
    pub name: String,
    /// What it is for.
    pub doc: String,
    /// Fields in file order.
    pub fields: Vec<Field>,
    /// Clause.
    pub clause: Option<String>,
}

/// A field of a record.
#[derive(Clone, Debug)]
pub struct Field {
    /// Name.
    pub name: String,
    /// Type.
    pub field_type: FieldType,
    /// Unit.
    pub unit: Option<String>,
    /// What it means.
    pub doc: String,
    /// Clause.
    pub clause: Option<String>,
    /// How it follows from the rest of the file.
    pub derive: Option<Derive>,
    /// What it points to.
    pub refers: Option<Refers>,
    /// Why every value is right.
    pub unconstrained: Option<String>,
}

/// Type of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// An integer.
    Scalar(Scalar),
    /// That many raw bytes.
    Bytes(u64),
    /// That many bytes that mean nothing.
    Pad(u64),
    /// A record in place.
    Record(usize),
    /// Consecutive elements.
    Array {
        /// Type of each.
        element: Element,
        /// How many.
        count: ArrayCount,
    },
}

impl FieldType {
    /// The record that a path goes on through.
    #[must_use]
    pub fn record(&self) -> Option<usize> {
        match self {
            Self::Record(record) | Self::Array { element: Element::Record(record), .. } => {
                Some(*record)
            }
            _ => None,
        }
    }

    /// The scalar that the field, or each of its elements, is.
    #[must_use]
    pub fn scalar(&self) -> Option<Scalar> {
        match self {
            Self::Scalar(scalar) | Self::Array { element: Element::Scalar(scalar), .. } => {
                Some(*scalar)
            }
            _ => None,
        }
    }
}

/// An integer of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Width in bytes: 1, 2, 4 or 8.
    pub width: u8,
    /// Whether it is two's complement.
    pub signed: bool,
    /// What its values mean.
    pub meaning: Meaning,
}

impl Scalar {
    /// The largest unsigned value of its width.
    #[must_use]
    pub fn max(self) -> u64 {
        match self.width {
            1 => 0xff,
            2 => 0xffff,
            4 => 0xffff_ffff,
            _ => u64::MAX,
        }
    }
}

/// What an integer's values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A number.
    Number,
    /// A code of an enum.
    Enum(usize),
    /// A set of bits.
    Flags(usize),
}

/// Type of an array's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// An integer.
    Scalar(Scalar),
    /// A record.
    Record(usize),
}

/// Length of an array field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrayCount {
    /// Always that many.
    Fixed(u64),
    /// As an earlier field of the same record says.
    Field(usize),
}

/// How a value follows from the rest of the file.
#[derive(Clone, Debug)]
pub enum Derive {
    /// File offset of a region.
    OffsetOf(usize),
    /// Length of a region in bytes.
    SizeOf(usize),
    /// Length of the file in bytes.
    SizeOfFile,
    /// File offset of the record's own stretch in that payloads region.
    PayloadOffset(usize),
    /// Length in bytes of the record's own stretch in that payloads region.
    PayloadSize(usize),
    /// Number of elements of a region of which a condition holds.
    CountOfRegion(usize, Condition),
    /// Number of elements of an array field of the same record.
    CountOfField(usize),
    /// CRC-32/ISO-HDLC over the regions `from` to `to`.
    Crc32 {
        /// First region.
        from: usize,
        /// Last region.
        to: usize,
        /// How the field itself is read.
        reads: ChecksumReads,
    },
    /// FNV-1a of the string that that field of the same record refers to.
    Fnv1a(usize),
}

/// What a number points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refers {
    /// Offset of a string in that region.
    String(usize),
    /// Offset of a byte in that region.
    Offset(usize),
    /// Index of an element of that region.
    Index(usize),
}

/// A stretch of the file.
#[derive(Clone, Debug)]
pub struct Region {
    /// Name.
    pub name: String,
    /// What it is for.
    pub doc: String,
    /// What it holds.
    pub content: Content,
    /// File offset; `None`: right after the region before.
    pub at: Option<Operand>,
    /// It starts at the next multiple of this many bytes.
    pub align: u64,
    /// Where it lies instead if the end of the file says so.
    pub trailer: Option<Trailer>,
    /// File offset that it must not reach past.
    pub limit: Option<Operand>,
    /// Code that returns at once.
    pub stub: Option<Stub>,
    /// Clause.
    pub clause: Option<String>,
}

impl Region {
    /// The record that the region is, or that its elements are.
    #[must_use]
    pub fn record(&self) -> Option<usize> {
        match &self.content {
            Content::Record(record)
            | Content::Array { record, .. }
            | Content::Inside { record, .. } => Some(*record),
            _ => None,
        }
    }

    /// How many elements it has, for regions that have elements.
    #[must_use]
    pub fn count(&self) -> Option<&Count> {
        match &self.content {
            Content::Array { count, .. } | Content::Strings { count, .. } => Some(count),
            _ => None,
        }
    }
}

/// A place so many bytes before the end of the file, if the bytes there begin like this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Bytes before the end of the file.
    pub size: u64,
    /// What the bytes there begin with.
    pub starts_with: Vec<u8>,
}

/// Code that returns at once.
#[derive(Clone, Debug)]
pub enum Stub {
    /// These bytes.
    Bytes(Vec<u8>),
    /// As an attribute of an enum field of a record region says.
    Attribute {
        /// The field.
        field: FieldRef,
        /// Position in [`Enum::attributes`].
        attribute: usize,
    },
}

/// What a region holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// One record.
    Record(usize),
    /// Consecutive records.
    Array {
        /// Their type.
        record: usize,
        /// How many.
        count: Count,
    },
    /// NUL-terminated strings.
    Strings {
        /// How many.
        count: Count,
        /// Whether offsets into it count from its prefix instead of its content.
        from_prefix: bool,
    },
    /// Raw bytes.
    Bytes(Extent),
    /// Instructions.
    Stream {
        /// The opcode table.
        opcodes: usize,
        /// How far it reaches.
        extent: Extent,
    },
    /// A stretch of bytes for each element of a table.
    Payloads(Payloads),
    /// A list of records for each payload of which the condition holds.
    Inside {
        /// Their type.
        record: usize,
        /// The payloads region.
        payloads: usize,
        /// Which of its table's elements hold records.
        filter: Condition,
    },
}

/// How many elements a region has.
#[derive(Clone, Debug)]
pub struct Count {
    /// Where the number is.
    pub source: CountSource,
    /// Whether it counts bytes instead of elements.
    pub bytes: bool,
}

impl Count {
    /// The number outside the region that it is.
    #[must_use]
    pub fn operand(&self) -> Option<&Operand> {
        if let CountSource::Operand(operand) = &self.source { Some(operand) } else { None }
    }
}

/// Where the number of elements is.
#[derive(Clone, Debug)]
pub enum CountSource {
    /// In an integer of that width right before them.
    Prefix(u8),
    /// Somewhere else.
    Operand(Operand),
    /// As many as fit before the limit.
    Rest,
}

/// How far bytes reach.
#[derive(Clone, Debug)]
pub enum Extent {
    /// That many.
    Size(Operand),
    /// To that file offset.
    Until(Operand),
    /// To the limit or the end of the file.
    Rest,
}

impl Extent {
    /// The number that it follows from.
    #[must_use]
    pub fn operand(&self) -> Option<&Operand> {
        match self {
            Self::Size(operand) | Self::Until(operand) => Some(operand),
            Self::Rest => None,
        }
    }
}

/// A number from somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// The number itself.
    Literal(u64),
    /// Length of the file in bytes.
    FileSize,
    /// A field's value.
    Field(FieldRef),
    /// An attribute of the enum value that a field holds.
    Attribute {
        /// The field.
        field: FieldRef,
        /// Position in [`Enum::attributes`].
        attribute: usize,
    },
    /// Bytes of an image.
    ImageSize(usize),
}

/// A field of one particular record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldRef {
    /// Of a region that is one record.
    Region {
        /// The region.
        region: usize,
        /// Field positions, outermost first.
        path: Vec<usize>,
    },
    /// Of one of the records that enclose the element a rule looks at.
    Enclosing {
        /// Which: 0 is the region's element, 1 an element of an array field of it, and so on.
        depth: usize,
        /// The record type at that depth.
        record: usize,
        /// Field position.
        field: usize,
        /// Field positions inside that field, where it is a record.
        inner: Vec<usize>,
    },
}

/// What a rule looks at: that field of every element along the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The region.
    pub region: usize,
    /// Field positions, outermost first; empty: the region's elements.
    pub path: Vec<usize>,
}

/// An opcode table.
#[derive(Clone, Debug)]
pub struct OpcodeTable {
    /// Name.
    pub name: String,
    /// Integers before the opcode.
    pub before: Vec<(String, Scalar)>,
    /// Width of the opcode in bytes.
    pub width: u8,
    /// The instructions.
    pub instructions: Vec<Instruction>,
}

/// One instruction.
#[derive(Clone, Debug)]
pub struct Instruction {
    /// Mnemonic.
    pub mnemonic: String,
    /// Opcode.
    pub code: u64,
    /// Position in [`OpcodeTable::before`] → value that it must have.
    pub when: Vec<(usize, u64)>,
    /// Operands.
    pub operands: Vec<(String, Scalar)>,
    /// Role in the format's own words.
    pub role: Option<String>,
}
