//! `separate`, and gates that look at later regions.

use blobspec::Format;
use rstest::rstest;

use crate::{format, judge, rule, violations};

/// Two blobs of two bytes at offsets that the header gives.
fn two_blobs() -> Format {
    format(&format!(
        "records: {{H: {{fields: [{{name: a, type: u8}}, {{name: b, type: u8}}]}}}}\n\
         regions: [{{name: h, record: H}}, {{name: a, at: h.a, bytes: {{size: 2}}}}, {{name: b, at: h.b, bytes: {{size: 2}}}}]\n\
         rules:\n{}{}{}{}",
        rule("B", "kind: bounds, region: h"),
        rule("C", "kind: bounds, region: a"),
        rule("D", "kind: bounds, region: b"),
        rule("R", "kind: separate, regions: [h, a, b]"),
    ))
}

#[rstest]
#[case([2, 4], None)]
#[case([4, 2], None)] // in the other order
#[case([3, 5], None)] // with a gap
#[case([2, 3], Some(3))]
#[case([2, 2], Some(2))]
#[case([1, 4], Some(1))] // the header's last byte
#[case([4, 0], Some(0))]
fn separate(#[case] offsets: [u8; 2], #[case] offset: Option<u64>) {
    judge(&two_blobs(), &[&offsets[..], &[0; 5]].concat(), offset);
}

/// An index into a table that is decoded later, checked by a gate.
fn index_gate() -> Format {
    format(&format!(
        "records: {{H: {{fields: [{{name: i, type: u8, refers: {{index: xs}}}}]}}, X: {{fields: [{{name: x, type: u8}}]}}}}\n\
         regions: [{{name: h, record: H}}, {{name: xs, array: X, count: {{prefix: u8}}}}, {{name: ys, array: X, count: {{prefix: u8}}}}]\n\
         rules:\n{}{}{}{}",
        rule("B", "kind: bounds, region: h"),
        rule("C", "kind: bounds, region: xs"),
        rule("D", "kind: bounds, region: ys"),
        rule("R", "kind: within, field: h.i, gate: true"),
    ))
}

#[rstest]
#[case(&[0, 1, 7, 0], &[])]
#[case(&[1, 1, 7, 0], &[("R", 0)])]
#[case(&[1, 2, 7], &[("C", 3)])] // the table does not decode: it comes first
#[case(&[1, 1, 7, 5], &[("R", 0)])] // and what follows is no longer looked at
fn a_gate_waits_for_what_it_looks_at(#[case] file: &[u8], #[case] expected: &[(&str, u64)]) {
    let expected: Vec<_> = expected.iter().map(|(id, at)| ((*id).to_owned(), *at)).collect();
    assert_eq!(violations(&index_gate(), file), expected);
}
