//! The functions table (clause “Functions Table”).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use std::iter::repeat_n;

use crate::cursor::{Cursor, wide};
use crate::rule::Rule;
use crate::table::{Entries, Entry};

/// The entries of the functions table.
pub type Functions<'a> = Entries<'a, Function<'a>>;

/// Bit of [`Function::flags`]: the same arguments give the same result and change nothing.
pub const FLAG_PURE: u8 = 1;

/// Bytes before the parameters: name_offset, entry_offset, param_count.
const FIXED: [usize; 3] = [4, 8, 1];
const FIXED_SIZE: usize = 13;

/// One entry, each field as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// Where the entry starts, in bytes from the start of the file.
    pub offset: u64,
    /// Where the name starts, in bytes from the first string.
    pub name_offset: u32,
    /// Where the code starts, in bytes from the start of the blob.
    pub entry_offset: u64,
    /// Type codes of the parameters; their number is the entry's `param_count`.
    pub params: &'a [u8],
    /// Type code of the result.
    pub return_type: u8,
    /// See [`FLAG_PURE`].
    pub flags: u8,
}

impl Function<'_> {
    /// Position of `name_offset` in the file.
    pub(crate) fn name_at(&self) -> u64 {
        self.offset
    }

    /// Position of `entry_offset` in the file.
    pub(crate) fn entry_at(&self) -> u64 {
        self.offset.saturating_add(4)
    }

    /// Position of the parameter `index` in the file.
    pub(crate) fn param_at(&self, index: usize) -> u64 {
        self.offset.saturating_add(wide(FIXED_SIZE)).saturating_add(wide(index))
    }

    /// Position of `return_type` in the file.
    pub(crate) fn return_at(&self) -> u64 {
        self.param_at(self.params.len())
    }

    /// Position of `flags` in the file.
    pub(crate) fn flags_at(&self) -> u64 {
        self.return_at().saturating_add(1)
    }
}

impl<'a> Entry<'a> for Function<'a> {
    const BOUNDS: Rule = Rule::FuncTableBounds;

    #[inline]
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let offset = cursor.offset();
        let fixed = cursor.array::<FIXED_SIZE>()?;
        let mut fields = Cursor::new(&fixed);
        let (name_offset, entry_offset) = (fields.u32()?, fields.u64()?);
        let params = cursor.bytes(fields.u8()?.into())?;
        let [return_type, flags] = cursor.array()?;
        Some(Self { offset, name_offset, entry_offset, params, return_type, flags })
    }

    fn first_unfit(cursor: Cursor<'a>) -> u64 {
        let mut fixed = cursor;
        let count = fixed.bytes(FIXED_SIZE).and_then(|fixed| fixed.last().copied()).unwrap_or(0);
        let singles = repeat_n(1, usize::from(count)).chain([1, 1]);
        cursor.first_unfit(FIXED.into_iter().chain(singles))
    }
}
