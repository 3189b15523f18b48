//! Every kind of rule can be said in a sentence that names what it is about.

use blobspec::Spec;
use harness_codec::rules::describe;
use rstest::rstest;

fn sentence(spec: &Spec, id: &str) -> String {
    let format = spec.format();
    describe(format, format.rule(id).unwrap_or_else(|| panic!("no rule {id}")))
}

#[rstest]
#[case("SCP-HEADER-BOUNDS", "header lies inside the file and before its limit")]
#[case("SCP-HEADER-MAGIC", "header.magic is 53 43 50 00")]
#[case("SCP-HEADER-MAJOR", "header.version_major is 0")]
#[case("SCP-HEADER-SIZE", "header.header_size is at most the size of the file")]
#[case("SCP-HEADER-CHECKSUM", "header.checksum has the value that follows from the file")]
#[case("SCP-HEADER-ARCHITECTURE", "header.architecture is one of x86_64, arm64, x86_32")]
#[case(
    "SCP-HEADER-STDCALL",
    "where header.calling_convention is stdcall, header.architecture is x86_32"
)]
#[case("SCP-HEADER-FLAGS", "undefined bits of header.flags are zero")]
#[case("SCP-HEADER-SLACK", "slack holds only zero bytes")]
#[case("SCP-FILE-TRAILING", "the file ends where code ends")]
#[case("SCP-STR-UTF8", "every entry of strings is UTF-8")]
#[case("SCP-FUNC-NAME-BOUNDS", "functions.name_offset is an offset inside strings")]
#[case("SCP-FUNC-NAME-START", "functions.name_offset is the first byte of an entry of strings")]
#[case(
    "SCP-FUNC-ENTRY-ALIGN",
    "functions.entry_offset is a multiple of header.architecture.code_align"
)]
#[case("SCP-FUNC-PARAM-VOID", "functions.params is not void")]
#[case("SCP-FUNC-PARAM-STRUCT", "where functions.params is struct_ref, types has an entry")]
#[case("SCP-FUNC-UNIQUE", "no two elements have the same functions.name_offset")]
#[case(
    "SCP-TYPE-FIELD-BOUNDS",
    "for each of types.fields: offset + type_code.size is at most types.size"
)]
#[case("SCP-TYPE-FIELD-OVERLAP", "elements of types.fields do not overlap")]
#[case("SCP-HEADER-GC", "the bits requires_gc of header.flags are zero")]
#[case("SCP-CODE-PROTECTION", "no mapping of image code is writable and executable at once")]
fn rules_of_scp(#[case] id: &str, #[case] expected: &str) {
    let spec = blobspec::builtin("scp").unwrap().unwrap();
    assert_eq!(sentence(&spec, id), expected);
}

#[rstest]
#[case(
    "SCT-OVERLAP",
    "no byte belongs to two of header, sections, relocations, contents, symbols, names"
)]
#[case("SCT-RELOCATION-SYMBOL", "relocations.symbol_index is an index of symbols")]
#[case("SCT-SECTION-ALIGN", "sections.alignment is between 1 and 4096")]
#[case("SCT-SECTION-MEMORY", "sections.virtual_size is between sections.place.size and 1073741824")]
fn rules_of_the_container(#[case] id: &str, #[case] expected: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/tests/formats/container.yaml");
    let spec = Spec::load(path, &std::fs::read(path).unwrap()).unwrap();
    assert_eq!(sentence(&spec, id), expected);
}

#[test]
fn no_sentence_has_a_hole() {
    for (name, text) in blobspec::BUILTIN.iter().copied().chain([("starter", blobspec::STARTER)]) {
        let spec = Spec::load(name, text.as_bytes()).unwrap();
        for rule in &spec.format().rules {
            let sentence = describe(spec.format(), rule);
            assert!(sentence.len() > 10 && !sentence.contains('?'), "{}: {sentence}", rule.id);
        }
    }
}
