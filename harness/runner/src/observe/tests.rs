//! Tables of memory and what is found in it.

use harness_protocol::HexBytes;
use harness_protocol::linked::{ExpectedImage, Patch, Piece, Segment, Sum, Way};
use rstest::rstest;

use super::memory::Absent;
use super::*;

const PAGE: u64 = 4096;
const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;

/// Memory that is written down: blocks with the line that `/proc/PID/maps` would have for them.
struct Written {
    blocks: Vec<(u64, Vec<u8>)>,
    mappings: Vec<Mapping>,
}

impl Written {
    fn new(blocks: &[(u64, &str, Vec<u8>)]) -> Self {
        let line = |(at, permissions, bytes): &(u64, &str, Vec<u8>)| {
            let end = (at + bytes.len() as u64).next_multiple_of(PAGE);
            Mapping::parse(&format!("{at:x}-{end:x} {permissions}p 0 00:00 0")).unwrap()
        };
        let mappings = blocks.iter().map(line).collect();
        let whole = |bytes: &Vec<u8>| {
            let mut bytes = bytes.clone();
            bytes.resize(bytes.len().next_multiple_of(PAGE as usize), 0);
            bytes
        };
        Self { blocks: blocks.iter().map(|(at, _, bytes)| (*at, whole(bytes))).collect(), mappings }
    }
}

impl Memory for Written {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Absent> {
        for (place, byte) in into.iter_mut().enumerate() {
            let at = address.wrapping_add(place as u64);
            let found = self.blocks.iter().find_map(|(start, bytes)| {
                bytes.get(usize::try_from(at.checked_sub(*start)?).ok()?)
            });
            *byte = *found.ok_or(Absent::Unreadable(at))?;
        }
        Ok(())
    }

    fn mappings(&self) -> Option<&[Mapping]> {
        Some(&self.mappings)
    }
}

fn segment(at: u64, permissions: &str) -> Segment {
    Segment { at, permissions: permissions.into() }
}

fn code(bytes: &[u8], size: u64, patches: Vec<Patch>) -> ExpectedImage {
    ExpectedImage {
        name: "code".into(),
        size,
        pieces: vec![Piece { at: 0, bytes: HexBytes(bytes.to_vec()) }],
        patches,
        segments: vec![segment(0, "rx")],
    }
}

fn data(size: u64) -> ExpectedImage {
    ExpectedImage {
        name: "data".into(),
        size,
        pieces: vec![Piece { at: 4, bytes: vec![1, 2, 3].into() }],
        patches: Vec::new(),
        segments: vec![segment(0, "rw"), segment(PAGE, "r")],
    }
}

fn patch(at: u64, width: u8, way: Way, symbol: Sum) -> Patch {
    // P is at `at` in the code image, A is −4.
    let constant = 0_u64.wrapping_sub(at).wrapping_sub(4);
    let rest = Sum { constant, plus: Vec::new(), minus: vec!["code".into()] };
    Patch { at, width, relocation: "rel".into(), way, symbol, rest }
}

fn reported(images: &[ExpectedImage]) -> Vec<Image> {
    let base = |name: &str| if name == "code" { CODE } else { DATA };
    let image = |image: &ExpectedImage| Image {
        name: image.name.clone(),
        base: base(&image.name),
        size: image.size,
        bytes: None,
    };
    images.iter().map(image).collect()
}

/// What is found when all is looked at.
fn found(expected: &[ExpectedImage], memory: &Written, what: &[Observe]) -> Option<String> {
    let vector = Vector { want: Want::Load, observe: what.to_vec(), ..Vector::default() };
    let expect = Expect { images: expected.to_vec(), ..Expect::default() };
    let asked = Asked { vector: &vector, expect: &expect, all_images: true };
    asked.compare(&reported(expected), memory, Observed::Seen).violation
}

/// Whether something was found that has `part` in its words.
#[track_caller]
fn assert_found(found: impl Into<Option<String>>, part: Option<&str>) {
    let found = found.into();
    assert_eq!(found.is_some(), part.is_some(), "{found:?}");
    assert!(found.as_deref().unwrap_or_default().contains(part.unwrap_or_default()), "{found:?}");
}

const BYTES: [Observe; 1] = [Observe::Bytes];

