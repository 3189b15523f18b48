//! Mistakes in what a spec says of payloads, conditions, images and linking: SMF's own spec with one line changed,
//! reported at the culprit. `<!>` marks it and is taken out before the spec is read.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use blobspec::Spec;
use blobspec::lint::lint;
use miette::Diagnostic as _;
use rstest::rstest;

fn smf() -> &'static str {
    blobspec::BUILTIN.iter().find(|(name, _)| *name == "smf").unwrap().1
}

#[track_caller]
fn changed(from: &str, to: &str) -> String {
    assert_eq!(smf().matches(from).count(), 1, "`{from}` is not one place");
    smf().replacen(from, to, 1)
}

/// The error of SMF's spec with `from` replaced by `to`: at the mark in `to`, with these words in it.
#[track_caller]
fn reported(from: &str, to: &str, words: &[&str]) {
    let marked = changed(from, to);
    let at = marked.find("<!>").unwrap_or_else(|| panic!("no mark in {to}"));
    let before = &marked[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let Err(error) = Spec::load("t.yaml", marked.replacen("<!>", "", 1).as_bytes()) else {
        panic!("accepted: {to}");
    };
    let help = error.help().map(|help| help.to_string()).unwrap_or_default();
    let text = format!("{error}\nhelp: {help}");
    assert!(text.starts_with(&format!("t.yaml:{line}:{column}: ")), "want {line}:{column}: {text}");
    for word in words {
        assert!(text.contains(word), "no `{word}` in {text}");
    }
}

const NO_ENTRY: &str = "value: 0, where: {flags: {clear: [executable]}}";

#[rstest]
#[case::a_field(NO_ENTRY, "value: 0, where: {<!>flag: {clear: [executable]}}", &["field `flag`", "`flags`"])]
#[case::a_bit(NO_ENTRY, "value: 0, where: {flags: {clear: [<!>executeable]}}", &["bit `executeable`", "`executable`"])]
#[case::an_enum_value("to: 24, where: {type: [reloc]}", "to: 24, where: {type: [<!>relok]}", &["enum value `relok`", "`reloc`"])]
#[case::names_of_a_number(NO_ENTRY, "value: 0, where: {symbol_count: [<!>executable]}", &["only a field of an enum type"])]
#[case::bits_of_a_number(NO_ENTRY, "value: 0, where: {symbol_count: {set: [<!>executable]}}", &["only a field of a flag set type"])]
#[case::no_keys(NO_ENTRY, "value: 0, <!>where: {flags: {}}", &["one of in, not, min, max, set and clear"])]
#[case::an_unknown_key(NO_ENTRY, "value: 0, where: {flags: {<!>clean: [executable]}}", &["clean", "clear"])]
#[case::of_a_region("kind: bounds, region: symbols,", "kind: bounds, region: symbols, <!>where: {type: [code]},", &["kind `bounds`", "no `where`"])]
#[case::of_an_image("images: [code, data], max", "images: [code, data], <!>where: {type: [code]}, max", &["kind `image-size`", "no `where`"])]
fn conditions(#[case] from: &str, #[case] to: &str, #[case] words: &[&str]) {
    reported(from, to, words);
}

const PAYLOADS: &str = "payloads: {table: sections, offset: offset, size: size";
const INSIDE: &str = "inside: {payloads: contents, where: {type: [reloc]}}";
const COUNT: &str = "          where: [{binding: [global], value: {min: 1}}, {binding: [global], size: {min: 1}}]\n";

#[rstest]
#[case::an_unknown_table(PAYLOADS, "payloads: {table: <!>sectoins, offset: offset, size: size", &["region `sectoins`", "`sections`"])]
#[case::no_table(PAYLOADS, "payloads: {table: <!>header, offset: section_table_offset, size: entry_point", &["`header` is not an array"])]
#[case::an_unknown_offset(PAYLOADS, "payloads: {table: sections, offset: <!>offst, size: size", &["field `offst`", "`offset`"])]
#[case::inside_no_payloads(INSIDE, "inside: {payloads: <!>sections, where: {type: [reloc]}}", &["`sections` has no payloads"])]
#[case::inside_and_counted(INSIDE, "<!>inside: {payloads: contents, where: {type: [reloc]}}\n    count: {field: header.symbol_count}", &["without `count` and `at`"])]
#[case::inside_and_placed(INSIDE, "<!>inside: {payloads: contents, where: {type: [reloc]}}\n    at: header.symbol_table_offset", &["without `count` and `at`"])]
#[case::no_hex("record: Header, clause", "record: Header, trailer: {size: 96, starts_with: <!>\"5g\"}, clause", &["`5g` is not bytes in hexadecimal"])]
fn regions(#[case] from: &str, #[case] to: &str, #[case] words: &[&str]) {
    reported(from, to, words);
}

#[test]
fn payloads_stand_behind_their_table() {
    let table = "  - {name: sections, array: Section, count: {field: header.section_count}, at: header.section_table_offset, align: 8, clause: sections.table}\n";
    let text = changed(table, "");
    let text =
        text.replacen("  - name: relocations\n", &format!("{table}  - name: relocations\n"), 1);
    let error = Spec::load("t.yaml", text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("list `sections`") && error.contains("`contents`"), "{error}");
}

#[test]
fn what_counts_nothing_has_no_condition() {
    let text = changed("count_of: symbols\n          where", "size_of: symbols\n          where");
    let error = Spec::load("t.yaml", text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("125:11: `where` stands beside `count_of`"), "{error}");
    let text = changed(COUNT, "          where: {bindnig: [global]}\n");
    let error = Spec::load("t.yaml", text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("field `bindnig`"), "{error}");
}

const SELECTED: &str = "sections: {table: sections, where: {type: [code]}, contents: contents";

#[rstest]
#[case::by_two_fields(SELECTED, "sections: {table: sections, <!>where: {type: [code], flags: {set: [execute]}}, contents: contents", &["told by one field"])]
#[case::by_alternatives(SELECTED, "sections: {table: sections, <!>where: [{type: [code]}, {type: [data]}], contents: contents", &["told by one field"])]
#[case::of_another_table(SELECTED, "sections: {table: symbols, where: {type: [function]}, contents: <!>contents", &["`contents` has no payloads of `symbols`"])]
#[case::an_unknown_value("permissions: {rodata: r}", "permissions: {<!>rdata: r}", &["enum value `rdata`", "`data`"])]
#[case::unknown_permissions("permissions: {rodata: r}", "permissions: {rodata: <!>wx}", &["permissions `wx`"])]
#[case::an_operand("length: 1, size: images.code", "length: 1, size: images.<!>cod", &["`cod`", "`code`"])]
fn images(#[case] from: &str, #[case] to: &str, #[case] words: &[&str]) {
    reported(from, to, words);
}

#[rstest]
#[case::no_name("    name: name_offset\n", "    name: <!>name_hash\n", &["`name_hash` does not refer to a string"])]
#[case::no_number("    value: value\n", "    value: <!>padding\n", &["is not a number"])]
#[case::an_unknown_image("      code: {type: [function]}", "      <!>coda: {type: [function]}", &["image `coda`", "`code`"])]
#[case::an_unknown_binding("weak: {binding: [weak]}", "weak: {binding: [<!>week]}", &["enum value `week`", "`weak`"])]
#[case::no_symbol("symbol: symbol_index, type", "symbol: <!>addend, type", &["`addend` does not refer to a symbol"])]
#[case::no_image("relocations, image: code, place", "relocations, image: <!>cold, place", &["image `cold`", "`code`"])]
fn linking(#[case] from: &str, #[case] to: &str, #[case] words: &[&str]) {
    reported(from, to, words);
}

#[rstest]
#[case::no_index("kind: refers-to, field: relocations.symbol_index", "kind: refers-to, field: <!>relocations.offset", &["`relocations.offset` does not refer to"])]
#[case::no_string("kind: name-length, field: symbols.name_offset", "kind: name-length, field: <!>symbols.value", &["`symbols.value` does not refer to"])]
#[case::other_relocations("kind: resolved, table: relocations", "kind: resolved, table: <!>symbols", &["`linking` does not say that `symbols` are relocations"])]
#[case::an_unknown_platform("any: [any], stage", "any: [<!>every], stage", &["enum value `every`"])]
fn rules(#[case] from: &str, #[case] to: &str, #[case] words: &[&str]) {
    reported(from, to, words);
}

#[rstest]
#[case("rules.SMF-SYMBOL-HASH.active: false", "<!>records.Symbol.fields.nowhere+: [{name: x, type: u8}]", &["no `nowhere`"])]
#[case("rules.SMF-SYMBOL-HASH.active: false", "<!>records.Symbol.fields.value+: 1", &["a list"])]
fn patches_that_insert(#[case] from: &str, #[case] to: &str, #[case] words: &[&str]) {
    reported(from, to, words);
}

/// A field that only a condition looks at is used; without the condition it is not.
#[test]
fn what_a_condition_looks_at_is_used() {
    let free = "{name: flags, type: u8, unconstrained: a hint for linkers}";
    let text = changed(free, "{name: flags, type: u8}");
    let lints = |text: &str| {
        let spec = Spec::load("t.yaml", text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        let lints = lint(&spec).into_iter();
        lints.map(|lint| (lint.kind, lint.subject)).collect::<Vec<_>>()
    };
    assert_eq!(lints(&text), [("unconstrained-field", "Symbol.flags".to_owned())]);
    for (from, to) in [
        ("exported: {binding: [global]}", "exported: {binding: [global], flags: {max: 3}}"),
        ("max: 4095, stage", "max: 4095, where: {flags: {min: 1}}, stage"),
        ("is: {type: [function, data, constant]}", "is: {flags: {max: 3}}"),
    ] {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        assert_eq!(lints(&text.replacen(from, to, 1)), [], "{to}");
    }
}
