//! A decoded file: the values of all fields, each with its byte span.

use blobspec::format::Content;

use crate::limits::MAX_PAYLOAD_COPIES;

/// A stretch of the file in bytes. 32-bit, see [`crate::limits::MAX_FILE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end) }
    }

    /// Absolute offset of the first byte.
    #[must_use]
    pub fn offset(self) -> u64 {
        u64::from(self.start)
    }

    /// As a range for slicing.
    #[must_use]
    pub fn range(self) -> std::ops::Range<usize> {
        let wide = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        wide(self.start)..wide(self.end)
    }

    /// The bytes of `file` that it covers.
    #[must_use]
    pub fn of(self, file: &[u8]) -> &[u8] {
        file.get(self.range()).unwrap_or_default()
    }
}

/// A value with its place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it is.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// A decoded value. Bytes and strings are not copied: the span says where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// An unsigned integer, a code or a set of bits.
    Uint(u64),
    /// A signed integer.
    Int(i64),
    /// Raw bytes; for a string the NUL is part of the span.
    Bytes,
    /// The fields of a record, in the order of the spec.
    Record(Vec<Node>),
    /// The elements of an array.
    List(Vec<Node>),
    /// Nothing: the element of the table has no bytes in the file, or its bytes are no records.
    Absent,
    /// An instruction: position in its opcode table, then the values of what stands before the opcode and of
    /// the operands.
    Instruction(usize, Vec<Node>),
}

impl Node {
    /// The integer that this is, as 64 bits.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        match self.value {
            Value::Uint(value) => Some(value),
            Value::Int(value) => Some(value.cast_unsigned()),
            _ => None,
        }
    }

    /// The value that a way of positions leads to.
    #[must_use]
    pub fn at(&self, path: &[usize]) -> Option<&Self> {
        path.iter().try_fold(self, |node, step| node.children().get(*step))
    }

    /// Fields of a record or elements of a list.
    #[must_use]
    pub fn children(&self) -> &[Self] {
        match &self.value {
            Value::Record(children) | Value::List(children) | Value::Instruction(_, children) => {
                children
            }
            _ => &[],
        }
    }
}

impl RegionNode {
    /// The stretches of the file that belong to it: one, or those of its payloads.
    pub fn stretches(&self, content: &Content) -> Vec<Span> {
        match content {
            Content::Payloads(_) => {
                let present = |node: &&Node| node.value != Value::Absent;
                self.node.children().iter().filter(present).map(|node| node.span).collect()
            }
            Content::Inside { .. } => Vec::new(),
            _ => vec![self.span],
        }
    }

    /// Whether copies of its stretches would be over [`MAX_PAYLOAD_COPIES`].
    pub(crate) fn is_copied_too_often(&self, content: &Content, file: &[u8]) -> bool {
        let stretches = self.stretches(content).into_iter();
        let bytes = stretches.fold(0_usize, |sum, span| sum.saturating_add(span.range().len()));
        bytes > file.len().saturating_mul(MAX_PAYLOAD_COPIES)
    }
}

/// One decoded region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionNode {
    /// Where it lies, count prefix included; for payloads from the first to the last.
    pub span: Span,
    /// The count that stands before the elements.
    pub count: Option<Node>,
    /// The content.
    pub node: Node,
}

/// A decoded file: one entry for each region of the spec, until the first one that does not decode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// The regions in file order.
    pub regions: Vec<RegionNode>,
}
