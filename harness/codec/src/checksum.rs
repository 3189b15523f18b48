//! The checksums and hashes that a spec can derive.

use std::ops::Range;

use blobspec::format::ChecksumReads;

/// CRC-32/ISO-HDLC over `covered`, in which the checksum itself, at `field`, is read as `reads` says; `None` when
/// there are no such bytes or only part of the field is covered.
pub(crate) fn crc32(
    file: &[u8],
    covered: Range<usize>,
    field: Range<usize>,
    reads: ChecksumReads,
) -> Option<u32> {
    if field.end <= covered.start || covered.end <= field.start {
        return Some(crc32fast::hash(file.get(covered)?));
    }
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(file.get(covered.start..field.start)?);
    if reads == ChecksumReads::Zero {
        hasher.update(&vec![0; field.len()]);
    }
    hasher.update(file.get(field.end..covered.end)?);
    Some(hasher.finalize())
}

/// 32-bit FNV-1a.
pub(crate) fn fnv1a(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv1a_of_known_names() {
        assert_eq!(fnv1a(b"add"), 993_596_020);
        assert_eq!(fnv1a(b"sub"), 3_696_113_941);
    }

    #[test]
    fn a_field_reads_as_zero_or_not_at_all() {
        let zero = crc32(b"12\xff\xff3456789", 0..11, 2..4, ChecksumReads::Zero);
        assert_eq!(zero, Some(crc32fast::hash(b"12\0\x003456789")));
        let nothing = crc32(b"12\xff3456789", 0..10, 2..3, ChecksumReads::Nothing);
        assert_eq!(nothing, Some(0xcbf4_3926));
    }

    #[test]
    fn a_field_may_lie_outside_what_it_covers() {
        for (file, covered, field) in
            [(&b"\xff123456789"[..], 1..10, 0..1), (b"123456789\xff", 0..9, 9..10)]
        {
            assert_eq!(crc32(file, covered, field, ChecksumReads::Zero), Some(0xcbf4_3926));
        }
        assert_eq!(crc32(b"1234", 1..4, 0..2, ChecksumReads::Zero), None);
    }
}
