//! Conditions, images, linking and relocations with every name looked up.

use super::FieldRef;
use crate::formula::Formula;

/// The size of the pages that an image's sections are laid out for, in bytes: where permissions change, the next
/// section starts at a multiple of it. A fact of the formats, whatever the machine that runs this.
pub const IMAGE_PAGE: u64 = 4096;

/// Which elements: those of which all tests of one alternative hold. Without alternatives: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The alternatives.
    pub alternatives: Vec<Vec<(FieldRef, Test)>>,
}

impl Condition {
    /// Whether it holds of everything.
    #[must_use]
    pub fn is_always(&self) -> bool {
        self.alternatives.is_empty()
    }

    /// Every field that it looks at.
    pub fn fields(&self) -> impl Iterator<Item = &FieldRef> {
        self.alternatives.iter().flatten().map(|(field, _)| field)
    }
}

/// What a field's value must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// One of these codes.
    In(Vec<u64>),
    /// None of these codes.
    NotIn(Vec<u64>),
    /// In this range, ends included.
    Range(u64, u64),
    /// These bits set and those clear.
    Bits {
        /// Bits that are set.
        set: u64,
        /// Bits that are clear.
        clear: u64,
    },
}

impl Test {
    /// Whether `value` passes.
    #[must_use]
    pub fn passes(&self, value: u64) -> bool {
        match self {
            Self::In(codes) => codes.contains(&value),
            Self::NotIn(codes) => !codes.contains(&value),
            Self::Range(min, max) => (*min..=*max).contains(&value),
            Self::Bits { set, clear } => value & set == *set && value & clear == 0,
        }
    }
}

/// Stretches of bytes that the elements of a table place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payloads {
    /// The region that is the table.
    pub table: usize,
    /// Way to the field with the file offset, from an element.
    pub offset: Vec<usize>,
    /// Way to the field with the length in bytes.
    pub size: Vec<usize>,
    /// Which elements have bytes.
    pub filter: Condition,
}

/// What gets mapped.
#[derive(Clone, Debug)]
pub struct Image {
    /// Name.
    pub name: String,
    /// Where its bytes come from.
    pub source: ImageSource,
    /// `r`, `rw` or `rx`.
    pub permissions: String,
}

/// Where an image's bytes come from.
#[derive(Clone, Debug)]
pub enum ImageSource {
    /// A region as it stands.
    Region(usize),
    /// Sections of a table.
    Sections(Sections),
}

/// The sections that make up an image, in table order.
#[derive(Clone, Debug)]
pub struct Sections {
    /// The region that is the table.
    pub table: usize,
    /// Which of its elements.
    pub filter: Condition,
    /// The payloads region with their bytes.
    pub contents: usize,
    /// Way to the field with the size in memory; `None`: the size in the file.
    pub virtual_size: Option<Vec<usize>>,
    /// Way to the field with the alignment; `None`: 1.
    pub align: Option<Vec<usize>>,
    /// Permissions of some elements instead of the image's.
    pub exceptions: Vec<(Condition, String)>,
}

/// How addresses are made.
#[derive(Clone, Debug)]
pub struct Linking {
    /// The symbols.
    pub symbols: LinkedSymbols,
    /// The relocations.
    pub relocations: LinkedRelocations,
}

/// What the records of the symbol table mean. Paths start at an element.
#[derive(Clone, Debug)]
pub struct LinkedSymbols {
    /// The array region.
    pub table: usize,
    /// Way to the field that refers to the name.
    pub name: Vec<usize>,
    /// The strings region that it refers to.
    pub names: usize,
    /// Way to the offset in the image.
    pub value: Vec<usize>,
    /// Which symbols the module defines.
    pub defined: Condition,
    /// Which undefined imports are 0; `None`: none.
    pub weak: Option<Condition>,
    /// Which defined symbols others see.
    pub exported: Condition,
    /// Position in `Format::images` → which symbols lie there.
    pub images: Vec<(usize, Condition)>,
}

/// What the records of the relocation table mean. Paths start at an element.
#[derive(Clone, Debug)]
pub struct LinkedRelocations {
    /// The array region.
    pub table: usize,
    /// The image that is patched.
    pub image: usize,
    /// Way to the offset of the place in the image.
    pub place: Vec<usize>,
    /// Way to the index of the symbol.
    pub symbol: Vec<usize>,
    /// Way to the code of the kind.
    pub kind: Vec<usize>,
    /// Way to the addend.
    pub addend: Vec<usize>,
}

/// One kind of relocation.
#[derive(Clone, Debug)]
pub struct Relocation {
    /// Name.
    pub name: String,
    /// Code in the relocation table.
    pub code: Option<u64>,
    /// Where the result goes.
    pub place: String,
    /// Bytes written; `None`: a pointer of the architecture.
    pub width: Option<u8>,
    /// The value.
    pub calc: Formula,
    /// The range that the value must fit.
    pub fits: Option<String>,
    /// The place may lead to code that jumps to S.
    pub stub: bool,
    /// A loader may refuse it as unsupported.
    pub optional: bool,
    /// Architectures; empty: all.
    pub architectures: Vec<String>,
    /// Clause.
    pub clause: Option<String>,
}
