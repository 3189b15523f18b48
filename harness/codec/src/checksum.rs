//! The checksums and hashes that a spec can derive.

use blobspec::format::ChecksumReads;

/// CRC-32/ISO-HDLC over `before`, the checksum field as `reads` says, and `after`.
pub(crate) fn crc32(before: &[u8], field: &[u8], after: &[u8], reads: ChecksumReads) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(before);
    if reads == ChecksumReads::Zero {
        hasher.update(&vec![0; field.len()]);
    }
    hasher.update(after);
    hasher.finalize()
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
        let zero = crc32(b"12", b"\xff\xff", b"3456789", ChecksumReads::Zero);
        assert_eq!(zero, crc32fast::hash(b"12\0\x003456789"));
        assert_eq!(crc32(b"12", b"\xff", b"3456789", ChecksumReads::Nothing), 0xcbf4_3926);
    }
}
