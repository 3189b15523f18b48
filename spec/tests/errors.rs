//! Mistakes in a spec: each is reported at the culprit, in words that say what is wrong and what to do.
//!
//! `<!>` marks the culprit in the YAML and is taken out before it is read.

use blobspec::Spec;
use miette::Diagnostic as _;
use rstest::rstest;

/// A spec that is right, in which each case changes one line.
const GOOD: &str = r#"# A comment that names everything: header.x, entries, Kind, T-X, t.choice
format: {id: t, title: T, version: "1", endian: little}
clauses:
  - {id: c, quote: "x: a header, 'entries' and a Kind"}
enums:
  Kind: {repr: u8, values: {one: {code: 1, size: 4}, two: {code: 2, size: 8}}}
flags:
  Bits: {repr: u8, bits: {low: 0}}
records:
  Header:
    fields:
      - {name: magic, type: "bytes[2]"}
      - {name: x, type: u8}
      - {name: kind, type: Kind}
      - {name: bits, type: Bits}
      - {name: count, type: u8, derive: {count_of: entries}}
  Entry:
    fields: # x and kind again
      - {name: x, type: u16}
      - {name: n, type: u8}
      - {name: list, type: "u8[n]"}
  Other: {fields: [{name: y, type: u8}]}
regions:
  - {name: header, record: Header}
  - {name: entries, array: Entry, count: {field: header.count}}
rules:
  - {id: T-HEADER, kind: bounds, region: header, stage: malformed, clause: c, why: "x"}
  - {id: T-ENTRIES, kind: bounds, region: entries, stage: malformed, clause: c, why: "x"}
  - {id: T-MAGIC, kind: const, field: header.magic, value: "41 42", stage: malformed, clause: c, why: "x"}
  - {id: T-X, kind: range, field: header.x, max: 3, stage: invalid, clause: c, choice: t.choice, why: "header.x is 9"}
  - {id: T-KIND, kind: in-enum, field: header.kind, stage: invalid, clause: c, why: "header.kind"}
choices:
  t.choice:
    question: "How large may header.x be?"
    readings:
      three: {default: true}
      four: {set: {rules.T-X.max: 4}}
"#;

#[test]
fn the_good_spec_is_good() {
    assert!(Spec::load("t.yaml", GOOD.as_bytes()).is_ok_and(|s| s.format().rules.len() == 5));
}

/// The error of the good spec with `from` replaced by `to`: at the mark in `to`, with these words in it.
#[track_caller]
fn reported(from: &str, to: &str, words: &[&str]) {
    assert_eq!(GOOD.matches(from).count(), 1, "`{from}` is not one place");
    let marked = GOOD.replacen(from, to, 1);
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
    assert_eq!((error.line, error.column), (line, column));
    for word in words {
        assert!(text.contains(word), "no `{word}` in {text}");
    }
}

#[rstest]
#[case::in_a_field("type: u8, derive: {count_of: entries}}", "<!>typ: u8, derive: {count_of: entries}}", &["unknown field `typ`", "`type`"])]
#[case::in_a_region("- {name: header, record: Header}", "- {name: header, <!>recrod: Header}", &["unknown field `recrod`", "`record`"])]
#[case::at_the_top("regions:\n", "<!>region:\n", &["unknown field `region`", "`regions`"])]
#[case::in_a_rule("max: 3, stage", "<!>maximum: 3, stage", &["maximum", "`max`"])]
#[case::in_a_reading("{set: {rules.T-X.max: 4}}", "{<!>sets: {rules.T-X.max: 4}}", &["unknown field `sets`", "`set`"])]
#[case::in_a_derive("{count_of: entries}", "{<!>counts: entries}", &["unknown field `counts`", "`count_of`"])]
fn unknown_keys(#[case] from: &str, #[case] to: &str, #[case] words: &[&str]) {
    reported(from, to, words);
}

