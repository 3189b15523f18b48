//! Which of several violations a file is reported by.

use rstest::rstest;

use crate::{
    ABS64, BSS, CODE, DATA, FUNCTION, GLOBAL, LOCAL, NONE, RELOC, RODATA, Relocation, contents_at,
    file, module, relocation, reported,
};

#[track_caller]
fn first(file: &[u8], rule: &str, offset: u64) {
    assert_eq!(reported(file), Some((rule.to_owned(), offset)));
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Two Reloc sections, the first in the table behind the second in the file.
fn crossed(first: Relocation, second: Relocation) -> Vec<u8> {
    let at = contents_at(3);
    let sections = [(RELOC, at + 24, 24, 0, 0), (RELOC, at, 24, 0, 0), (CODE, at + 48, 32, 32, 16)];
    let contents = [relocation(second), relocation(first), vec![0xc3; 32]].concat();
    file(&sections, &contents, &[("f", FUNCTION, LOCAL, 0, 1)])
}

#[test]
fn relocations_are_looked_at_in_the_order_of_the_table() {
    let at = contents_at(3);
    assert_eq!(reported(&crossed((0, 0, ABS64, 0), (8, 0, ABS64, 0))), None);
    let both = crossed((0, 0, 9, 0), (8, 0, 9, 0));
    first(&both, "SMF-RELOC-TYPE", at + 24 + 12);
    // Rules that are not checked while decoding are reported by the lowest offset.
    let both = crossed((0, 1, ABS64, 0), (8, 1, ABS64, 0));
    first(&both, "SMF-RELOC-SYMBOL", at + 8);
}

/// One byte of the header at a time, with everything after it wrong as well.
#[test]
fn the_header_comes_first() {
    let mut file = module(16, 0, &[], &[]);
    put(&mut file, 72, &[0xff]); // the type of the first section
    first(&file, "SMF-SECTION-TYPE", 72);
    put(&mut file, 12, &[9]); // section_count
    first(&file, "SMF-SECTION-TABLE-BOUNDS", 72 + 3 * 56 + 16);
    put(&mut file, 16, &[0xff; 8]); // section_table_offset
    first(&file, "SMF-SECTION-TABLE-BOUNDS", u64::MAX);
    put(&mut file, 5, &[1]);
    first(&file, "SMF-HEADER-MINOR", 5);
    put(&mut file, 4, &[2]);
    first(&file, "SMF-HEADER-MAJOR", 4);
    put(&mut file, 0, b"ELF");
    first(&file, "SMF-HEADER-MAGIC", 0);
    first(&file[..71], "SMF-HEADER-BOUNDS", 64);
    first(&file[..3], "SMF-HEADER-BOUNDS", 0);
    first(&[], "SMF-HEADER-BOUNDS", 0);
}

/// Size of a Reloc section before the bounds of any section; types of relocations before the symbol table.
#[test]
fn tables_come_in_the_order_of_the_document() {
    let mut file = module(16, 0, &[("f", FUNCTION, LOCAL, 0, 1)], &[(0, 0, 7, 0)]);
    let at = usize::try_from(contents_at(3)).unwrap();
    put(&mut file, 32, &[0xff; 4]); // symbol_count
    first(&file, "SMF-RELOC-TYPE", contents_at(3) + 16 + 12);
    put(&mut file, at + 16 + 12, &[0]);
    let after = file.len() as u64;
    let symbols = contents_at(3) + 16 + 24;
    // One symbol and the name `f`: the name of the second fits in part, its first four bytes do not.
    assert_eq!(after, symbols + 40 + 2);
    first(&file, "SMF-SYMBOL-TABLE-BOUNDS", symbols + 40);
    put(&mut file, 72 + 8, &[0xff; 8]); // offset of the code
    first(&file, "SMF-SECTION-BOUNDS", u64::MAX);
    put(&mut file, 72 + 112 + 16, &[23]); // size of the relocations
    first(&file, "SMF-RELOC-SECTION-SIZE", 72 + 112 + 16);
}

#[rstest]
#[case::ends_with_the_file(0, 2, None)]
#[case::one_past(0, 3, Some(0))]
#[case::starts_at_the_end(2, 0, None)]
#[case::starts_past_the_end(3, 0, Some(3))]
#[case::wraps_to_its_start(1, u64::MAX, Some(1))]
#[case::wraps_to_zero(2, u64::MAX - 150, Some(2))]
fn the_bytes_of_a_section(#[case] from: u64, #[case] size: u64, #[case] offset: Option<u64>) {
    let at = contents_at(1);
    let bytes = file(&[(CODE, at + from, size, 2, 1)], &[0xc3; 2], &[]);
    let expected = offset.map(|offset| ("SMF-SECTION-BOUNDS".to_owned(), at + offset));
    assert_eq!(reported(&bytes), expected);
}

#[test]
fn bss_has_no_bytes_in_the_file() {
    let at = contents_at(2);
    let sections = [(CODE, at, 2, 2, 1), (BSS, u64::MAX, u64::MAX, 8, 8)];
    assert_eq!(reported(&file(&sections, &[0xc3; 2], &[])), None);
    // The same numbers on any other type are out of bounds.
    for kind in [DATA, RODATA] {
        let sections = [(CODE, at, 2, 2, 1), (kind, u64::MAX, u64::MAX, 8, 8)];
        first(&file(&sections, &[0xc3; 2], &[]), "SMF-SECTION-BOUNDS", u64::MAX);
    }
}

#[rstest]
#[case::apart(0, 4, 4, 4, None)]
#[case::in_the_other_order(4, 4, 0, 4, None)]
#[case::one_byte(0, 5, 4, 4, Some(4))]
#[case::the_other_way(4, 4, 0, 5, Some(4))]
#[case::inside(0, 8, 2, 1, Some(2))]
#[case::the_same(2, 4, 2, 4, Some(2))]
#[case::empty_inside(0, 8, 2, 0, None)]
fn bytes_of_two_sections(
    #[case] first: u64,
    #[case] first_size: u64,
    #[case] second: u64,
    #[case] second_size: u64,
    #[case] offset: Option<u64>,
) {
    let at = contents_at(2);
    let sections = [(CODE, at + first, first_size, 8, 1), (DATA, at + second, second_size, 8, 1)];
    let expected = offset.map(|offset| ("SMF-SECTION-OVERLAP".to_owned(), at + offset));
    assert_eq!(reported(&file(&sections, &[7; 8], &[])), expected);
}

/// An alignment of Reloc and other unmapped sections means nothing.
#[rstest]
#[case(CODE, 0, Some("SMF-SECTION-ALIGN-RANGE"))]
#[case(CODE, 4096, None)]
#[case(CODE, 8192, Some("SMF-SECTION-ALIGN-RANGE"))]
#[case(CODE, 4097, Some("SMF-SECTION-ALIGN-RANGE"))]
#[case(BSS, 24, Some("SMF-SECTION-ALIGN-POWER"))]
#[case(RODATA, 3, Some("SMF-SECTION-ALIGN-POWER"))]
#[case(RELOC, 3, None)]
#[case(5, u64::MAX, None)]
fn alignments(#[case] kind: u32, #[case] align: u64, #[case] rule: Option<&str>) {
    let bytes = file(&[(kind, contents_at(1), 0, 8, align)], &[], &[]);
    let expected = rule.map(|rule| (rule.to_owned(), 72 + 32));
    assert_eq!(reported(&bytes), expected);
}

#[rstest]
#[case::first(0, None)]
#[case::last(1, None)]
#[case::past(2, Some("SMF-RELOC-SYMBOL"))]
#[case::far(u32::MAX, Some("SMF-RELOC-SYMBOL"))]
fn the_symbol_of_a_relocation(#[case] index: u32, #[case] rule: Option<&str>) {
    for kind in [NONE, ABS64] {
        let symbols = [("f", FUNCTION, LOCAL, 0, 1), ("g", FUNCTION, GLOBAL, 1, 1)];
        let bytes = module(16, 0, &symbols, &[(0, index, kind, 0)]);
        let expected = rule.map(|rule| (rule.to_owned(), contents_at(3) + 16 + 8));
        assert_eq!(reported(&bytes), expected);
    }
}

/// Type, Trait and Actor are not addresses, but None does not use the symbol.
#[rstest]
#[case(3)]
#[case(4)]
#[case(5)]
fn a_symbol_that_is_no_address(#[case] kind: u8) {
    let symbols = [("t", kind, LOCAL, 1 << 40, 0)];
    assert_eq!(reported(&module(16, 0, &symbols, &[(0, 0, NONE, 0)])), None);
    first(
        &module(16, 0, &symbols, &[(0, 0, ABS64, 0)]),
        "SMF-RELOC-SYMBOL-TYPE",
        contents_at(3) + 16 + 8,
    );
}

/// Three places of which the first in the file reaches into the other two: those two are the overlaps.
#[test]
fn overlaps_are_reported_by_the_lowest_record() {
    let symbols = [("f", FUNCTION, LOCAL, 0, 1)];
    let record = contents_at(3) + 32;
    let touching = [(8, 0, ABS64, 0), (0, 0, ABS64, 0), (16, 0, ABS64, 0)];
    assert_eq!(reported(&module(32, 0, &symbols, &touching)), None);
    let chain = [(8, 0, ABS64, 0), (1, 0, ABS64, 0), (15, 0, ABS64, 0)];
    first(&module(32, 0, &symbols, &chain), "SMF-RELOC-OVERLAP", record);
    let none = [(8, 0, ABS64, 0), (9, 0, NONE, 0)];
    assert_eq!(reported(&module(32, 0, &symbols, &none)), None);
}

#[test]
fn overlaps_are_found_across_sections() {
    let at = contents_at(3);
    let bytes = crossed((0, 0, ABS64, 0), (7, 0, ABS64, 0));
    first(&bytes, "SMF-RELOC-OVERLAP", at);
    assert_eq!(reported(&crossed((0, 0, ABS64, 0), (8, 0, ABS64, 0))), None);
}
