//! The built-in specs load, and what is wrong with a spec is said with file, line and column.

use blobspec::{BUILTIN, Spec, builtin};

#[test]
fn every_built_in_spec_loads() {
    for (name, _) in BUILTIN {
        let spec =
            builtin(name).expect("it is in the list").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(&spec.format().id, name);
    }
    assert!(builtin("nonesuch").is_none());
}

fn error_of(yaml: &str) -> String {
    match Spec::load("my.yaml", yaml.as_bytes()) {
        Ok(_) => panic!("accepted: {yaml}"),
        Err(error) => error.to_string(),
    }
}

const HEAD: &str = "format: {id: t, title: T, version: '1', endian: little}\n";

#[test]
fn an_unknown_key_is_named_with_its_place() {
    let error = error_of(&format!(
        "{HEAD}records:\n  H:\n    fields:\n      - {{name: a, typ: u8}}\nregions: []\n"
    ));
    assert!(error.starts_with("my.yaml:5:") && error.contains("typ"), "{error}");
}

#[test]
fn an_unknown_name_is_named_with_its_place() {
    let error = error_of(&format!(
        "{HEAD}records:\n  H: {{fields: [{{name: a, type: u9}}]}}\nregions: []\n"
    ));
    assert!(error.starts_with("my.yaml:3:") && error.contains("`u9`"), "{error}");
    let error = error_of(&format!(
        "{HEAD}records:\n  H: {{fields: [{{name: a, type: u8}}]}}\nregions: [{{name: h, record: H}}]\nclauses: [{{id: c, quote: q}}]\nrules:\n  - {{id: T-A, kind: range, field: h.b, max: 3, stage: invalid, clause: c, why: w}}\n"
    ));
    assert!(error.starts_with("my.yaml:7:") && error.contains("`b`"), "{error}");
}

#[test]
fn a_misspelt_rule_key_is_refused() {
    let error = error_of(&format!(
        "{HEAD}records:\n  H: {{fields: [{{name: a, type: u8}}]}}\nregions: [{{name: h, record: H}}]\nclauses: [{{id: c, quote: q}}]\nrules:\n  - {{id: T-A, kind: range, field: h.a, maximum: 3, stage: invalid, clause: c, why: w}}\n"
    ));
    assert!(error.starts_with("my.yaml:7:") && error.contains("maximum"), "{error}");
}

#[test]
fn binary_garbage_is_no_spec() {
    let error = Spec::load("g.yaml", &[0x53, 0xff, 0x00]).unwrap_err().to_string();
    assert_eq!(error, "g.yaml:1:2: not UTF-8 text (at byte offset 0x1)");
    assert!(error_of("").starts_with("my.yaml:1:1: "));
}

#[test]
fn alias_bombs_are_refused() {
    let mut yaml = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let previous = format!("*a{}", level - 1);
        yaml += &format!("a{level}: &a{level} [{}]\n", [previous.as_str(); 10].join(", "));
    }
    let error = error_of(&yaml);
    assert!(error.contains("alias") || error.contains("repetition"), "{error}");
}

#[test]
fn deep_nesting_is_refused() {
    for yaml in
        ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000), "? ".repeat(10_000)]
    {
        let error = error_of(&yaml);
        assert!(error.contains("nested") || error.contains("recursion"), "{error}");
    }
    // Flow text continued at the left edge looks like a top-level key.
    let error = error_of(&"[\na,".repeat(100_000));
    assert!(error.contains("nested"), "{error}");
    let indented: String = (0..500).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let error = error_of(&indented);
    assert!(error.contains("nested") || error.contains("recursion"), "{error}");
}
