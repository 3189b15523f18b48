//! The strings table (clause “Null-terminated UTF-8 strings referenced by offsets from other tables”).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use memchr::{memchr, memchr_iter, memrchr};

use crate::cursor::{Cursor, narrow, wide};
use crate::error::Violation;
use crate::rule::Rule;

/// The strings of a file. Offsets count from the first byte after the table's count.
#[derive(Clone, Copy, Debug)]
pub struct Strings<'a> {
    /// The strings with their NULs.
    content: &'a [u8],
    /// Where the content starts, in bytes from the start of the file.
    start: u64,
    count: u32,
}

impl<'a> Strings<'a> {
    /// Finds the table that starts at `cursor` and moves behind it.
    pub(crate) fn decode(cursor: &mut Cursor<'a>) -> Result<Self, Violation> {
        let outside = |offset| Violation { rule: Rule::StrTableBounds, offset };
        let count = cursor.u32().ok_or_else(|| outside(cursor.offset()))?;
        let start = cursor.offset();
        let content = length(cursor.rest(), count)
            .and_then(|length| cursor.bytes(length))
            .ok_or_else(|| outside(start.saturating_add(unterminated(cursor.rest()))))?;
        Ok(Self { content, start, count })
    }

    /// How many strings there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The strings in file order, without their NULs.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.content;
        std::iter::from_fn(move || {
            let (text, after) = rest.split_at_checked(memchr(0, rest)?)?;
            rest = after.split_first()?.1;
            Some(text)
        })
    }

    /// The text from `name_offset` to the next NUL, without it; `None` outside the strings.
    #[inline]
    #[must_use]
    pub fn at(&self, name_offset: u32) -> Option<&'a [u8]> {
        let tail = self.content.get(narrow(name_offset)..)?;
        tail.get(..memchr(0, tail)?)
    }

    /// Bytes of all strings with their NULs: what a `name_offset` must be less than.
    #[inline]
    pub(crate) fn length(&self) -> u64 {
        wide(self.content.len())
    }

    /// Whether a string starts at `name_offset`: it is the first, or the one before ends there.
    #[inline]
    pub(crate) fn starts_at(&self, name_offset: u32) -> bool {
        match name_offset.checked_sub(1) {
            Some(before) => self.content.get(narrow(before)) == Some(&0),
            None => true,
        }
    }

    /// Position in the file of the first byte that is not UTF-8. A NUL never continues a sequence, so
    /// that the strings can be looked at as one.
    pub(crate) fn first_invalid(&self) -> Option<u64> {
        let error = std::str::from_utf8(self.content).err()?;
        Some(self.start.saturating_add(wide(error.valid_up_to())))
    }
}

/// Bytes of the first `count` strings of `rest` with their NULs; `None` when there are fewer.
fn length(rest: &[u8], count: u32) -> Option<usize> {
    match narrow(count).checked_sub(1) {
        Some(last) => memchr_iter(0, rest).nth(last)?.checked_add(1),
        None => Some(0),
    }
}

/// Where the string starts that `rest` ends in.
#[cold]
fn unterminated(rest: &[u8]) -> u64 {
    memrchr(0, rest).map_or(0, |nul| wide(nul).saturating_add(1))
}
