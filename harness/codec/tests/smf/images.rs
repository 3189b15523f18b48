//! Where sections come to lie.

use rstest::rstest;

use crate::{
    BSS, CODE, DATA, FUNCTION, GLOBAL, LOCAL, OBJECT, RODATA, contents_at, file, linked, module,
    reported, smf,
};

/// Sections of type, virtual size and alignment without bytes in the file: where each lies, and the images' sizes.
fn layout(sections: &[(u32, u64, u64)]) -> (Vec<u64>, [u64; 2]) {
    let format = smf();
    let at = contents_at(sections.len() as u64);
    let sections: Vec<_> =
        sections.iter().map(|(kind, memory, align)| (*kind, at, 0, *memory, *align)).collect();
    let linked = linked(&format, &file(&sections, &[], &[]));
    let mut placed: Vec<(usize, u64)> =
        linked.images.iter().flat_map(|image| &image.sections).map(|s| (s.index, s.at)).collect();
    placed.sort_unstable();
    let sizes = [linked.images[0].size, linked.images[1].size];
    (placed.into_iter().map(|(_, at)| at).collect(), sizes)
}

#[rstest]
#[case::nothing(&[], &[], [0, 0])]
#[case::one(&[(CODE, 5, 16)], &[0], [5, 0])]
#[case::aligned(&[(CODE, 5, 1), (CODE, 3, 16), (CODE, 1, 2)], &[0, 16, 20], [21, 0])]
#[case::to_pages(&[(CODE, 1, 1), (CODE, 1, 4096)], &[0, 4096], [4097, 0])]
#[case::already_there(&[(CODE, 32, 1), (CODE, 1, 16)], &[0, 32], [33, 0])]
#[case::two_images(&[(DATA, 3, 1), (CODE, 7, 1), (DATA, 2, 4), (CODE, 1, 8)], &[0, 0, 4, 8], [9, 6])]
#[case::zeros_beside_data(&[(DATA, 3, 1), (BSS, 8, 8)], &[0, 8], [0, 16])]
#[case::constants_on_their_own_page(&[(DATA, 3, 1), (RODATA, 8, 8), (BSS, 1, 1)], &[0, 4096, 8192], [0, 8193])]
#[case::constants_first(&[(RODATA, 8, 8), (DATA, 3, 1)], &[0, 4096], [0, 4099])]
#[case::constants_side_by_side(&[(RODATA, 8, 8), (RODATA, 3, 16)], &[0, 16], [0, 19])]
#[case::on_a_page_end(&[(DATA, 4096, 1), (RODATA, 1, 1)], &[0, 4096], [0, 4097])]
#[case::past_a_page_end(&[(DATA, 4097, 1), (RODATA, 1, 1)], &[0, 8192], [0, 8193])]
#[case::code_between(&[(DATA, 1, 1), (CODE, 1, 1), (BSS, 1, 1)], &[0, 0, 1], [1, 2])]
#[case::empty_ones_count(&[(DATA, 1, 1), (RODATA, 0, 1), (DATA, 1, 1)], &[0, 4096, 4096], [0, 4097])]
#[case::an_empty_one_ends_it(&[(CODE, 1, 1), (CODE, 0, 64)], &[0, 64], [64, 0])]
fn places_and_sizes(
    #[case] sections: &[(u32, u64, u64)],
    #[case] places: &[u64],
    #[case] sizes: [u64; 2],
) {
    assert_eq!(layout(sections), (places.to_vec(), sizes));
}

