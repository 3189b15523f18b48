//! `bounds`: what decodes, and at which offset it no longer does.

use rstest::rstest;

use crate::{format, judge, rule};

const TABLE: &str = "records: {X: {fields: [{name: x, type: u16}]}, H: {fields: [{name: at, type: u32}, {name: n, type: u32}]}}\n";

#[rstest]
#[case(&[0, 0], None)]
#[case(&[1, 0, 7, 7], None)]
#[case(&[1, 0, 7], Some(2))]
#[case(&[2, 0, 7, 7, 7], Some(4))]
#[case(&[0xff, 0xff, 7, 7], Some(4))]
#[case(&[1], Some(0))]
#[case(&[], Some(0))]
fn a_count_before_the_elements(#[case] file: &[u8], #[case] offset: Option<u64>) {
    let format = format(&format!(
        "{TABLE}regions: [{{name: xs, array: X, count: {{prefix: u16}}}}]\nrules:\n{}",
        rule("R", "kind: bounds, region: xs")
    ));
    judge(&format, file, offset);
}

/// Header of offset and count, and one element at 8.
#[rstest]
#[case(8, 1, None)]
#[case(8, 0, None)]
#[case(9, 1, Some(9))]
#[case(8, 2, Some(10))]
#[case(10, 0, None)] // an empty table at the very end
#[case(11, 0, Some(11))] // but not past it
#[case(0, 5, None)] // on top of the header: decodes; `separate` is what forbids it
#[case(0xffff_ffff, 1, Some(0xffff_ffff))]
#[case(0xffff_fffe, 1, Some(0xffff_fffe))] // the sum is 2^32
#[case(8, 0x8000_0001, Some(10))] // the product is 2 mod 2^32
fn a_table_at_an_offset(#[case] at: u32, #[case] n: u32, #[case] offset: Option<u64>) {
    let format = format(&format!(
        "{TABLE}regions: [{{name: h, record: H}}, {{name: xs, array: X, at: h.at, count: {{field: h.n}}}}]\nrules:\n{}{}",
        rule("B", "kind: bounds, region: h"),
        rule("R", "kind: bounds, region: xs")
    ));
    judge(&format, &[&at.to_le_bytes()[..], &n.to_le_bytes(), &[7, 7]].concat(), offset);
}

#[rstest]
#[case(8, 2, None)]
#[case(8, 3, Some(8))]
#[case(11, 0, Some(11))]
#[case(11, 0xffff_fff5, Some(11))]
fn bytes_at_an_offset(#[case] at: u32, #[case] n: u32, #[case] offset: Option<u64>) {
    let format = format(&format!(
        "{TABLE}regions: [{{name: h, record: H}}, {{name: b, at: h.at, bytes: {{size: h.n}}}}]\nrules:\n{}{}",
        rule("B", "kind: bounds, region: h"),
        rule("R", "kind: bounds, region: b")
    ));
    judge(&format, &[&at.to_le_bytes()[..], &n.to_le_bytes(), &[7, 7]].concat(), offset);
}

#[rstest]
#[case(b"\x02a\0b\0", None)]
#[case(b"\x02a\0b", Some(3))]
#[case(b"\x02a\0", Some(3))]
fn strings_without_their_nul(#[case] file: &[u8], #[case] offset: Option<u64>) {
    let format = format(&format!(
        "records: {{}}\nregions: [{{name: s, strings: {{}}, count: {{prefix: u8}}}}]\nrules:\n{}",
        rule("R", "kind: bounds, region: s")
    ));
    judge(&format, file, offset);
}

#[rstest]
#[case(b"\x04a\0\0", None)]
#[case(b"\x05a\0\0", None)] // a limit past the end is another rule's business
#[case(b"\x03a\0\0", None)]
#[case(b"\x02ab\0", Some(1))]
#[case(b"\x00", Some(1))] // the limit lies before the region
fn a_limit(#[case] file: &[u8], #[case] offset: Option<u64>) {
    let format = format(&format!(
        "records: {{H: {{fields: [{{name: end, type: u8}}]}}}}\n\
         regions: [{{name: h, record: H}}, {{name: s, strings: {{}}, count: {{field: 1}}, limit: h.end}}]\nrules:\n{}{}",
        rule("B", "kind: bounds, region: h"),
        rule("R", "kind: bounds, region: s")
    ));
    judge(&format, file, offset);
}

#[rstest]
#[case(&[], None)]
#[case(&[0], None)]
#[case(&[1, 0xaa, 0xbb], None)]
#[case(&[1, 0xaa], Some(1))] // the operand is cut
#[case(&[0, 2], Some(1))] // an opcode that means nothing
#[case(&[0, 0, 1], Some(3))]
fn instructions(#[case] file: &[u8], #[case] offset: Option<u64>) {
    let format = format(&format!(
        "records: {{}}\nopcodes: {{O: {{repr: u8, instructions: {{nop: {{code: 0}}, push: {{code: 1, operands: [{{name: v, type: u16}}]}}}}}}}}\n\
         regions: [{{name: code, stream: {{opcodes: O}}}}]\nrules:\n{}",
        rule("R", "kind: bounds, region: code")
    ));
    judge(&format, file, offset);
}

#[rstest]
#[case(&[1, 0, 0, 0, 7, 7], None)]
#[case(&[1, 9, 9, 9, 7, 7], None)] // what is skipped means nothing
#[case(&[1, 0, 0], Some(4))]
#[case(&[1, 0, 0, 0, 7], Some(4))]
fn an_aligned_region(#[case] file: &[u8], #[case] offset: Option<u64>) {
    let format = format(&format!(
        "records: {{H: {{fields: [{{name: a, type: u8}}]}}}}\n\
         regions: [{{name: h, record: H}}, {{name: b, align: 4, bytes: {{size: 2}}}}]\nrules:\n{}{}",
        rule("B", "kind: bounds, region: h"),
        rule("R", "kind: bounds, region: b")
    ));
    judge(&format, file, offset);
}
