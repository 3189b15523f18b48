//! What a spec leaves open is said at the line where it does so; the specs that ship leave nothing open.

use blobspec::Spec;
use blobspec::lint::lint;
use rstest::rstest;

#[test]
fn the_specs_that_ship_are_clean() {
    for (name, text) in blobspec::BUILTIN.iter().copied().chain([("starter", blobspec::STARTER)]) {
        let spec = Spec::load(name, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(lint(&spec), [], "{name}");
    }
}

/// The starter with one line changed: the lint, what it is about, and the text of the line it points to.
#[rstest]
#[case::a_clause(
    ", untestable: no file says who calls}",
    "}",
    "uncovered-clause",
    "threads",
    "- {id: threads"
)]
#[case::a_field(
    ", unconstrained: a hint for schedulers}",
    "}",
    "unconstrained-field",
    "Function.cost",
    "- {name: cost"
)]
#[case::an_attribute(
    "align: 1, stub",
    "align: 1, bits: 64, stub",
    "unused-attribute",
    "Arch.bits",
    "x86_64:"
)]
#[case::a_choice(
    "question: \"Are",
    "rules: [STRT-NONE]\n    question: \"Are",
    "unknown-rule",
    "strt.minor",
    "strt.minor:"
)]
#[case::a_rule(
    "id: STRT-END,",
    "id: STRT-END, active: false,",
    "dead-rule",
    "STRT-END",
    "- {id: STRT-END"
)]
#[case::a_code(
    "constructor: {code: 2,",
    "constructor: {code: 258,",
    "code-too-large",
    "Kind.constructor",
    "constructor: {code"
)]
fn what_is_left_open(
    #[case] from: &str,
    #[case] to: &str,
    #[case] kind: &str,
    #[case] subject: &str,
    #[case] line: &str,
) {
    assert!(blobspec::STARTER.contains(from), "{from}");
    let text = blobspec::STARTER.replacen(from, to, 1);
    // Values of one enum have the same attributes.
    let text = text.replacen(
        "align: 4, stub",
        if kind == "unused-attribute" { "align: 4, bits: 64, stub" } else { "align: 4, stub" },
        1,
    );
    let spec = Spec::load("t.yaml", text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let lints = lint(&spec);
    let found = lints.iter().find(|l| l.kind == kind && l.subject == subject);
    let found = found.unwrap_or_else(|| panic!("no {kind} in {lints:?}"));
    let there = text.lines().nth(found.line - 1).unwrap_or_default().trim_start();
    assert!(there.starts_with(line), "line {}: {there}", found.line);
    assert!(found.message.len() > 20, "{}", found.message);
}
