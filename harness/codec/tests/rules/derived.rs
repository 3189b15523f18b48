//! `derived`: offsets, sizes, counts, checksums and hashes.

use rstest::rstest;

use crate::{format, judge, rule};

/// One byte that `derive` computes, a byte, and a counted body of bytes.
fn header(width: &str, derive: &str) -> blobspec::Format {
    format(&format!(
        "records: {{H: {{fields: [{{name: x, type: {width}, derive: {{{derive}}}}}]}}, Y: {{fields: [{{name: y, type: u16}}]}}}}\n\
         regions:\n  - {{name: h, record: H}}\n  - {{name: ys, array: Y, count: {{prefix: u8}}}}\n  - {{name: rest, bytes: {{}}}}\n\
         rules:\n{}{}{}",
        rule("B", "kind: bounds, region: h"),
        rule("C", "kind: bounds, region: ys"),
        rule("R", "kind: derived, field: h.x"),
    ))
}

#[rstest]
#[case("offset_of: ys", &[1, 1, 0, 0], None)]
#[case("offset_of: ys", &[2, 1, 0, 0], Some(0))]
#[case("offset_of: rest", &[4, 1, 0, 0, 9], None)]
#[case("size_of: ys", &[3, 1, 0, 0], None)]
#[case("size_of: ys", &[2, 1, 0, 0], Some(0))]
#[case("size_of: rest", &[2, 0, 8, 9], None)]
#[case("size_of: file", &[4, 1, 0, 0], None)]
#[case("size_of: file", &[3, 1, 0, 0], Some(0))]
#[case("count_of: ys", &[1, 1, 0, 0], None)]
#[case("count_of: ys", &[0, 1, 0, 0], Some(0))]
fn layout(#[case] derive: &str, #[case] file: &[u8], #[case] offset: Option<u64>) {
    judge(&header("u8", derive), file, offset);
}

/// CRC-32 of `123456789` is cbf43926.
#[rstest]
#[case("from: rest, to: rest, checksum_reads: zero", b"\x26\x39\xf4\xcb\x00123456789", None)]
#[case("from: rest, to: rest, checksum_reads: zero", b"\x26\x39\xf4\xcc\x00123456789", Some(0))]
#[case("from: rest, to: rest, checksum_reads: zero", b"\x26\x39\xf4\xcb\x00123456780", Some(0))]
fn a_checksum_of_another_region(
    #[case] crc: &str,
    #[case] file: &[u8],
    #[case] offset: Option<u64>,
) {
    judge(&header("u32", &format!("crc32: {{{crc}}}")), file, offset);
}

#[rstest]
#[case("zero", &[0, 0, 0, 0, 0, 7])]
#[case("nothing", &[0, 7])]
fn a_checksum_that_covers_itself(#[case] reads: &str, #[case] covered: &[u8]) {
    let format = header("u32", &format!("crc32: {{from: h, to: rest, checksum_reads: {reads}}}"));
    let crc = crc32fast::hash(covered);
    let file = [&crc.to_le_bytes()[..], &[0, 7]].concat();
    judge(&format, &file, None);
    let wrong = [&(crc ^ 1).to_le_bytes()[..], &[0, 7]].concat();
    judge(&format, &wrong, Some(0));
}

/// FNV-1a of `add` is 993596020.
#[rstest]
#[case(993_596_020, 0, None)]
#[case(993_596_021, 0, Some(5))]
#[case(0x811c_9dc5, 3, None)] // the hash of nothing
fn a_hash_of_each_name(#[case] hash: u32, #[case] name: u32, #[case] offset: Option<u64>) {
    let format = format(&format!(
        "records: {{X: {{fields: [{{name: name, type: u32, refers: {{string: s}}}}, {{name: hash, type: u32, derive: {{fnv1a: {{name: name}}}}}}]}}}}\n\
         regions: [{{name: xs, array: X, count: {{prefix: u8}}}}, {{name: s, strings: {{}}}}]\nrules:\n{}{}",
        rule("B", "kind: bounds, region: xs"),
        rule("R", "kind: derived, field: xs.hash"),
    ));
    let file = [&[1], &name.to_le_bytes()[..], &hash.to_le_bytes(), b"add\0"].concat();
    judge(&format, &file, offset);
}

#[test]
fn big_endian_checksums_are_written_and_read_alike() {
    let yaml = "format: {id: t, title: T, version: '1', endian: big}\nclauses: [{id: c, quote: q}]\n\
        records: {H: {fields: [{name: x, type: u32, derive: {crc32: {from: body, to: body, checksum_reads: zero}}}]}}\n\
        regions: [{name: h, record: H}, {name: body, bytes: {}}]\nrules:\n\
        \x20 - {id: B, kind: bounds, region: h, stage: malformed, clause: c, why: w}\n\
        \x20 - {id: R, kind: derived, field: h.x, stage: invalid, clause: c, why: w}\n";
    let format = blobspec::Spec::load("t.yaml", yaml.as_bytes()).unwrap().format().clone();
    let file = b"\xcb\xf4\x39\x26123456789";
    judge(&format, file, None);
    let decoded = harness_codec::decode(&format, file);
    let draft = harness_codec::Draft::pinned(&format, &decoded.model, file).unwrap();
    let again = harness_codec::encode(&format, &draft.relaxed(&format)).unwrap();
    assert_eq!(again.bytes, file);
}
