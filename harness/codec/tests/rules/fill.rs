//! `filled` and `ends`.

use rstest::rstest;

use crate::{format, judge, rule};

/// A byte that says where the slack ends, the slack, one byte of body.
fn with_slack(what: &str) -> blobspec::Format {
    format(&format!(
        "records: {{H: {{fields: [{{name: end, type: u8}}]}}}}\n\
         regions:\n  - {{name: h, record: H}}\n  - {{name: slack, bytes: {{until: h.end}}}}\n  - {{name: body, bytes: {{size: 1}}}}\n\
         rules:\n{}{}{}",
        rule("B", "kind: bounds, region: h"),
        rule("C", "kind: bounds, region: body"),
        rule("R", what),
    ))
}

#[rstest]
#[case("zero", &[1, 7], None)]
#[case("zero", &[4, 0, 0, 0, 7], None)]
#[case("zero", &[4, 0, 0, 1, 7], Some(3))]
#[case("zero", &[4, 0x80, 0, 1, 7], Some(1))]
#[case("nothing", &[1, 7], None)]
#[case("nothing", &[2, 0, 7], Some(1))]
#[case("zero", &[0, 7], None)] // the end lies before the start: nothing to fill
fn filled(#[case] with: &str, #[case] file: &[u8], #[case] offset: Option<u64>) {
    judge(&with_slack(&format!("kind: filled, region: slack, with: {with}")), file, offset);
}

#[rstest]
#[case(&[1, 7], None)]
#[case(&[1, 7, 0], Some(2))]
#[case(&[1, 7, 0, 0], Some(2))]
fn ends(#[case] file: &[u8], #[case] offset: Option<u64>) {
    judge(&with_slack("kind: ends, region: body"), file, offset);
}
