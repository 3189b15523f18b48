//! The hash of a symbol's name (clause “FNV-1a hash for symbol names”).

/// 32-bit FNV-1a of `name`, without its NUL.
#[inline]
#[must_use]
pub fn fnv1a(name: &[u8]) -> u32 {
    hash_and_bits(name).0
}

/// [`fnv1a`] of `name`, and the bits that are set in any of its bytes: without the highest, it is ASCII. One
/// loop for both, as the multiplications leave the processor time for it.
#[inline]
pub(super) fn hash_and_bits(name: &[u8]) -> (u32, u8) {
    name.iter().fold((0x811c_9dc5, 0), |(hash, bits): (u32, u8), byte| {
        ((hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193), bits | byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes() {
        assert_eq!(
            [b"".as_slice(), b"a", b"foobar"].map(fnv1a),
            [0x811c_9dc5, 0xe40c_292c, 0xbf9c_f968]
        );
        assert_eq!([b"add".as_slice(), b"sub"].map(fnv1a), [993_596_020, 3_696_113_941]);
    }
}