#[rstest]
#[case::as_expected(&[0x90, 0xc3], None)]
#[case::wrong(&[0x90, 0xcc], Some("image `code`, offset 0x1 holds cc, c3 was expected (code at 0x100000)"))]
#[case::not_zero_behind(&[0x90, 0xc3, 0, 7], Some("offset 0x3 holds 07"))]
#[case::what_is_behind_the_image_is_free(&[0x90, 0xc3, 0, 0, 7], None)]
fn bytes_are_compared(#[case] there: &[u8], #[case] cause: Option<&str>) {
    let memory = Written::new(&[(CODE, "r-x", there.to_vec())]);
    let image = code(&[0x90, 0xc3], 4, Vec::new());
    assert_found(found(&[image], &memory, &BYTES), cause);
}

#[test]
fn what_cannot_be_read_is_not_there() {
    let memory = Written::new(&[(CODE, "r-x", vec![0x90])]);
    let cause = found(&[code(&[0x90], PAGE + 1, Vec::new())], &memory, &BYTES);
    assert_found(cause, Some("image `code`, offset 0x1000 cannot be read"));
}

/// Counts what is read of zeros that do not end.
struct Endless(std::cell::Cell<u64>, u64);

impl Memory for Endless {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Absent> {
        self.0.set(self.0.get() + into.len() as u64);
        into.fill(0);
        if let Some(byte) =
            usize::try_from(self.1.wrapping_sub(address)).ok().and_then(|at| into.get_mut(at))
        {
            *byte = 1;
        }
        Ok(())
    }

    fn mappings(&self) -> Option<&[Mapping]> {
        None
    }
}

#[rstest]
#[case::nothing(u64::MAX, None)]
#[case::at_the_beginning(0xffff, Some("offset 0xffff holds 01"))]
#[case::at_the_end((1 << 30) - 1, Some("offset 0x3fffffff holds 01, 00 was expected"))]
fn long_zeros_are_sampled(#[case] wrong: u64, #[case] cause: Option<&str>) {
    let memory = Endless(std::cell::Cell::new(0), wrong);
    let image = ExpectedImage { pieces: Vec::new(), ..data(1 << 30) };
    let difference = bytes::difference(Placed { image: &image, base: 0 }, &memory);
    assert_found(difference, cause);
    assert!(memory.0.get() <= 1 << 20, "{} bytes were read", memory.0.get());
}

#[test]
fn a_page_that_is_not_cleared_shows_in_a_sample() {
    struct Dirty;
    impl Memory for Dirty {
        fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Absent> {
            let clear = (0x2_0000..0x1000_0000).contains(&address);
            into.fill(u8::from(!clear && address >= 0x1_0000));
            Ok(())
        }
        fn mappings(&self) -> Option<&[Mapping]> {
            None
        }
    }
    let image = ExpectedImage { pieces: Vec::new(), ..data(1 << 30) };
    assert!(bytes::difference(Placed { image: &image, base: 0 }, &Dirty).is_some());
}

/// Code with one relocated place of four bytes at offset 1, whose value is that of `symbol` − (P + 4).
fn relocated(
    way: Way,
    symbol: Sum,
    field: [u8; 4],
    extra: &[(u64, &str, Vec<u8>)],
) -> Option<String> {
    let image = code(&[0xe8, 0, 0, 0, 0, 0xc3], 6, vec![patch(1, 4, way, symbol)]);
    let mut bytes = vec![0xe8];
    bytes.extend(field);
    bytes.push(0xc3);
    let mut blocks = vec![(CODE, "r-x", bytes)];
    blocks.extend(extra.iter().cloned());
    found(&[image], &Written::new(&blocks), &BYTES)
}

/// The field that leads to `target`.
fn to(target: u64) -> [u8; 4] {
    let value = target.wrapping_sub(CODE + 5).to_le_bytes();
    [value[0], value[1], value[2], value[3]]
}

#[rstest]
#[case::right(Sum::in_image("code", 0x40), to(CODE + 0x40), None)]
#[case::behind(Sum::number(CODE + 0x40), to(CODE + 0x40), None)]
#[case::untouched(Sum::in_image("code", 0x40), [0; 4],
    Some("image `code`, offset 0x1, relocation rel: holds 00 00 00 00, 3b 00 00 00 was expected"))]
#[case::cut_off(Sum::in_image("code", 1 << 32), to(CODE), Some("the value 4294967291 does not fit in 32 bits"))]
#[case::just_too_far(Sum::in_image("code", 0x8000_0005), to(CODE + 0x8000_0005),
    Some("the value 2147483648 does not fit in 32 bits"))]
