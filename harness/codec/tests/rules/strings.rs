//! `utf8`, `within`, `entry-start` and `unique` by text.

use rstest::rstest;

use crate::{format, judge, rule};

/// A count and as many one-byte offsets, then strings to the end of the file, with `base`.
fn names(base: &str, what: &str) -> blobspec::Format {
    format(&format!(
        "records: {{X: {{fields: [{{name: name, type: u8, refers: {{string: s}}}}]}}}}\n\
         regions:\n  - {{name: xs, array: X, count: {{prefix: u8}}}}\n  - {{name: s, strings: {{base: {base}}}, count: {{prefix: u8}}}}\n\
         rules:\n{}{}{}",
        rule("B", "kind: bounds, region: xs"),
        rule("C", "kind: bounds, region: s"),
        rule("R", what),
    ))
}

#[rstest]
#[case(b"\x00\x02ab\0\0", None)]
#[case(b"\x00\x02a\xc3\xa9\0\0", None)]
#[case(b"\x00\x02ab\0\xc3\0", Some(5))]
#[case(b"\x00\x02a\x80\0\0", Some(3))]
#[case(b"\x00\x01\xed\xa0\x80\0", Some(2))] // half of a surrogate pair
fn utf8(#[case] file: &[u8], #[case] offset: Option<u64>) {
    judge(&names("content", "kind: utf8, region: s"), file, offset);
}

#[rstest]
#[case("content", b"\x02\x00\x03\x01abc\0", None)]
#[case("content", b"\x02\x00\x04\x01abc\0", Some(2))]
#[case("content", b"\x01\xff\x01abc\0", Some(1))]
#[case("content", b"\x01\x00\x00", Some(1))] // no strings: no offset is inside
#[case("count", b"\x02\x01\x04\x01abc\0", None)]
#[case("count", b"\x02\x01\x05\x01abc\0", Some(2))]
#[case("count", b"\x01\x00\x01abc\0", Some(1))] // the count itself
fn within(#[case] base: &str, #[case] file: &[u8], #[case] offset: Option<u64>) {
    judge(&names(base, "kind: within, field: xs.name"), file, offset);
}

#[rstest]
#[case(b"\x02\x00\x02\x02a\0b\0", None)]
#[case(b"\x02\x00\x01\x02a\0b\0", Some(2))]
#[case(b"\x02\x00\x03\x02a\0b\0", Some(2))]
#[case(b"\x01\x04\x02a\0b\0", None)] // outside: another rule's business
fn entry_start(#[case] file: &[u8], #[case] offset: Option<u64>) {
    judge(&names("content", "kind: entry-start, field: xs.name"), file, offset);
}

#[rstest]
#[case(b"\x02\x00\x03\x02ab\0ba\0", None)]
#[case(b"\x02\x00\x00\x01ab\0", Some(2))]
#[case(b"\x02\x00\x03\x02ab\0ab\0", Some(2))] // another entry, the same text
#[case(b"\x02\x01\x03\x02ab\0b\0", Some(2))] // the tail of one, all of another
#[case(b"\x03\x00\x01\x02\x01ab\0", None)] // three tails of one string, the last one empty
#[case(b"\x02\x02\x03\x02ab\0\0", Some(2))] // two empty texts
#[case(b"\x02\x09\x09\x01ab\0", None)] // no texts at all
fn unique(#[case] file: &[u8], #[case] offset: Option<u64>) {
    judge(&names("content", "kind: unique, field: xs.name"), file, offset);
}

#[test]
fn every_repetition_is_a_violation() {
    let format = names("content", "kind: unique, field: xs.name");
    let found = crate::violations(&format, b"\x04\x00\x02\x00\x04\x03a\0a\0b\0");
    assert_eq!(found, [("R".to_owned(), 2), ("R".to_owned(), 3)]);
}
