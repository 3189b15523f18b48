//! Every rule at its boundary, on the file of `files::full` with a few bytes changed.

use reference_loader::smf::{Error, Rule, no_imports, parse, validate};
use rstest::rstest;

use super::encode::*;
use super::files::{full, patched};

#[track_caller]
fn refuses(bytes: &[u8], rule: Rule, offset: u64) {
    let error = validate(bytes).unwrap_err();
    assert_eq!((error.rule(), error.offset()), (Some(rule), Some(offset)), "{error}");
    assert_eq!(error.stage(), Some(rule.stage()));
}

#[test]
fn everything_in_it_is_right() {
    validate(&full().encode()).unwrap();
}

#[rstest]
#[case::magic("3=01", Rule::HeaderMagic, 0)]
#[case::major("4=02", Rule::HeaderMajor, 4)]
#[case::major_zero("4=00 5=01", Rule::HeaderMajor, 4)]
#[case::minor("5=01", Rule::HeaderMinor, 5)]
#[case::section_count("12=ffffffff", Rule::SectionTableBounds, 896)] // the name of record 14
#[case::section_table_behind("16=8c03", Rule::SectionTableBounds, 908)]
#[case::section_table_far("16=ffffffffffffffff", Rule::SectionTableBounds, u64::MAX)]
#[case::section_type_zero("72=00", Rule::SectionType, 72)]
#[case::section_type_high("352=0a", Rule::SectionType, 352)]
#[case::section_type_wide("129=01", Rule::SectionType, 128)]
#[case::section_type_before_size("312=5f 352=00", Rule::SectionType, 352)]
#[case::reloc_size("312=5f", Rule::RelocSectionSize, 312)]
#[case::reloc_size_before_bounds("312=ffffff 80=ffff", Rule::RelocSectionSize, 312)]
#[case::section_end("360=8803", Rule::SectionBounds, 904)]
#[case::section_offset("360=8c03 368=00", Rule::SectionBounds, 908)]
#[case::section_wraps("360=fdffffffffffffff", Rule::SectionBounds, u64::MAX - 2)]
#[case::reloc_type("492=05", Rule::RelocType, 492)]
#[case::reloc_type_last("564=0401", Rule::RelocType, 564)]
#[case::reloc_type_before_symbols("492=05 24=8c03", Rule::RelocType, 492)]
#[case::symbol_count("32=09", Rule::SymbolTableBounds, 904)] // 584 + 8 × 40: neither does name_offset
#[case::symbol_count_huge("32=ffffffff", Rule::SymbolTableBounds, 904)]
#[case::symbols_behind("24=8c03 32=00", Rule::SymbolTableBounds, 908)]
#[case::symbol_type("592=00", Rule::SymbolType, 592)]
#[case::symbol_type_high("632=07", Rule::SymbolType, 632)]
#[case::symbol_type_before_binding("593=03 832=07", Rule::SymbolType, 832)]
#[case::symbol_binding("593=03", Rule::SymbolBinding, 593)]
fn what_does_not_decode(#[case] edits: &str, #[case] rule: Rule, #[case] offset: u64) {
    let bytes = patched(full().encode(), edits);
    refuses(&bytes, rule, offset);
    assert_eq!(parse(&bytes).unwrap_err().rule(), Some(rule));
}