/// 1 GiB is the most; what does not fit in 64 bits does not become small.
#[rstest]
#[case::all_of_it(&[(CODE, 1 << 30, 1)], None)]
#[case::one_more(&[(CODE, (1 << 30) + 1, 1)], Some(0))]
#[case::together(&[(CODE, 1 << 29, 1), (BSS, 1 << 29, 1)], None)]
#[case::together_one_more(&[(CODE, 1 << 29, 1), (BSS, (1 << 29) + 1, 1)], Some(1))]
#[case::by_alignment(&[(CODE, (1 << 30) - 15, 1), (CODE, 0, 16)], None)]
#[case::by_alignment_one_more(&[(CODE, (1 << 30) - 15, 1), (CODE, 1, 16)], Some(1))]
#[case::sum_is_zero(&[(CODE, 1 << 63, 1), (CODE, 1 << 63, 1)], Some(0))]
#[case::sum_wraps(&[(CODE, 16, 1), (CODE, u64::MAX - 15, 1)], Some(1))]
#[case::rounding_wraps(&[(BSS, 16, 1), (BSS, u64::MAX - 4096, 1), (RODATA, 1, 1)], Some(1))]
#[case::both_images_wrap(&[(CODE, 1 << 63, 1), (BSS, 1 << 63, 1)], Some(0))]
#[case::in_another_order(&[(BSS, 1 << 30, 1), (5, u64::MAX, 1), (CODE, 1, 1)], Some(2))]
fn the_size_of_all_images(#[case] sections: &[(u32, u64, u64)], #[case] index: Option<u64>) {
    let at = contents_at(sections.len() as u64);
    let records: Vec<_> =
        sections.iter().map(|(k, memory, align)| (*k, at, 0, *memory, *align)).collect();
    let expected = index.map(|index| ("SMF-IMAGE-SIZE".to_owned(), 72 + 56 * index));
    assert_eq!(reported(&file(&records, &[], &[])), expected);
}

/// The bytes of each image before relocation: file bytes, then zeros.
#[test]
fn what_the_file_does_not_have_is_zero() {
    let (format, at) = (smf(), contents_at(4));
    let sections =
        [(CODE, at, 2, 4, 1), (DATA, at + 2, 1, 2, 1), (CODE, at + 3, 3, 3, 8), (BSS, 0, 9, 2, 1)];
    let bytes = file(&sections, &[1, 2, 3, 4, 5, 6], &[]);
    let linked = linked(&format, &bytes);
    assert_eq!(linked.bytes(0, &bytes).unwrap(), [1, 2, 0, 0, 0, 0, 0, 0, 4, 5, 6]);
    assert_eq!(linked.bytes(1, &bytes).unwrap(), [3, 0, 0, 0]);
}

/// A symbol lies below the end of its image, and so does its last byte.
#[rstest]
#[case::first(FUNCTION, LOCAL, 0, 0, true)]
#[case::last(FUNCTION, LOCAL, 15, 0, true)]
#[case::last_byte(FUNCTION, GLOBAL, 15, 1, true)]
#[case::all(FUNCTION, GLOBAL, 0, 16, true)]
#[case::end(FUNCTION, LOCAL, 16, 0, false)]
#[case::past(FUNCTION, LOCAL, 15, 2, false)]
#[case::wraps(FUNCTION, LOCAL, 1, u64::MAX, false)]
#[case::data(OBJECT, LOCAL, 7, 1, true)]
#[case::data_end(OBJECT, LOCAL, 8, 0, false)]
#[case::an_import(OBJECT, GLOBAL, 0, 0, true)]
fn the_bounds_of_a_symbol(
    #[case] kind: u8,
    #[case] binding: u8,
    #[case] value: u64,
    #[case] size: u64,
    #[case] fits: bool,
) {
    let bytes = module(16, 8, &[("s", kind, binding, value, size)], &[]);
    let rule = if kind == FUNCTION { "SMF-SYMBOL-CODE-BOUNDS" } else { "SMF-SYMBOL-DATA-BOUNDS" };
    let expected = (!fits).then(|| (rule.to_owned(), contents_at(3) + 24));
    assert_eq!(reported(&bytes), expected);
}

/// In a module without code an imported function is fine, a defined one is not.
#[test]
fn a_module_without_code() {
    let none = module(0, 8, &[("f", FUNCTION, GLOBAL, 0, 0)], &[]);
    assert_eq!(reported(&none), None);
    let local = module(0, 8, &[("f", FUNCTION, LOCAL, 0, 0)], &[]);
    let record = contents_at(3) + 8;
    assert_eq!(reported(&local), Some(("SMF-SYMBOL-CODE-BOUNDS".to_owned(), record)));
}
