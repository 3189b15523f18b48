//! Bounds-checked reading: the one way that the parser gets at bytes.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

/// What is left to read of a part of the file.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    end: u64,
}

impl<'a> Cursor<'a> {
    /// All of `file`.
    pub(crate) fn new(file: &'a [u8]) -> Self {
        Self { rest: file, end: wide(file.len()) }
    }

    /// The bytes of `file` from `start` to `end`; nothing, at `start`, if `file` has no such part.
    pub(crate) fn between(file: &'a [u8], start: usize, end: usize) -> Self {
        match file.get(start..end) {
            Some(rest) => Self { rest, end: wide(end) },
            None => Self { rest: &[], end: wide(start) },
        }
    }

    /// Position in bytes from the start of the file.
    pub(crate) fn offset(&self) -> u64 {
        self.end.saturating_sub(wide(self.rest.len()))
    }

    /// The bytes not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `N` bytes. `None` leaves the cursor where it was, as below.
    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    /// The next `length` bytes.
    #[inline]
    pub(crate) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Start of the first of consecutive primitives of these widths that does not fit wholly.
    #[cold]
    pub(crate) fn first_unfit(mut self, widths: impl IntoIterator<Item = usize>) -> u64 {
        let _ = widths.into_iter().try_for_each(|width| self.bytes(width).map(drop));
        self.offset()
    }
}

/// `length` as an offset in a file. Lossless: no supported target has addresses wider than 64 bits.
#[inline]
pub(crate) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// `count` of things that take memory. Lossless on targets of 32 bits and more; saturated, it exceeds
/// whatever a slice can hold.
#[inline]
pub(crate) fn narrow(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_does_not_fit_moves_nothing() {
        let mut cursor = Cursor::new(&[1, 0, 2]);
        assert_eq!(cursor.u16(), Some(1));
        assert_eq!((cursor.u16(), cursor.bytes(2), cursor.offset()), (None, None, 2));
        assert_eq!((cursor.u8(), cursor.offset()), (Some(2), 3));
    }

    #[test]
    fn a_part_that_is_not_there_is_empty_at_its_start() {
        for (start, end) in [(2, 9), (2, 1)] {
            let cursor = Cursor::between(&[0; 4], start, end);
            assert_eq!((cursor.rest(), cursor.offset()), ([].as_slice(), 2));
        }
    }

    #[test]
    fn the_first_primitive_that_does_not_fit() {
        assert_eq!(Cursor::new(&[0; 5]).first_unfit([4, 2, 2]), 4);
        assert_eq!(Cursor::new(&[0; 6]).first_unfit([4, 2, 2]), 6);
    }
}