#[rstest]
#[case::text_for_a_map("flags:\n  Bits: {repr: u8, bits: {low: 0}}", "flags: <!>none", &["expected a map"])]
#[case::a_map_for_a_list("clauses:\n  - {id: c, quote: \"x: a header, 'entries' and a Kind\"}", "clauses: <!>{c: q}", &["expected a sequence"])]
#[case::text_for_a_code("code: 2, size: 8", "code: <!>two, size: 8", &["\"two\"", "u64"])]
#[case::a_negative_maximum("max: 3, stage", "max: <!>-3, stage", &["-3", "number"])]
#[case::a_bit_of_text("bits: {low: 0}", "bits: {low: <!>first}", &["first"])]
#[case::no_endian("version: \"1\", endian: little", "version: \"1\", endian: <!>middle", &["middle", "little"])]
#[case::no_stage("region: header, stage: malformed", "region: header, stage: <!>malfomed", &["malfomed", "malformed"])]
fn wrong_types(#[case] from: &str, #[case] to: &str, #[case] words: &[&str]) {
    reported(from, to, words);
}

#[rstest]
#[case::a_type("{name: x, type: u16}", "{name: x, type: <!>u61}", &["type `u61`", "did you mean `u64`?"])]
#[case::an_enum("{name: kind, type: Kind}", "{name: kind, type: <!>Knid}", &["type `Knid`", "`Kind`"])]
#[case::a_record("record: Header}", "record: <!>Haeder}", &["record `Haeder`", "`Header`"])]
#[case::a_field("field: header.kind, stage", "field: header.<!>knid, stage", &["field `knid`", "`kind`"])]
#[case::a_region("kind: bounds, region: entries", "kind: bounds, region: <!>entrise", &["region `entrise`", "`entries`"])]
#[case::a_counted_region("{count_of: entries}", "{count_of: <!>entreis}", &["region `entreis`", "`entries`"])]
#[case::a_count("{field: header.count}", "{field: header.<!>cuont}", &["field `cuont`", "`count`"])]
#[case::a_clause("stage: invalid, clause: c, why: \"header.kind\"", "stage: invalid, clause: <!>d, why: \"header.kind\"", &["clause `d`", "`c`"])]
#[case::a_choice("choice: t.choice", "choice: <!>t.chioce", &["choice `t.chioce`", "`t.choice`"])]
#[case::a_length("\"u8[n]\"", "\"u8[<!>m]\"", &["field `m`", "`n`"])]
#[case::an_attribute("max: 3, stage", "max: header.kind.<!>sice, stage", &["attribute `sice`", "`size`"])]
#[case::attributes_of_a_number("max: 3, stage", "max: header.x.<!>size, stage", &["only an enum's values have attributes"])]
fn unknown_names(#[case] from: &str, #[case] to: &str, #[case] words: &[&str]) {
    reported(from, to, words);
}

#[rstest]
#[case("kind: range, field", "kind: <!>rnage, field", &["rnage", "range"])]
#[case("kind: in-enum, field", "kind: <!>in_enum, field", &["in_enum", "in-enum"])]
fn a_misspelt_kind(#[case] from: &str, #[case] to: &str, #[case] words: &[&str]) {
    reported(from, to, words);
}

#[test]
fn a_missing_bounds_rule() {
    let rule = "  - {id: T-ENTRIES, kind: bounds, region: entries, stage: malformed, clause: c, why: \"x\"}\n";
    let without = GOOD.replacen(rule, "", 1);
    let error = Spec::load("t.yaml", without.as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with("t.yaml:25:12: "), "{error}");
    assert!(error.contains("needs a rule of kind `bounds`"), "{error}");
}

