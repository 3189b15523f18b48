//! `reserved-bits` and `clear-bits`.

use rstest::rstest;

use crate::{judge, one_record};

const FLAGS: &str = "flags: {F: {repr: u16, bits: {a: 0, b: 14}}}\n";

#[rstest]
#[case(0x0000, None)]
#[case(0x4001, None)]
#[case(0x0002, Some(1))]
#[case(0x2000, Some(1))]
#[case(0x8000, Some(1))]
#[case(0xffff, Some(1))]
fn reserved_bits_are_zero(#[case] value: u16, #[case] offset: Option<u64>) {
    let format = one_record(
        "{name: x, type: u8}, {name: f, type: F}",
        FLAGS,
        "kind: reserved-bits, field: h.f",
    );
    judge(&format, &[&[9], &value.to_le_bytes()[..]].concat(), offset);
}

#[rstest]
#[case(0x0001, None)]
#[case(0xbfff, None)]
#[case(0x4000, Some(1))]
fn cleared_bits_are_zero(#[case] value: u16, #[case] offset: Option<u64>) {
    let format = one_record(
        "{name: x, type: u8}, {name: f, type: F}",
        FLAGS,
        "kind: clear-bits, field: h.f, bits: [b]",
    );
    judge(&format, &[&[9], &value.to_le_bytes()[..]].concat(), offset);
}
