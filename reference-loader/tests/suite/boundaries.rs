//! Each rule on both sides of its boundary: what is still accepted, what no more, and which byte is to blame.

use reference_loader::{Rule, validate};
use rstest::rstest;

use crate::encode::{Function, Scp, Type};
use crate::files::{full, patched, texts};

fn verdict(file: &[u8]) -> Option<(Rule, u64)> {
    let error = validate(file).err()?;
    let (rule, offset) = (error.rule().unwrap(), error.offset().unwrap());
    assert_eq!(error.stage(), Some(rule.stage()));
    assert!(error.to_string().ends_with(&format!("(at offset {offset:#x})")), "{error}");
    Some((rule, offset))
}

#[rstest]
#[case::nothing("")]
#[case::arm64("20=01")]
#[case::x86_32("20=02")]
#[case::stdcall_on_64_bit("21=01")]
#[case::system("21=02")]
#[case::thread_safe("22=01")]
#[case::last_entry("40=07")]
#[case::void_result("51=00")]
#[case::pure("52=01")]
#[case::struct_ref_result("51=0b")]
#[case::last_id("95=ffff")]
#[case::two_types_of_one_name("97=08")]
#[case::pointer_fills_a_structure("89=0a")]
#[case::fields_overlap("90=02")]
#[case::narrow_pointer_on_x86_32("20=02 94=0b")]
#[case::any_version("114=00000000")]
fn accepted(#[case] edits: &str) {
    assert_eq!(verdict(&patched(edits)), None);
}

#[rstest]
#[case::magic_first("0=73", Rule::HeaderMagic, 0)]
#[case::magic_last("3=01", Rule::HeaderMagic, 0)]
#[case::magic_as_value("0=00504353", Rule::HeaderMagic, 0)]
#[case::major("4=01", Rule::HeaderMajor, 4)]
#[case::major_high_byte("5=01", Rule::HeaderMajor, 4)]
#[case::minor_above("6=02", Rule::HeaderMinor, 6)]
#[case::minor_below("6=00", Rule::HeaderMinor, 6)]
#[case::major_before_minor("4=010002", Rule::HeaderMajor, 4)]
#[case::minor_before_size("6=02009e", Rule::HeaderMinor, 6)]
#[case::header_past_file("8=9e", Rule::HeaderSize, 8)]
#[case::header_is_file("8=9d", Rule::CodeBounds, 157)]
#[case::code_past_file("12=09", Rule::CodeBounds, 149)]
#[case::code_past_everything("12=ffffffffffffffff", Rule::CodeBounds, 149)]
#[case::code_short("12=07", Rule::FileTrailing, 156)]
#[case::architecture("20=03", Rule::HeaderArchitecture, 20)]
#[case::convention("21=03", Rule::HeaderConvention, 21)]
#[case::flag_2("22=04", Rule::HeaderFlags, 22)]
#[case::flag_15("23=80", Rule::HeaderFlags, 22)]
#[case::reserved("31=01", Rule::HeaderReserved, 28)]
#[case::slack("148=01", Rule::HeaderSlack, 148)]
#[case::utf8("123=ff", Rule::StrUtf8, 123)]
#[case::utf8_cut_by_its_nul("124=c3", Rule::StrUtf8, 124)]
#[case::utf8_in_the_middle_of_a_sequence("130=e282", Rule::StrUtf8, 130)]
#[case::name_after_the_last("36=19", Rule::FuncNameBounds, 36)]
#[case::name_far_away("36=ffffffff", Rule::FuncNameBounds, 36)]
#[case::name_is_the_last_nul("36=18", Rule::FuncNameStart, 36)]
#[case::name_is_a_tail("53=05", Rule::FuncNameStart, 53)]
#[case::name_tail_equals_a_name("126=6464 36=01 53=04", Rule::FuncNameStart, 36)]
#[case::entry_after_the_code("40=08", Rule::FuncEntryBounds, 40)]
#[case::entry_far_away("40=ffffffffffffffff", Rule::FuncEntryBounds, 40)]
#[case::entry_misaligned("20=01 57=06", Rule::FuncEntryAlign, 57)]
#[case::entry_outside_and_misaligned("20=01 57=09", Rule::FuncEntryBounds, 57)]
#[case::param_code_7("49=07", Rule::FuncParamCode, 49)]
#[case::param_code_9("50=09", Rule::FuncParamCode, 50)]
#[case::param_code_12("67=0c", Rule::FuncParamCode, 67)]
#[case::param_code_255("66=ff", Rule::FuncParamCode, 66)]
#[case::param_void("50=00", Rule::FuncParamVoid, 50)]
#[case::return_code("68=08", Rule::FuncReturnCode, 68)]
#[case::function_flag_1("52=02", Rule::FuncFlags, 52)]
#[case::function_flag_7("69=81", Rule::FuncFlags, 69)]
#[case::same_name_twice("53=00", Rule::FuncUnique, 53)]
#[case::same_text_twice("126=616464", Rule::FuncUnique, 53)]
#[case::same_id_twice("95=01", Rule::TypeIdUnique, 95)]
#[case::type_name_outside("76=19", Rule::TypeNameBounds, 76)]
#[case::type_name_tail("97=0f", Rule::TypeNameStart, 97)]
#[case::field_code("89=07", Rule::TypeFieldCode, 89)]
#[case::field_void("94=00", Rule::TypeFieldVoid, 94)]
#[case::field_void_outside("94=00 90=09", Rule::TypeFieldVoid, 94)]
#[case::field_outside_by_one("90=05", Rule::TypeFieldBounds, 90)]
#[case::field_far_away("85=ffffffff", Rule::TypeFieldBounds, 85)]
#[case::wide_pointer("94=0a", Rule::TypeFieldBounds, 90)]
#[case::wide_struct_ref("20=01 94=0b", Rule::TypeFieldBounds, 90)]
#[case::dependency_name_outside("110=19", Rule::DepNameBounds, 110)]
#[case::dependency_name_tail("110=15", Rule::DepNameStart, 110)]
#[case::collector("22=02", Rule::HeaderGc, 22)]
// Several at once: the order of the rules, then the lower offset.
#[case::undefined_flag_before_collector("22=06", Rule::HeaderFlags, 22)]
#[case::invalid_before_unsupported("22=02 110=15", Rule::DepNameStart, 110)]
#[case::rule_before_offset("36=01 53=19", Rule::FuncNameBounds, 53)]
#[case::lower_offset_of_one_rule("50=00 66=00", Rule::FuncParamVoid, 50)]
#[case::unknown_architecture_has_no_pointers("20=03 94=0a", Rule::HeaderArchitecture, 20)]
#[case::third_of_a_name("53=00 97=19", Rule::FuncUnique, 53)]
fn rejected(#[case] edits: &str, #[case] rule: Rule, #[case] offset: u64) {
    assert_eq!(verdict(&patched(edits)), Some((rule, offset)));
}

