//! `in-enum`, `excludes`, `implies` and `needs-entry`.

use blobspec::Format;
use rstest::rstest;

use crate::{format, judge, one_record, rule};

const ENUM: &str = "enums: {E: {repr: u8, values: {a: {code: 1}, b: {code: 2}, c: {code: 9}}}}\n";

#[rstest]
#[case(0, Some(0))]
#[case(1, None)]
#[case(2, None)]
#[case(3, Some(0))]
#[case(8, Some(0))]
#[case(9, None)]
#[case(255, Some(0))]
fn in_enum(#[case] code: u8, #[case] offset: Option<u64>) {
    judge(&one_record("{name: e, type: E}", ENUM, "kind: in-enum, field: h.e"), &[code], offset);
}

#[rstest]
#[case(1, None)]
#[case(2, Some(0))]
#[case(9, Some(0))]
#[case(77, None)] // not a code at all: another rule's business
fn excludes(#[case] code: u8, #[case] offset: Option<u64>) {
    let what = "kind: excludes, field: h.e, values: [b, c]";
    judge(&one_record("{name: e, type: E}", ENUM, what), &[code], offset);
}

#[rstest]
#[case([1, 2], None)]
#[case([1, 9], None)]
#[case([1, 1], Some(0))]
#[case([2, 1], None)]
fn implies(#[case] file: [u8; 2], #[case] offset: Option<u64>) {
    let what = "kind: implies, when: {h.e: [a]}, then: {h.f: [b, c]}";
    judge(&one_record("{name: e, type: E}, {name: f, type: E}", ENUM, what), &file, offset);
}

/// A byte of count, then that many codes; another count, then as many numbers.
fn two_tables() -> Format {
    format(&format!(
        "{ENUM}records: {{X: {{fields: [{{name: e, type: E}}]}}, Y: {{fields: [{{name: n, type: u8}}]}}}}\n\
         regions:\n  - {{name: xs, array: X, count: {{prefix: u8}}}}\n  - {{name: ys, array: Y, count: {{prefix: u8}}}}\n\
         rules:\n{}{}{}",
        rule("B", "kind: bounds, region: xs"),
        rule("C", "kind: bounds, region: ys"),
        rule("R", "kind: needs-entry, field: xs.e, values: [c], region: ys"),
    ))
}

#[rstest]
#[case(&[2, 1, 9, 1, 0], None)]
#[case(&[2, 1, 9, 0], Some(2))]
#[case(&[2, 1, 2, 0], None)]
#[case(&[0, 0], None)]
fn needs_entry(#[case] file: &[u8], #[case] offset: Option<u64>) {
    judge(&two_tables(), file, offset);
}