#[rstest]
#[case::flags("8=23", Rule::HeaderFlags, 8)]
#[case::flags_high("11=80", Rule::HeaderFlags, 8)]
#[case::reserved("64=01", Rule::HeaderReserved, 64)]
#[case::reserved_last("71=01", Rule::HeaderReserved, 64)]
#[case::entry("40=28", Rule::HeaderEntry, 0)]
#[case::entry_far("40=ffffffffffffffff", Rule::HeaderEntry, 0)]
#[case::no_entry("8=02 40=01", Rule::HeaderNoEntry, 40)]
#[case::exported("36=04", Rule::HeaderExported, 36)]
#[case::exported_few("36=02", Rule::HeaderExported, 36)]
#[case::section_in_header("360=4400", Rule::SectionOverlap, 68)]
#[case::section_in_section("360=c301", Rule::SectionOverlap, 451)]
#[case::same_start("360=c001", Rule::SectionOverlap, 448)]
#[case::virtual_size("96=1f", Rule::SectionVirtualSize, 96)]
#[case::virtual_size_rodata("152=07", Rule::SectionVirtualSize, 152)]
#[case::virtual_size_data("208=07", Rule::SectionVirtualSize, 208)]
#[case::align_zero("104=00", Rule::SectionAlignRange, 104)]
#[case::align_high("272=0020", Rule::SectionAlignRange, 272)]
#[case::align_power("216=0c", Rule::SectionAlignPower, 216)]
#[case::align_bss("272=0300", Rule::SectionAlignPower, 272)]
#[case::name("584=2b", Rule::SymbolName, 584)]
#[case::name_far("824=ffffffff", Rule::SymbolName, 824)]
#[case::name_unterminated("906=21", Rule::SymbolName, 824)]
#[case::name_utf8("864=ff", Rule::SymbolNameUtf8, 584)]
#[case::hash("588=00", Rule::SymbolHash, 588)]
#[case::hash_of_an_import("748=00", Rule::SymbolHash, 748)]
#[case::function_end("608=29", Rule::SymbolCodeBounds, 584)]
#[case::function_start("640=28 648=00", Rule::SymbolCodeBounds, 624)]
#[case::function_wraps("640=ffffffffffffffff", Rule::SymbolCodeBounds, 624)]
#[case::local_without_size("640=28 648=00", Rule::SymbolCodeBounds, 624)]
#[case::data_end("720=2910", Rule::SymbolDataBounds, 704)]
#[case::constant_start("680=3010 688=00", Rule::SymbolDataBounds, 664)]
#[case::reloc_symbol("488=07", Rule::RelocSymbol, 488)]
#[case::reloc_symbol_of_none("488=07 492=00", Rule::RelocSymbol, 488)]
#[case::reloc_symbol_type("488=06", Rule::RelocSymbolType, 488)]
#[case::reloc_bounds("552=25", Rule::RelocBounds, 552)]
#[case::reloc_bounds_of_none("552=29 564=00", Rule::RelocBounds, 552)]
#[case::reloc_bounds_far("552=ffffffffffffffff", Rule::RelocBounds, 552)]
#[case::reloc_overlap("552=15", Rule::RelocOverlap, 552)]
#[case::reloc_overlap_before("552=0d", Rule::RelocOverlap, 528)] // 13..17 is found before 16..24
#[case::image_size("264=0000004000000000", Rule::ImageSize, 240)]
#[case::compressed("8=13", Rule::HeaderCompressed, 8)]
#[case::platform("6=04", Rule::HeaderPlatform, 6)]
#[case::arch("7=02", Rule::HeaderArch, 7)]
fn what_breaks_one_rule(#[case] edits: &str, #[case] rule: Rule, #[case] offset: u64) {
    let bytes = patched(full().encode(), edits);
    refuses(&bytes, rule, offset);
    parse(&bytes).unwrap();
}

#[rstest]
#[case::flags("8=0f")]
#[case::windows("6=02")]
#[case::macos("6=03")]
#[case::section_flags("76=ffffffff")]
#[case::section_name("112=ffffffffffffffffffffffffffffffff")]
#[case::reloc_size_of_another("368=03")]
#[case::empty_section_at_the_end("360=8b03 368=00")]
#[case::empty_section_in_a_section("360=a101 368=00")]
#[case::bss_offset("248=ffffffffffffffff 256=ffffffffffffffff")]
#[case::tables_may_overlap_sections("360=4802")]
#[case::entry("40=27")]
#[case::no_entry("8=02 40=00")]
#[case::section_after_the_header("360=4800")]
#[case::virtual_size("96=2800 88=2000")]
#[case::virtual_size_exact("208=08")]
#[case::align_of_what_is_not_mapped("384=0300")]
#[case::align_highest("272=0010")]
#[case::padding("596=ffffffff")]
#[case::hints("594=ffff 616=ffffffffffffffff")]
#[case::name_of_nothing("584=04 588=c59d1c81")]
#[case::name_tail("584=01 588=05b01a1f")]
#[case::function_end("608=28")]
#[case::function_start("640=27 648=01")]
#[case::data_end("720=2810")]
#[case::type_is_no_address("840=ffffffffffffffff 848=ffffffffffffffff")]
#[case::reloc_none_of_a_type("488=06 492=00")]
#[case::reloc_bounds("552=24")]
#[case::reloc_bounds_of_none("552=28 564=00")]
#[case::reloc_beside("552=18")]
#[case::reloc_none_on_another("552=10 564=00")]
#[case::reloc_order("480=20 552=00")]
#[case::no_sections_needed_for_imports("32=00 36=00 312=00 8=00")]
fn what_is_just_right(#[case] edits: &str) {
    let mut bytes = patched(full().encode(), edits);
    if edits.starts_with("584=01") {
        bytes[588..592].copy_from_slice(&fnv1a(b"ain").to_le_bytes());
    }
    validate(&bytes).unwrap();
}

#[test]
fn the_section_table_comes_after_the_header() {
    let bytes = patched(full().encode(), "12=01 16=4700");
    assert!(parse(&bytes).is_err(), "what lies there is no section");
    let mut bytes = vec![0; 200];
    bytes[..72].copy_from_slice(&Smf::default().encode()[..72]);
    bytes[12] = 1; // one section, of the type that stands at 71
    bytes[24] = 200;
    for (start, wrong) in [(70_usize, true), (72, false)] {
        bytes[16] = start as u8;
        bytes[72..].fill(0);
        bytes[start + 3..][..5].fill(0);
        bytes[start..][..4].copy_from_slice(&7_u32.to_le_bytes());
        if wrong {
            bytes[64..72].fill(0);
            bytes[start] = 7; // one of the reserved bytes: that rule comes first
            refuses(&bytes, Rule::HeaderReserved, 64);
        } else {
            bytes[64..72].fill(0);
            validate(&bytes).unwrap();
        }
    }
}

