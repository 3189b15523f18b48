//! The memory behind pointer arguments: writable copies whose addresses can be told apart.

use std::ffi::c_void;

use harness_protocol::value::Address;
use harness_protocol::{Argument, HexBytes};

/// Sixteen bytes at an address that is a multiple of sixteen: enough for every scalar and vector of the
/// supported architectures.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Chunk([u8; 16]);

/// One writable copy. At least one byte more than `length` is reserved, so that the address one past the
/// end belongs to no other buffer.
struct Buffer {
    chunks: Vec<Chunk>,
    length: usize,
}

impl Buffer {
    fn of(bytes: &[u8]) -> Self {
        let (whole, rest) = bytes.as_chunks::<16>();
        let mut last = [0; 16];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        let chunks = whole.iter().copied().chain([last]).map(Chunk).collect();
        Self { chunks, length: bytes.len() }
    }

    fn offset_of(&self, address: u64) -> Option<u64> {
        let start = u64::try_from(self.chunks.as_ptr().addr()).ok()?;
        let offset = address.checked_sub(start)?;
        usize::try_from(offset).is_ok_and(|offset| offset <= self.length).then_some(offset)
    }

    fn into_bytes(self) -> HexBytes {
        HexBytes(self.chunks.into_iter().flat_map(|chunk| chunk.0).take(self.length).collect())
    }
}

/// The buffers of one call, one entry per argument; `None` where the argument is no pointer or null.
pub(super) struct Buffers(Vec<Option<Buffer>>);

impl Buffers {
    pub(super) fn of(args: &[Argument]) -> Self {
        Self(args.iter().map(|argument| argument.buffer().map(Buffer::of)).collect())
    }

    /// The address to pass for each argument, null where there is no buffer.
    pub(super) fn addresses(&mut self) -> Vec<*mut c_void> {
        let address = |buffer: &mut Buffer| buffer.chunks.as_mut_ptr().cast();
        self.0.iter_mut().map(|slot| slot.as_mut().map_or(std::ptr::null_mut(), address)).collect()
    }

    /// Which buffer `address` lies in or just behind; null arguments do not count.
    pub(super) fn locate(&self, address: u64) -> Option<Address> {
        let mut present = self.0.iter().flatten().enumerate();
        present.find_map(|(index, buffer)| {
            let offset = buffer.offset_of(address)?;
            Some(Address::Buffer { index, offset })
        })
    }

    /// The content of every buffer, in argument order.
    pub(super) fn into_bytes(self) -> Vec<HexBytes> {
        self.0.into_iter().flatten().map(Buffer::into_bytes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffers(contents: &[&[u8]]) -> Buffers {
        let pointer = |bytes: &&[u8]| Argument::Pointer { bytes: Some((*bytes).into()) };
        Buffers::of(&contents.iter().map(pointer).collect::<Vec<_>>())
    }

    #[test]
    fn content_survives_at_every_length_around_a_chunk() {
        for length in [0, 1, 15, 16, 17, 31, 32, 33] {
            let bytes: Vec<u8> = (0..length).collect();
            assert_eq!(buffers(&[&bytes]).into_bytes(), [HexBytes(bytes)]);
        }
    }

    #[test]
    fn addresses_are_aligned_and_distinct_even_of_nothing() {
        let mut buffers = buffers(&[b"", b"", b"abc"]);
        let addresses = buffers.addresses();
        assert!(addresses.iter().all(|address| address.addr() % 16 == 0 && !address.is_null()));
        assert!(addresses[0] != addresses[1] && addresses[1] != addresses[2]);
    }

    #[test]
    fn one_past_the_end_belongs_to_its_buffer() {
        let mut buffers = buffers(&[&[0; 16], &[0; 16]]);
        for (index, address) in buffers.addresses().into_iter().enumerate() {
            let start = address.addr() as u64;
            assert_eq!(buffers.locate(start), Some(Address::Buffer { index, offset: 0 }));
            assert_eq!(buffers.locate(start + 16), Some(Address::Buffer { index, offset: 16 }));
            assert_eq!(buffers.locate(start + 17), None);
        }
    }
}