#[case::just_near_enough(Sum::in_image("code", 0x8000_0004), to(CODE + 0x8000_0004), None)]
#[case::no_such_image(Sum::in_image("tls", 0), [0; 4], Some("an image that is not reported"))]
fn places_hold_values(#[case] symbol: Sum, #[case] field: [u8; 4], #[case] cause: Option<&str>) {
    assert_found(relocated(Way::Direct, symbol, field, &[]), cause);
}

const FAR: u64 = 0x7f00_1234_5678;
const NEAR: u64 = CODE + 0x1_0000;

fn with_target(before: &[u8], after: &[u8]) -> Vec<u8> {
    [before, &FAR.to_le_bytes(), after].concat()
}

#[rstest]
#[case::through_a_register("r-x", with_target(&[0x49, 0xbb], &[0x41, 0xff, 0xe3]), None)]
#[case::through_rax("r-x", with_target(&[0x48, 0xb8], &[0xff, 0xe0]), None)]
#[case::landing_pad("r-x",
    with_target(&[0xf3, 0x0f, 0x1e, 0xfa, 0x49, 0xbb], &[0x41, 0xff, 0xe3]), None)]
#[case::through_memory("r-x", with_target(&[0xff, 0x25, 0, 0, 0, 0], &[]), None)]
#[case::mov_from_memory("r-x",
    with_target(&[0x4c, 0x8b, 0x1d, 3, 0, 0, 0, 0x41, 0xff, 0xe3], &[]), None)]
#[case::two_jumps("r-x", [&[0xe9, 0, 0, 0, 0][..], &with_target(&[0xff, 0x25, 0, 0, 0, 0], &[])].concat(), None)]
#[case::elsewhere("r-x", [&[0x49, 0xbb, 1, 2, 3, 4, 0, 0, 0, 0][..], &[0x41, 0xff, 0xe3]].concat(),
    Some("no stub: nothing is mapped at 0x4030201"))]
#[case::argument_register("r-x", with_target(&[0x48, 0xbf], &[0xff, 0xe7]), Some("the `mov` at 0x110000 is none of a stub"))]
#[case::unknown_register("r-x", vec![0x41, 0xff, 0xe3], Some("the `jmp` at 0x110000"))]
#[case::does_more("r-x", with_target(&[0x50, 0x49, 0xbb], &[0x41, 0xff, 0xe3]), Some("`push` stands at 0x110000"))]
#[case::a_call_is_no_jump("r-x", with_target(&[0xff, 0x15, 0, 0, 0, 0], &[]), Some("`call` stands at"))]
#[case::no_instruction("r-x", vec![0x06], Some("no instruction stands at 0x110000"))]
#[case::runs_in_circles("r-x", vec![0xeb, 0xfe], Some("8 instructions from 0x110000 do not reach 0x7f0012345678"))]
#[case::not_executable("r--", with_target(&[0xff, 0x25, 0, 0, 0, 0], &[]), Some("not in memory that is only executable"))]
#[case::writable("rwx", with_target(&[0xff, 0x25, 0, 0, 0, 0], &[]), Some("not in memory that is only executable"))]
fn stubs_are_followed(
    #[case] permissions: &str,
    #[case] stub: Vec<u8>,
    #[case] cause: Option<&str>,
) {
    let stub = [(NEAR, permissions, stub)];
    assert_found(relocated(Way::Stub, Sum::number(FAR), to(NEAR), &stub), cause);
}

#[test]
fn what_is_in_reach_needs_no_stub() {
    assert_found(relocated(Way::Stub, Sum::number(NEAR), to(NEAR), &[]), None);
    let astray = relocated(Way::Stub, Sum::number(NEAR), to(NEAR + 0x1000), &[]);
    assert_found(astray, Some("and no stub: nothing is mapped at 0x111000"));
}

#[test]
fn stubs_of_another_architecture_are_not_followed() {
    let vector = Vector {
        want: Want::Load,
        observe: BYTES.to_vec(),
        needs: harness_protocol::Needs {
            architecture: Some("arm64".into()),
            ..harness_protocol::Needs::default()
        },
        ..Vector::default()
    };
    let images = vec![code(&[0; 6], 6, vec![patch(1, 4, Way::Stub, Sum::number(FAR))])];
    let expect = Expect { images: images.clone(), ..Expect::default() };
    let asked = Asked { vector: &vector, expect: &expect, all_images: true };
    let memory = Written::new(&[(CODE, "r-x", vec![0; 6])]);
    let sight = asked.compare(&reported(&images), &memory, Observed::Seen);
    assert_found(sight.violation, Some("stubs are followed only in x86_64 code"));
}

