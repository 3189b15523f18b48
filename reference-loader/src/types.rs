//! The types table (clause “Types Table (Custom Structures)”).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use std::iter::repeat_n;

use crate::cursor::{Cursor, wide};
use crate::rule::Rule;
use crate::table::{Entries, Entry};

/// The entries of the types table.
pub type Types<'a> = Entries<'a, Type<'a>>;

/// Bytes before the fields: id, name_offset, size, field_count.
const FIXED: [usize; 4] = [2, 4, 4, 1];
const FIXED_SIZE: usize = 11;

/// Bytes of one field: offset, type_code.
const FIELD: [usize; 2] = [4, 1];
const FIELD_SIZE: usize = 5;

/// One structure, each field of the entry as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type<'a> {
    /// Where the entry starts, in bytes from the start of the file.
    pub offset: u64,
    /// Unique among the types.
    pub id: u16,
    /// Where the name starts, in bytes from the first string.
    pub name_offset: u32,
    /// Size of the structure in bytes.
    pub size: u32,
    fields: &'a [[u8; FIELD_SIZE]],
}

/// One field of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Where it starts, in bytes from the start of the structure.
    pub offset: u32,
    /// Type code of its value.
    pub type_code: u8,
}

impl<'a> Type<'a> {
    /// The fields of the structure; their number is the entry's `field_count`.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field> + use<'a> {
        self.fields.iter().map(|[a, b, c, d, type_code]| Field {
            offset: u32::from_le_bytes([*a, *b, *c, *d]),
            type_code: *type_code,
        })
    }

    /// Position of `id` in the file.
    pub(crate) fn id_at(&self) -> u64 {
        self.offset
    }

    /// Position of `name_offset` in the file.
    pub(crate) fn name_at(&self) -> u64 {
        self.offset.saturating_add(2)
    }

    /// Position of the `offset` of field `index` in the file.
    pub(crate) fn field_at(&self, index: usize) -> u64 {
        let before = wide(FIELD_SIZE).saturating_mul(wide(index));
        self.offset.saturating_add(wide(FIXED_SIZE)).saturating_add(before)
    }

    /// Position of the `type_code` of field `index` in the file.
    pub(crate) fn field_code_at(&self, index: usize) -> u64 {
        self.field_at(index).saturating_add(4)
    }
}

impl<'a> Entry<'a> for Type<'a> {
    const BOUNDS: Rule = Rule::TypeTableBounds;

    #[inline]
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let offset = cursor.offset();
        let fixed = cursor.array::<FIXED_SIZE>()?;
        let mut members = Cursor::new(&fixed);
        let (id, name_offset, size) = (members.u16()?, members.u32()?, members.u32()?);
        let length = usize::from(members.u8()?).checked_mul(FIELD_SIZE)?;
        let (fields, _) = cursor.bytes(length)?.as_chunks();
        Some(Self { offset, id, name_offset, size, fields })
    }

    fn first_unfit(cursor: Cursor<'a>) -> u64 {
        let mut fixed = cursor;
        let count = fixed.bytes(FIXED_SIZE).and_then(|fixed| fixed.last().copied()).unwrap_or(0);
        let fields = repeat_n(FIELD, usize::from(count)).flatten();
        cursor.first_unfit(FIXED.into_iter().chain(fields))
    }
}
