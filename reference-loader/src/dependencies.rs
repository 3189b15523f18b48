//! The dependencies table (clause “Dependencies Table”).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use crate::cursor::Cursor;
use crate::rule::Rule;
use crate::table::{Entries, Entry};

/// The entries of the dependencies table.
pub type Dependencies<'a> = Entries<'a, Dependency>;

/// One module that must be present, each field as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Where the entry starts, in bytes from the start of the file.
    pub offset: u64,
    /// Where the name starts, in bytes from the first string.
    pub name_offset: u32,
    /// Minimum version: major in the high 16 bits, minor in the low 16; 0 = any.
    pub required_version: u32,
}

impl Dependency {
    /// Position of `name_offset` in the file.
    pub(crate) fn name_at(&self) -> u64 {
        self.offset
    }
}

impl<'a> Entry<'a> for Dependency {
    const BOUNDS: Rule = Rule::DepTableBounds;

    #[inline]
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let offset = cursor.offset();
        let fixed = cursor.array::<8>()?;
        let mut fields = Cursor::new(&fixed);
        Some(Self { offset, name_offset: fields.u32()?, required_version: fields.u32()? })
    }

    fn first_unfit(cursor: Cursor<'a>) -> u64 {
        cursor.first_unfit([4, 4])
    }
}
