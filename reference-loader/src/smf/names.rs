//! The string table: from the end of the symbols to the end of the file (choice smf.string-table).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use crate::cursor::narrow;
use crate::limits::MAX_NAME;

/// The string table of a file.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    bytes: &'a [u8],
    /// Bytes up to the last NUL; no name starts behind it. 0: there is no NUL.
    terminated: usize,
}

/// Why there is no name at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameFault {
    /// The offset lies outside the table, or no NUL follows.
    Outside,
    /// The name is longer than [`MAX_NAME`].
    TooLong,
}

impl<'a> Names<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let terminated = memchr::memrchr(0, bytes).map_or(0, |last| last.saturating_add(1));
        Self { bytes, terminated }
    }

    /// The whole table.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The name at `name_offset`, without its NUL; `None` outside the table, without a NUL, or when it is
    /// longer than 4095 bytes (choice smf.name-length).
    #[must_use]
    pub fn at(&self, name_offset: u32) -> Option<&'a [u8]> {
        self.find(name_offset).ok()
    }

    #[inline]
    pub(crate) fn find(&self, name_offset: u32) -> Result<&'a [u8], NameFault> {
        let rest = self.bytes.get(narrow(name_offset)..self.terminated).unwrap_or_default();
        if rest.is_empty() {
            return Err(NameFault::Outside);
        }
        let window = rest.get(..=MAX_NAME).unwrap_or(rest);
        let end = memchr::memchr(0, window).ok_or(NameFault::TooLong)?;
        Ok(rest.get(..end).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_at_their_nul() {
        let names = Names::new(b"ab\0\0cd");
        assert_eq!(
            [0, 1, 2, 3].map(|at| names.at(at)),
            [
                Some(b"ab".as_slice()),
                Some(b"b".as_slice()),
                Some(b"".as_slice()),
                Some(b"".as_slice()),
            ]
        );
        for outside in [4, 6, 7, u32::MAX] {
            assert_eq!(names.find(outside), Err(NameFault::Outside));
        }
    }

    #[test]
    fn the_longest_name() {
        let mut bytes = vec![b'a'; MAX_NAME + 1];
        bytes.push(0);
        let names = Names::new(&bytes);
        assert_eq!(names.find(0), Err(NameFault::TooLong));
        assert_eq!(names.at(1).map(<[u8]>::len), Some(MAX_NAME));
    }
}