#[rstest]
#[case::right(FAR.to_le_bytes().to_vec(), to(NEAR), None)]
#[case::other_content(vec![9; 8], to(NEAR),
    Some("a slot at 0x110000 with 09 09 09 09 09 09 09 09, 78 56 34 12 00 7f 00 00 was expected in it"))]
#[case::nowhere(vec![9; 8], to(NEAR + 0x1_0000), Some("a slot at 0x120000, which cannot be read"))]
#[case::untouched(FAR.to_le_bytes().to_vec(), [0; 4], Some("a slot at 0x100005 with c3 00"))]
fn slots_hold_the_symbol(
    #[case] slot: Vec<u8>,
    #[case] field: [u8; 4],
    #[case] cause: Option<&str>,
) {
    let extra = [(NEAR, "r--", slot)];
    assert_found(relocated(Way::Slot, Sum::number(FAR), field, &extra), cause);
}

#[test]
fn a_wide_place_holds_the_whole_address() {
    let wide = Patch { rest: Sum::number(2), ..patch(0, 8, Way::Direct, Sum::number(FAR)) };
    let image = code(&[0; 8], 8, vec![wide]);
    let right = Written::new(&[(CODE, "r-x", (FAR + 2).to_le_bytes().to_vec())]);
    assert_found(found(std::slice::from_ref(&image), &right, &BYTES), None);
    let wrong = Written::new(&[(CODE, "r-x", FAR.to_le_bytes().to_vec())]);
    let cause = Some("holds 78 56 34 12 00 7f 00 00, 7a 56 34 12 00 7f 00 00 was expected");
    assert_found(found(&[image], &wrong, &BYTES), cause);
}

#[rstest]
#[case::last_wins(&[1, 1, 2, 2, 2, 2], None)]
#[case::first_wins(&[1, 1, 1, 1, 2, 2], Some("offset 0x2"))]
#[case::first_lost(&[0, 0, 2, 2, 2, 2], Some("offset 0x0"))]
fn the_last_writer_of_a_byte_counts(#[case] there: &[u8], #[case] cause: Option<&str>) {
    let number = |at, number| Patch {
        rest: Sum::number(0),
        ..patch(at, 4, Way::Direct, Sum::number(number))
    };
    let image = code(&[], 6, vec![number(0, 0x0101_0101), number(2, 0x0202_0202)]);
    let memory = Written::new(&[(CODE, "r-x", there.to_vec())]);
    assert_found(found(&[image], &memory, &BYTES), cause);
}

const ALL: [Observe; 4] =
    [Observe::WriteXorExecute, Observe::Bytes, Observe::Permissions, Observe::Guard];

#[rstest]
#[case::as_expected("r-x", "rw-", "r--", None)]
#[case::code_is_writable(
    "rwx",
    "rw-",
    "r--",
    Some("image `code`, offset 0x0 allows rwx, must be rx")
)]
#[case::code_cannot_run("r--", "rw-", "r--", Some("image `code`, offset 0x0 allows r, must be rx"))]
#[case::data_can_run("r-x", "r-x", "r--", Some("image `data`, offset 0x0 allows rx, must be rw"))]
#[case::data_is_read_only(
    "r-x",
    "r--",
    "r--",
    Some("image `data`, offset 0x0 allows r, must be rw")
)]
#[case::constants_are_writable(
    "r-x",
    "rw-",
    "rw-",
    Some("image `data`, offset 0x1000 allows rw, must be r")
)]
#[case::sealed("r-x", "---", "r--", Some("image `data`, offset 0x0 allows nothing, must be rw"))]
fn permissions_are_exact(
    #[case] code_allows: &str,
    #[case] data_allows: &str,
    #[case] constants_allow: &str,
    #[case] cause: Option<&str>,
) {
    let images = [code(&[0xc3], 1, Vec::new()), data(PAGE + 1)];
    let memory = Written::new(&[
        (CODE, code_allows, vec![0xc3]),
        (DATA, data_allows, vec![0, 0, 0, 0, 1, 2, 3]),
        (DATA + PAGE, constants_allow, vec![0]),
    ]);
    assert_found(found(&images, &memory, &ALL), cause);
    let unasked = [Observe::Bytes, Observe::WriteXorExecute];
    assert_found(found(&images, &memory, &unasked), None);
}