/// A file of one section at `start`, where the fields of the header make a section of type Version.
#[test]
fn a_section_table_in_the_header() {
    let mut file = Smf::default().encode();
    file.resize(40 + 56, 0);
    file[12] = 1;
    file[16] = 40;
    file[24] = 96;
    file[40] = 8; // entry_point 8, which is type 8 at the same time
    file[48..56].fill(0); // module_hash, the offset
    file[56..64].fill(0); // source_hash, the size
    refuses(&file, Rule::HeaderNoEntry, 40);
    file[40] = 0;
    file[16] = 48; // module_hash as the type
    file.resize(104, 0);
    file[24] = 104;
    file[48] = 8;
    refuses(&file, Rule::SectionTablePlace, 48);
}

#[rstest]
#[case(4095, None)]
#[case(4096, Some(Rule::SymbolNameLength))]
fn names_have_a_longest(#[case] length: usize, #[case] rule: Option<Rule>) {
    let name = "a".repeat(length);
    let file = Smf { symbols: vec![import(&name, FUNCTION, GLOBAL)], ..Smf::default() };
    assert_eq!(validate(&file.encode()).err().and_then(|error| error.rule()), rule);
}

#[rstest]
#[case(0x4000_0000, None)]
#[case(0x4000_0001, Some(128))]
fn both_images_count(#[case] total: u64, #[case] offset: Option<u64>) {
    let code = Section { virtual_size: 0x1000_0000, ..section(CODE, 1, &[]) };
    let sections = vec![code, bss(1, total - 0x1000_0000)];
    let file = Smf { sections, ..Smf::default() }.encode();
    assert_eq!(validate(&file).err().and_then(|error| error.offset()), offset);
}

#[test]
fn sizes_that_exceed_64_bits_are_too_large() {
    let sections = vec![bss(1, u64::MAX), bss(4096, u64::MAX)];
    refuses(&Smf { sections, ..Smf::default() }.encode(), Rule::ImageSize, 72);
}

#[test]
fn the_first_rule_is_reported() {
    // Unsupported after invalid, then the order of the rules, then the offset.
    let bytes = patched(full().encode(), "7=02 608=29 588=00 748=00");
    refuses(&bytes, Rule::SymbolHash, 588);
}

#[rstest]
#[case::section_twice(&[0, 0])]
#[case::sections_crosswise(&[0, 24, 48])]
fn reloc_sections_that_share_bytes_are_still_decoded(#[case] starts: &[u64]) {
    let records = [relocation(0, 0, NONE, 0); 8];
    let mut sections = vec![relocs(&records)];
    sections.extend(starts.iter().map(|_| relocs(&records)));
    let shared = |edit: &dyn Fn(&mut [u8])| {
        let mut file = Smf { sections: sections.clone(), ..Smf::default() }.encode();
        let first = u64::from_le_bytes(file[80..88].try_into().unwrap());
        for (index, start) in starts.iter().enumerate() {
            let record = 72 + 56 * (index + 1);
            file[record + 8..record + 16].copy_from_slice(&(first + start).to_le_bytes());
        }
        let symbols = (first + 24 * 11) as usize; // room for the longest
        file.truncate(symbols);
        file.resize(symbols, 0);
        file[24..32].copy_from_slice(&(symbols as u64).to_le_bytes());
        edit(&mut file[first as usize..]);
        file
    };
    let good = shared(&|_| {});
    assert_eq!(validate(&good).unwrap_err().rule(), Some(Rule::SectionOverlap));
    let bad = shared(&|contents| contents[5 * 24 + 12] = 9);
    assert_eq!(parse(&bad).unwrap_err().rule(), Some(Rule::RelocType));
    let first = u64::from_le_bytes(bad[80..88].try_into().unwrap());
    assert_eq!(parse(&bad).unwrap_err().offset(), Some(first + 5 * 24 + 12));
}

#[rstest]
#[case::windows("6=02", Rule::HostPlatform, 6)]
#[case::macos("6=03", Rule::HostPlatform, 6)]
fn other_platforms_are_valid_and_do_not_load(
    #[case] edits: &str,
    #[case] rule: Rule,
    #[case] offset: u64,
) {
    let bytes = patched(full().encode(), edits);
    validate(&bytes).unwrap();
    let error = reference_loader::smf::Module::load(&bytes, &no_imports).unwrap_err();
    assert_eq!((error.rule(), error.offset()), (Some(rule), Some(offset)));
}

#[test]
fn other_processors_are_valid_and_do_not_load() {
    let file = Smf { arch: 1 - Smf::default().arch, ..full() }.encode();
    validate(&file).unwrap();
    let error = reference_loader::smf::Module::load(&file, &no_imports).unwrap_err();
    assert!(matches!(error, Error::ForeignArchitecture { offset: 7, .. }));
    assert_eq!((error.rule(), error.offset()), (None, Some(7)));
}
