//! What the functions, types and dependencies tables have in common: a count, then as many entries
//! (clause “Each table starts with `count` (uint32) followed by `count` entries”).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use std::marker::PhantomData;

use crate::cursor::{Cursor, narrow};
use crate::error::Violation;
use crate::rule::Rule;

/// How one entry of a table is read. Out of reach from outside: the module is private.
pub trait Entry<'a>: Sized {
    /// The rule that the table lies in the header.
    const BOUNDS: Rule;

    /// Reads the entry at `cursor`; `None` when it does not fit wholly.
    fn read(cursor: &mut Cursor<'a>) -> Option<Self>;

    /// Start of the first field or element of the entry at `cursor` that does not fit.
    fn first_unfit(cursor: Cursor<'a>) -> u64;
}

/// The entries of a table, read one by one from the file.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a, T> {
    cursor: Cursor<'a>,
    count: u32,
    entry: PhantomData<fn() -> T>,
}

impl<'a, T: Entry<'a>> Entries<'a, T> {
    /// Finds the table that starts at `cursor` and moves behind it.
    pub(crate) fn decode(cursor: &mut Cursor<'a>) -> Result<Self, Violation> {
        let outside = |offset| Violation { rule: T::BOUNDS, offset };
        let count = cursor.u32().ok_or_else(|| outside(cursor.offset()))?;
        let entries = Self { cursor: *cursor, count, entry: PhantomData };
        for _ in 0..count {
            let start = *cursor;
            T::read(cursor).ok_or_else(|| outside(T::first_unfit(start)))?;
        }
        Ok(entries)
    }
}

impl<'a, T: Entry<'a>> Iterator for Entries<'a, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.count = self.count.checked_sub(1)?;
        T::read(&mut self.cursor)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = narrow(self.count);
        (count, Some(count))
    }
}

impl<'a, T: Entry<'a>> ExactSizeIterator for Entries<'a, T> {}