#[rstest]
fn every_byte_is_covered_by_the_checksum(#[values(149, 156, 147, 24, 27)] at: usize) {
    let mut file = full().encode();
    file[at] ^= 0x10;
    assert_eq!(verdict(&file), Some((Rule::HeaderChecksum, 24)));
}

#[test]
fn a_wrong_checksum_comes_first() {
    for edit in ["22=02", "53=00", "148=01", "20=03"] {
        let mut file = patched(edit);
        file[24] ^= 1;
        assert_eq!(verdict(&file), Some((Rule::HeaderChecksum, 24)), "{edit}");
    }
}

#[test]
fn a_trailing_byte_is_one_too_many() {
    let mut file = full().encode();
    file.push(0);
    assert_eq!(verdict(&file), Some((Rule::FileTrailing, 157)));
}

#[test]
fn no_slack_is_fine() {
    assert_eq!(verdict(&Scp { slack: vec![], ..full() }.encode()), None);
}

#[test]
fn a_dependency_may_be_named_twice() {
    assert_eq!(verdict(&Scp { dependencies: vec![(20, 1), (20, 2)], ..full() }.encode()), None);
}

#[test]
fn the_smallest_file_is_all_zero_counts() {
    let file = Scp::default().encode();
    assert_eq!((file.len(), verdict(&file)), (48, None));
}

#[test]
fn a_function_without_code_has_no_entry() {
    assert_eq!(
        verdict(&Scp { code: vec![], ..full() }.encode()),
        Some((Rule::FuncEntryBounds, 40))
    );
}

#[rstest]
#[case::param(vec![3, 11], 3, Rule::FuncParamStruct, 50)]
#[case::result(vec![], 11, Rule::FuncReturnStruct, 49)]
#[case::param_before_result(vec![11], 11, Rule::FuncParamStruct, 49)]
fn struct_ref_needs_a_structure(
    #[case] params: Vec<u8>,
    #[case] returns: u8,
    #[case] rule: Rule,
    #[case] offset: u64,
) {
    let function = Function { params, returns, ..Function::default() };
    let mut file = Scp { functions: vec![function], types: vec![], ..full() };
    assert_eq!(verdict(&file.encode()), Some((rule, offset)));
    file.types = vec![Type { id: 7, name: 0, ..Type::default() }];
    assert_eq!(verdict(&file.encode()), None);
}

#[test]
fn names_without_strings_lie_outside() {
    let file = Scp { strings: vec![], functions: vec![], types: vec![], ..full() };
    assert_eq!(verdict(&file.encode()), Some((Rule::DepNameBounds, 44)));
}

#[test]
fn an_empty_string_is_a_name() {
    let function = |name| Function { name, ..Function::default() };
    let mut file = Scp { functions: vec![function(0)], strings: texts(&["", ""]), ..full() };
    (file.types, file.dependencies) = (vec![], vec![]);
    assert_eq!(verdict(&file.encode()), None);
    file.functions.push(function(1));
    assert_eq!(verdict(&file.encode()), Some((Rule::FuncUnique, 51)));
}
