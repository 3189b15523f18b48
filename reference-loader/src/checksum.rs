//! The checksum of a file (clause “CRC32 of header + code blob”; choice scp.checksum-field).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

/// CRC-32/ISO-HDLC over `covered`, header and code, with the four bytes of the checksum at offset 24 read
/// as zero.
#[must_use]
pub fn of(covered: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    match covered.split_first_chunk::<32>() {
        Some((fixed, rest)) => {
            let mut fixed = *fixed;
            blank(&mut fixed);
            crc.update(&fixed);
            crc.update(rest);
        }
        None => crc.update(covered),
    }
    crc.finalize()
}

fn blank(fixed: &mut [u8; 32]) {
    let [.., a, b, c, d, _, _, _, _] = fixed;
    (*a, *b, *c, *d) = (0, 0, 0, 0);
}
