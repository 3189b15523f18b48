//! `const`.

use rstest::rstest;

use crate::{judge, one_record};

#[rstest]
#[case(b"\x00AB", None)]
#[case(b"\x00AC", Some(1))]
#[case(b"\x00BA", Some(1))]
fn bytes(#[case] file: &[u8], #[case] offset: Option<u64>) {
    let fields = "{name: x, type: u8}, {name: m, type: \"bytes[2]\"}";
    judge(&one_record(fields, "", "kind: const, field: h.m, value: \"41 42\""), file, offset);
}

#[rstest]
#[case(6, Some(0))]
#[case(7, None)]
#[case(8, Some(0))]
#[case(0x107, Some(0))]
fn a_number(#[case] value: u16, #[case] offset: Option<u64>) {
    let format = one_record("{name: x, type: u16}", "", "kind: const, field: h.x, value: 7");
    judge(&format, &value.to_le_bytes(), offset);
}