#[rstest]
#[case::two_defaults("four: {set:", "four: {default: true, set:", "<!>t.choice:\n", &["exactly one default", "default: true"])]
#[case::none("three: {default: true}", "three: {}", "<!>t.choice:\n", &["exactly one default", "default: true"])]
fn defaults(#[case] from: &str, #[case] to: &str, #[case] place: &str, #[case] words: &[&str]) {
    let start = "choices:\n  t.choice:\n";
    let end = &GOOD[GOOD.find(start).unwrap()..];
    let changed = end.replacen(from, to, 1).replacen("t.choice:\n", place, 1);
    reported(end, &changed, words);
}

#[rstest]
#[case::no_such_rule("rules.T-X.max: 4", "<!>rules.T-Y.max: 4", &["reading `four` of choice `t.choice`", "there is no `T-Y`"])]
#[case::no_such_list("rules.T-X.max: 4", "<!>rule.T-X.max: 4", &["there is no `rule`"])]
fn patches_that_lead_nowhere(#[case] from: &str, #[case] to: &str, #[case] words: &[&str]) {
    reported(from, to, words);
}

/// The patch is right, what it makes of the spec is not: the reading is to blame.
#[rstest]
#[case::a_misspelt_key("four: {set: {rules.T-X.max: 4}}", "<!>four: {set: {rules.T-X.maximum: 4}}", &["under reading `four`", "maximum"])]
#[case::an_unknown_name("four: {set: {rules.T-X.max: 4}}", "<!>four: {set: {rules.T-X.field: header.z}}", &["under reading `four`", "field `z`"])]
#[case::no_bounds("four: {set: {rules.T-X.max: 4}}", "<!>four: {set: {rules.T-ENTRIES.active: false}}", &["under reading `four`", "bounds"])]
fn readings_that_break_the_spec(#[case] from: &str, #[case] to: &str, #[case] words: &[&str]) {
    reported(from, to, words);
}

#[rstest]
#[case::itself("Other: {fields: [{name: y, type: u8}]}", "Other: {fields: [{name: y, type: <!>Other}]}", &["contains itself"])]
#[case::in_a_list("{name: list, type: \"u8[n]\"}", "{name: list, type: \"<!>Entry[n]\"}", &["contains itself"])]
#[case::through_another("Other: {fields: [{name: y, type: u8}]}", "Other: {fields: [{name: y, type: Third}]}\n  Third: {fields: [{name: z, type: \"<!>Other[2]\"}]}", &["record Other contains itself"])]
#[case::far_around("Other: {fields: [{name: y, type: u8}]}", "Other: {fields: [{name: y, type: R1}]}\n  R1: {fields: [{name: z, type: R2}]}\n  R2: {fields: [{name: z, type: R3}]}\n  R3: {fields: [{name: z, type: <!>R1}]}", &["record R1 contains itself"])]
fn records_that_contain_themselves(#[case] from: &str, #[case] to: &str, #[case] words: &[&str]) {
    reported(from, to, words);
}

#[test]
fn records_that_grow_beyond_measure() {
    let mut records = String::from("Other: {fields: [{name: y, type: u8}]}\n");
    for level in 0..60 {
        let inner = if level == 0 { "Other".to_owned() } else { format!("R{}", level - 1) };
        records += &format!(
            "  R{level}: {{fields: [{{name: a, type: {inner}}}, {{name: b, type: {inner}}}]}}\n"
        );
    }
    let yaml = GOOD.replacen("Other: {fields: [{name: y, type: u8}]}", &records, 1);
    let error = Spec::load("t.yaml", yaml.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("a record has at most"), "{error}");
}

