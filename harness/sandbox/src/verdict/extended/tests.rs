//! Against the unit itself, where there is one, and against values everywhere.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

/// An 80-bit float from sign and exponent, and significand.
fn extended(top: u16, significand: u64) -> [u8; 10] {
    let mut bits = [0; 10];
    bits[..8].copy_from_slice(&significand.to_le_bytes());
    bits[8..].copy_from_slice(&top.to_le_bytes());
    bits
}

#[rstest]
#[case::zero(0, 0, 0.0)]
#[case::one(0x3fff, 1 << 63, 1.0)]
#[case::minus_two_and_a_half(0xc000, 0xa << 60, -2.5)]
#[case::largest(0x43fe, !0 << 11, f64::MAX)]
#[case::too_large(0x43fe, !0, f64::INFINITY)]
#[case::smallest_normal(0x3c01, 1 << 63, f64::MIN_POSITIVE)]
#[case::smallest(0x3bcd, 1 << 63, 5e-324)]
#[case::half_of_the_smallest(0x3bcc, 1 << 63, 0.0)]
#[case::more_than_half_of_it(0x3bcc, (1 << 63) | 1, 5e-324)]
#[case::infinity(0xffff, 1 << 63, f64::NEG_INFINITY)]
fn values(#[case] top: u16, #[case] significand: u64, #[case] expected: f64) {
    assert_eq!(to_f64(extended(top, significand)), expected.to_bits());
}

#[test]
fn not_a_number_is_made_quiet_and_keeps_its_payload() {
    assert_eq!(to_f32(extended(0x7fff, 0x8123_4500_0000_0000)), 0x7fc1_2345);
    assert_eq!(to_f64(extended(0xffff, 0x8000_0000_0000_0800)), 0xfff8_0000_0000_0001);
    // Not-a-number without the integer bit is invalid, and becomes the unit's own.
    assert_eq!(to_f64(extended(0x7fff, 1)), 0xfff8_0000_0000_0000);
    assert_eq!(to_f32(extended(0x3fff, 1)), 0xffc0_0000);
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "asks the x87 unit")]
fn stored(bits: [u8; 10]) -> (u32, u64) {
    let (mut single, mut double) = (0_u32, 0_u64);
    // SAFETY: reads the ten bytes at the first address, writes four and eight at the others, which are those of
    // the variables; takes one place of the empty x87 stack and leaves it empty; all eight are declared.
    unsafe {
        std::arch::asm!(
            "fld tbyte ptr [{bits}]",
            "fst dword ptr [{single}]",
            "fstp qword ptr [{double}]",
            bits = in(reg) &raw const bits,
            single = in(reg) &raw mut single,
            double = in(reg) &raw mut double,
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
            options(nostack),
        );
    }
    (single, double)
}

/// Exponents where something changes in either format, and any.
fn exponents() -> impl Strategy<Value = u16> {
    prop_oneof![
        Just(0_u16),
        Just(1),
        0x3bbf..0x3c06_u16,
        0x3f60..0x3f90_u16,
        0x4070..0x4090_u16,
        0x43f0..0x4410_u16,
        Just(0x7ffe),
        Just(0x7fff),
        any::<u16>().prop_map(|top| top & 0x7fff),
    ]
}

/// Significands with few bits set, which are ties, and any.
fn significands() -> impl Strategy<Value = u64> {
    let one = || (0..64_u32).prop_map(|bit| 1_u64 << bit);
    prop_oneof![
        any::<u64>(),
        any::<u64>().prop_map(|bits| bits | 1 << 63),
        (one(), one(), one()).prop_map(|(a, b, c)| a | b | c),
        (one(), one()).prop_map(|(a, b)| 1 << 63 | a | b),
        (0..64_u32).prop_map(|bits| !0 << bits),
    ]
}

#[cfg(target_arch = "x86_64")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn stores_as_the_unit_does(
        exponent in exponents(),
        negative: bool,
        significand in significands(),
    ) {
        let bits = extended(exponent | u16::from(negative) << 15, significand);
        prop_assert_eq!((to_f32(bits), to_f64(bits)), stored(bits));
    }
}
