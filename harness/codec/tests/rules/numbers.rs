//! `align`, `fits`, `disjoint` and `unique` by number.

use rstest::rstest;

use crate::{format, judge, one_record, rule};

#[rstest]
#[case(0, None)]
#[case(3, Some(0))]
#[case(4, None)]
#[case(5, Some(0))]
fn align(#[case] value: u8, #[case] offset: Option<u64>) {
    judge(
        &one_record("{name: x, type: u8}", "", "kind: align, field: h.x, to: 4"),
        &[value],
        offset,
    );
}

const CODES: &str =
    "enums: {E: {repr: u8, values: {one: {code: 1, align: 1}, two: {code: 2, align: h.unit}}}}\n";

#[rstest]
#[case([1, 3, 4], None)]
#[case([2, 3, 4], Some(1))]
#[case([2, 8, 4], None)]
#[case([2, 3, 0], None)] // a multiple of nothing: not this rule's business
#[case([7, 3, 4], None)] // an unknown code has no attributes
fn align_to_an_attribute(#[case] file: [u8; 3], #[case] offset: Option<u64>) {
    let fields = "{name: e, type: E}, {name: x, type: u8}, {name: unit, type: u8}";
    judge(&one_record(fields, CODES, "kind: align, field: h.x, to: h.e.align"), &file, offset);
}

/// Parents with a size and a counted list of parts, each with a start and a length in a nested record.
fn parts(what: &str) -> blobspec::Format {
    format(&format!(
        "records:\n  P: {{fields: [{{name: size, type: u64}}, {{name: n, type: u8}}, {{name: parts, type: \"Part[n]\"}}]}}\n\
         \x20 Part: {{fields: [{{name: where, type: Where}}]}}\n\
         \x20 Where: {{fields: [{{name: start, type: u64}}, {{name: length, type: u64}}]}}\n\
         regions: [{{name: ps, array: P, count: {{prefix: u8}}}}]\nrules:\n{}{}",
        rule("B", "kind: bounds, region: ps"),
        rule("R", what),
    ))
}

fn parent(size: u64, parts: &[(u64, u64)]) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend(size.to_le_bytes());
    bytes.push(u8::try_from(parts.len()).unwrap());
    for (start, length) in parts {
        bytes.extend(start.to_le_bytes());
        bytes.extend(length.to_le_bytes());
    }
    bytes
}

#[rstest]
#[case(10, (0, 10), None)]
#[case(10, (1, 10), Some(10))]
#[case(10, (10, 0), None)]
#[case(10, (11, 0), Some(10))]
#[case(u64::MAX, (u64::MAX, 1), Some(10))] // the sum is 2^64
#[case(10, (u64::MAX, 2), Some(10))] // and here it would wrap to 1
fn fits(#[case] size: u64, #[case] part: (u64, u64), #[case] offset: Option<u64>) {
    let what =
        "kind: fits, each: ps.parts, start: where.start, length: where.length, size: ps.size";
    judge(&parts(what), &parent(size, &[part]), offset);
}

#[rstest]
#[case(&[(0, 4), (4, 4)], None)]
#[case(&[(4, 4), (0, 4)], None)]
#[case(&[(0, 4), (3, 4)], Some(26))]
#[case(&[(3, 4), (0, 4)], Some(10))] // the later start, not the later entry
#[case(&[(0, 9), (1, 1), (20, 1)], Some(26))]
#[case(&[(0, 9), (3, 0)], None)] // nothing overlaps nothing
#[case(&[(u64::MAX, u64::MAX), (0, 1)], None)]
fn disjoint(#[case] ranges: &[(u64, u64)], #[case] offset: Option<u64>) {
    let what = "kind: disjoint, each: ps.parts, start: where.start, length: where.length";
    judge(&parts(what), &parent(0, ranges), offset);
}

#[test]
fn parts_of_different_parents_may_overlap() {
    let what = "kind: disjoint, each: ps.parts, start: where.start, length: where.length";
    let mut file = parent(0, &[(0, 4)]);
    file.extend_from_slice(&file.clone()[1..]);
    file[0] = 2;
    judge(&parts(what), &file, None);
}

#[rstest]
#[case(&[1, 2, 3], None)]
#[case(&[1, 2, 1], Some(3))]
#[case(&[], None)]
fn unique(#[case] ids: &[u8], #[case] offset: Option<u64>) {
    let format = format(&format!(
        "records: {{X: {{fields: [{{name: id, type: u8}}]}}}}\nregions: [{{name: xs, array: X, count: {{prefix: u8}}}}]\nrules:\n{}{}",
        rule("B", "kind: bounds, region: xs"),
        rule("R", "kind: unique, field: xs.id"),
    ));
    judge(&format, &[&[u8::try_from(ids.len()).unwrap()], ids].concat(), offset);
}