#[rstest]
#[case::regions(
    "- {name: entries, array",
    "- {name: header, record: Other}\n  - {name: entries, array",
    ""
)]
#[case::rules("id: T-KIND, kind", "id: <!>T-X, kind", "T-X")]
#[case::fields("{name: n, type: u8}", "{name: <!>x, type: u8}", "`x`")]
#[case::clauses(
    "  - {id: c, quote: \"x: a header, 'entries' and a Kind\"}",
    "  - {id: c, quote: c}\n  - {id: <!>c, quote: c}",
    "`c`"
)]
#[case::keys(
    "one: {code: 1, size: 4}, two",
    "one: {code: 1, size: 4}, <!>one: {code: 3, size: 4}, two",
    "`one` stands twice"
)]
#[case::records("Other: {fields", "<!>Entry: {fields", "`Entry` stands twice")]
fn things_that_stand_twice(#[case] from: &str, #[case] to: &str, #[case] word: &str) {
    if word.is_empty() {
        return reported(
            from,
            &to.replacen("name: header", "name: <!>header", 1),
            &["`header`", "twice"],
        );
    }
    reported(from, to, &[word]);
}

#[rstest]
#[case::missing("two: {code: 2, size: 8}", "<!>two: {code: 2}", &["has the same attributes: size"])]
#[case::misspelt("two: {code: 2, size: 8}", "<!>two: {code: 2, sice: 8}", &["has the same attributes: size"])]
#[case::no_number("two: {code: 2, size: 8}", "two: {code: 2, size: <!>eight}", &["`eight` is neither a number, a path nor hexadecimal bytes"])]
#[case::the_same_code("two: {code: 2, size: 8}", "<!>two: {code: 1, size: 8}", &["Kind.two has the code of Kind.one"])]
#[case::endless("two: {code: 2, size: 8}", "two: {code: 2, size: <!>header.kind.size}", &["listed before"])]
fn enum_values(#[case] from: &str, #[case] to: &str, #[case] words: &[&str]) {
    reported(from, to, words);
}

#[rstest]
#[case::no_digit("value: \"41 42\"", "value: <!>\"41 4g\"", &["`41 4g` is not 2 bytes in hexadecimal"])]
#[case::too_short("value: \"41 42\"", "value: <!>\"41\"", &["2 bytes"])]
#[case::a_number("value: \"41 42\"", "<!>value: 16706", &["a constant is a number, or hexadecimal bytes for a bytes field"])]
fn hexadecimal(#[case] from: &str, #[case] to: &str, #[case] words: &[&str]) {
    reported(from, to, words);
}

#[rstest]
#[case::counted_later("{name: n, type: u8}\n      - {name: list, type: \"u8[n]\"}", "{name: list, type: \"u8[<!>n]\"}\n      - {name: n, type: u8}", &["must stand before it"])]
#[case::counted_by_bytes("{name: n, type: u8}", "{name: n, type: \"bytes[1]\"}", &[])]
#[case::a_later_region("- {name: header, record: Header}\n  - {name: entries, array: Entry, count: {field: header.count}}", "- {name: entries, array: Entry, count: {field: <!>header.count}}\n  - {name: header, record: Header}", &["list `header` before it"])]
#[case::no_elements("{count_of: entries}", "{count_of: <!>header}", &["no elements to count"])]
#[case::a_derived_enum("{name: kind, type: Kind}", "{name: kind, type: Kind, <!>derive: {count_of: entries}}", &["only a field of type u8"])]
#[case::no_fields("Other: {fields: [{name: y, type: u8}]}", "<!>Other: {fields: []}", &["has no fields"])]
#[case::no_bytes("{name: y, type: u8}", "{name: y, type: <!>\"pad[0]\"}", &["1 to 65536"])]
#[case::huge("{name: y, type: u8}", "{name: y, type: <!>\"u8[4000000000]\"}", &["1 to 65536"])]
#[case::two_contents("- {name: header, record: Header}", "- {name: <!>header, record: Header, bytes: {}}", &["exactly one of record"])]
fn what_cannot_be(#[case] from: &str, #[case] to: &str, #[case] words: &[&str]) {
    if words.is_empty() {
        let yaml = GOOD.replacen(from, to, 1);
        let error = Spec::load("t.yaml", yaml.as_bytes()).unwrap_err().to_string();
        return assert!(
            error.starts_with("t.yaml:21:") && error.contains("counts this array"),
            "{error}"
        );
    }
    reported(from, to, words);
}
