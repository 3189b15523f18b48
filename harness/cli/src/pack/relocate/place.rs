//! The bytes that a relocation changes, and the numbers it is computed from.

use super::RelocationFault;

/// One relocation's place in its section.
pub(super) struct Place<'a> {
    /// The section.
    bytes: &'a mut [u8],
    /// Where in the section.
    offset: usize,
    /// P: where in the blob.
    position: i128,
    /// S: the target in the blob.
    target: i128,
    /// A.
    addend: i128,
}

impl<'a> Place<'a> {
    /// A place `offset` bytes into the section of `size` bytes with which `bytes` begins and which starts
    /// at `start` of the blob.
    pub(super) fn new(
        bytes: &'a mut [u8],
        size: u64,
        offset: u64,
        start: u64,
        target: u64,
        addend: i64,
    ) -> Result<Self, RelocationFault> {
        let damaged = RelocationFault::Damaged;
        let size = usize::try_from(size).map_err(|_| damaged.clone())?;
        Ok(Self {
            bytes: bytes.get_mut(..size).ok_or(damaged.clone())?,
            offset: usize::try_from(offset).map_err(|_| damaged)?,
            position: i128::from(start) + i128::from(offset),
            target: i128::from(target),
            addend: addend.into(),
        })
    }

    /// P.
    pub(super) fn position(&self) -> i128 {
        self.position
    }

    /// A.
    pub(super) fn addend(&self) -> i128 {
        self.addend
    }

    /// Replaces A, for machines that keep it in the place itself.
    pub(super) fn set_addend(&mut self, addend: i128) {
        self.addend = addend;
    }

    /// S + A.
    pub(super) fn address(&self) -> i128 {
        self.target + self.addend
    }

    /// S + A − P.
    pub(super) fn distance(&self) -> i128 {
        self.address() - self.position
    }

    /// The `N` bytes that start `back` bytes before the place.
    pub(super) fn bytes<const N: usize>(
        &mut self,
        back: usize,
    ) -> Result<&mut [u8; N], RelocationFault> {
        self.offset
            .checked_sub(back)
            .and_then(|start| self.bytes.get_mut(start..)?.first_chunk_mut())
            .ok_or(RelocationFault::Damaged)
    }

    /// Writes a little-endian value of 32 bits.
    pub(super) fn put_i32(&mut self, value: i128) -> Result<(), RelocationFault> {
        let value = i32::try_from(value).map_err(|_| RelocationFault::Range(value))?;
        *self.bytes(0)? = value.to_le_bytes();
        Ok(())
    }

    /// Writes a little-endian value of 64 bits.
    pub(super) fn put_i64(&mut self, value: i128) -> Result<(), RelocationFault> {
        let value = i64::try_from(value).map_err(|_| RelocationFault::Range(value))?;
        *self.bytes(0)? = value.to_le_bytes();
        Ok(())
    }

    /// The little-endian 32-bit word.
    pub(super) fn word(&mut self) -> Result<u32, RelocationFault> {
        Ok(u32::from_le_bytes(*self.bytes(0)?))
    }

    pub(super) fn put_word(&mut self, word: u32) -> Result<(), RelocationFault> {
        *self.bytes(0)? = word.to_le_bytes();
        Ok(())
    }
}