#[rstest]
#[case::alone(0x8_0000, "rw-", None)]
#[case::before(CODE - PAGE, "rw-", Some("image `code`, memory right before its first page is in use: ff000-100000 rw-p"))]
#[case::behind(CODE + PAGE, "r--", Some("image `code`, memory right behind its last page is in use"))]
#[case::a_page_apart(CODE + 2 * PAGE, "r--", None)]
#[case::a_guard(CODE + PAGE, "---", None)]
fn images_have_no_neighbours(
    #[case] at: u64,
    #[case] permissions: &str,
    #[case] cause: Option<&str>,
) {
    let memory = Written::new(&[(CODE, "r-x", vec![0xc3]), (at, permissions, vec![0])]);
    assert_found(found(&[code(&[0xc3], 1, Vec::new())], &memory, &[Observe::Guard]), cause);
}

const CODE_LINE: &str = "1000-2000 r-xp 0 00:00 0";
const DATA_LINE: &str = "2000-3000 rw-p 0 00:00 0";
const BOTH_LINE: &str = "3000-4000 rwxp 0 00:00 0";

#[rstest]
#[case::clean(&[CODE_LINE, DATA_LINE], Some(0x1000), true, None)]
#[case::no_image_reported(&[CODE_LINE, DATA_LINE], None, true, None)]
#[case::both(&[CODE_LINE, BOTH_LINE], Some(0x1000), true, Some(BOTH_LINE))]
#[case::image_elsewhere(&[CODE_LINE], Some(0x9000), false, None)]
#[case::gone(&[], None, false, None)]
fn mappings_are_judged(
    #[case] lines: &[&str],
    #[case] base: Option<u64>,
    #[case] seen: bool,
    #[case] violation: Option<&str>,
) {
    let mappings: Vec<_> = lines.iter().filter_map(|line| Mapping::parse(line)).collect();
    let images: Vec<_> = base
        .map(|base| Image { name: "code".into(), base, size: 1, ..Image::default() })
        .into_iter()
        .collect();
    let vector =
        Vector { want: Want::Load, observe: vec![Observe::WriteXorExecute], ..Vector::default() };
    let asked = Asked { vector: &vector, expect: &vector.expect, all_images: true };
    let sight = at_exit(&mappings, &asked, &images, None);
    assert_eq!(sight.observed == Observed::Seen, seen);
    let violation = violation.map(|line| format!("a mapping is writable and executable: {line}"));
    assert_eq!(sight.violation, violation);
}

#[rstest]
#[case::right("9090c3", Observed::Reported, None)]
#[case::wrong("9090cc", Observed::Reported, Some("offset 0x2 holds cc, c3 was expected"))]
#[case::too_few("9090", Observed::Reported, Some("image `code` has 3 bytes, 2 are reported"))]
fn reported_bytes_stand_in(
    #[case] bytes: &str,
    #[case] observed: Observed,
    #[case] cause: Option<&str>,
) {
    let vector = Vector { want: Want::Load, observe: ALL.to_vec(), ..Vector::default() };
    let expect =
        Expect { images: vec![code(&[0x90, 0x90, 0xc3], 3, Vec::new())], ..Expect::default() };
    let asked = Asked { vector: &vector, expect: &expect, all_images: true };
    let mut images = reported(&expect.images);
    images[0].bytes = Some(serde_json::from_value(bytes.into()).unwrap());
    let elsewhere = [Mapping::parse(DATA_LINE).unwrap()];
    let sight = at_exit(&elsewhere, &asked, &images, None);
    assert_eq!(sight.observed, observed);
    assert_found(sight.violation, cause);
    images[0].bytes = None;
    let sight = at_exit(&elsewhere, &asked, &images, None);
    assert!(matches!(sight.observed, Observed::NotSeen(_)) && sight.violation.is_none());
}

#[test]
fn who_has_no_words_for_an_image_is_not_blamed_for_it() {
    let vector = Vector { want: Want::Load, observe: ALL.to_vec(), ..Vector::default() };
    let expect =
        Expect { images: vec![code(&[0xc3], 1, Vec::new()), data(8)], ..Expect::default() };
    let memory = Written::new(&[(CODE, "r-x", vec![0xc3])]);
    let images = reported(&expect.images[..1]);
    let sight = |all_images| {
        Asked { vector: &vector, expect: &expect, all_images }.compare(
            &images,
            &memory,
            Observed::Seen,
        )
    };
    assert_found(sight(true).violation, Some("image `data` is not reported"));
    assert!(sight(false).violation.is_none());
    assert!(matches!(sight(false).observed, Observed::NotSeen(_)));
}
