//! `range`, with ends that are literals, other fields and the size of the file.

use rstest::rstest;

use crate::{judge, one_record};

const FIELDS: &str = "{name: low, type: u8}, {name: x, type: u8}, {name: high, type: u8}";

#[rstest]
#[case("min: 3, max: 5", [0, 2, 0], Some(1))]
#[case("min: 3, max: 5", [0, 3, 0], None)]
#[case("min: 3, max: 5", [0, 5, 0], None)]
#[case("min: 3, max: 5", [0, 6, 0], Some(1))]
#[case("min: h.low", [4, 3, 0], Some(1))]
#[case("min: h.low", [4, 4, 0], None)]
#[case("max: h.high", [0, 9, 9], None)]
#[case("max: h.high", [0, 10, 9], Some(1))]
#[case("max: file.size", [0, 3, 0], None)]
#[case("max: file.size", [0, 4, 0], Some(1))]
fn ends_are_included(#[case] ends: &str, #[case] file: [u8; 3], #[case] offset: Option<u64>) {
    let format = one_record(FIELDS, "", &format!("kind: range, field: h.x, {ends}"));
    judge(&format, &file, offset);
}
