//! What sections, symbols and relocations have in common: records of one size, one after the other.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use std::marker::PhantomData;

use crate::cursor::{Cursor, narrow, wide};

/// A record of `SIZE` bytes. Out of reach from outside: the trait is not exported.
pub trait Record<const SIZE: usize>: Sized {
    /// Widths of the fields in bytes, in file order.
    const WIDTHS: &'static [usize];

    /// Reads the record whose bytes are `bytes` and that starts `offset` bytes into the file.
    fn read(bytes: &[u8; SIZE], offset: u64) -> Self;
}

/// Records of a table, read one by one from the file as they are asked for.
#[derive(Debug)]
pub struct Table<'a, T, const SIZE: usize> {
    records: &'a [[u8; SIZE]],
    start: u64,
    record: PhantomData<fn() -> T>,
}

impl<T, const SIZE: usize> Clone for Table<'_, T, SIZE> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, const SIZE: usize> Copy for Table<'_, T, SIZE> {}

impl<'a, T: Record<SIZE>, const SIZE: usize> Table<'a, T, SIZE> {
    /// The `count` records that start `start` bytes into `file`. Takes constant time.
    ///
    /// # Errors
    /// When they do not all lie in the file: the start of the first field that does not fit, or `start`
    /// itself when it lies behind the file.
    pub(crate) fn locate(file: &'a [u8], start: u64, count: u32) -> Result<Self, u64> {
        let rest = usize::try_from(start).ok().and_then(|start| file.get(start..)).ok_or(start)?;
        let (records, tail) = rest.as_chunks::<SIZE>();
        match records.get(..narrow(count)) {
            Some(records) => Ok(Self { records, start, record: PhantomData }),
            None => {
                let start = file.len().saturating_sub(tail.len());
                let tail = Cursor::between(file, start, file.len());
                Err(tail.first_unfit(T::WIDTHS.iter().copied()))
            }
        }
    }

    /// The records that `bytes`, which start `start` bytes into the file, are made of.
    pub(crate) fn over(bytes: &'a [u8], start: u64) -> Self {
        Self { records: bytes.as_chunks::<SIZE>().0, start, record: PhantomData }
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Where the table starts, in bytes from the start of the file.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Where the table ends, in bytes from the start of the file.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start.saturating_add(wide(self.records.as_flattened().len()))
    }

    /// The record `index`, counted from 0.
    #[inline]
    #[must_use]
    pub fn at(&self, index: usize) -> Option<T> {
        self.records.get(index).map(|bytes| T::read(bytes, self.offset_of(index)))
    }

    /// The records in file order.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + Clone + use<'a, T, SIZE> {
        let table = *self;
        let read = move |(index, bytes)| T::read(bytes, table.offset_of(index));
        self.records.iter().enumerate().map(read)
    }

    #[inline]
    fn offset_of(&self, index: usize) -> u64 {
        self.start.saturating_add(wide(index.saturating_mul(SIZE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pair;

    impl Record<6> for Pair {
        const WIDTHS: &'static [usize] = &[2, 4];

        fn read(_: &[u8; 6], _: u64) -> Self {
            Self
        }
    }

    #[test]
    fn the_first_field_that_does_not_fit() {
        let locate = |length, start, count| {
            Table::<Pair, 6>::locate(&vec![0; length], start, count).map(|table| table.len())
        };
        assert_eq!([locate(12, 0, 2), locate(13, 1, 2), locate(5, 5, 0)], [Ok(2), Ok(2), Ok(0)]);
        assert_eq!([locate(13, 2, 2), locate(9, 2, 2), locate(8, 2, 2)], [Err(10), Err(8), Err(8)]);
        assert_eq!([locate(3, 2, u32::MAX), locate(4, 2, 1)], [Err(2), Err(4)]);
        assert_eq!([locate(4, 5, 0), locate(4, u64::MAX, 1)], [Err(5), Err(u64::MAX)]);
    }
}
