//! Every kind of rule on a spec of a few lines: accepted at its boundary, rejected one past it, and where.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bits;
mod bounds;
mod codes;
mod constant;
mod derived;
mod fill;
mod numbers;
mod range;
mod regions;
mod strings;

use blobspec::{Format, Spec};
use harness_codec::decode;

/// The format that `body` describes; the rule under test is `R`, the bounds of the region `h` are there already.
fn format(body: &str) -> Format {
    let yaml = format!(
        "format: {{id: t, title: T, version: '1', endian: little}}\nclauses: [{{id: c, quote: q}}]\n{body}"
    );
    match Spec::load("t.yaml", yaml.as_bytes()) {
        Ok(spec) => spec.format().clone(),
        Err(error) => panic!("{error}\n{yaml}"),
    }
}

/// A rule in YAML with what every rule needs.
fn rule(id: &str, what: &str) -> String {
    let stage = if what.contains("kind: bounds") { "malformed" } else { "invalid" };
    format!("  - {{id: {id}, {what}, stage: {stage}, clause: c, why: w}}\n")
}

/// Records, regions and the rules `bounds of h` and `R`.
fn one_record(fields: &str, extra: &str, what: &str) -> Format {
    format(&format!(
        "{extra}records:\n  H: {{fields: [{fields}]}}\nregions: [{{name: h, record: H}}]\nrules:\n{}{}",
        rule("B", "kind: bounds, region: h"),
        rule("R", what)
    ))
}

/// The id and offset of everything that is wrong with `file`.
fn violations(format: &Format, file: &[u8]) -> Vec<(String, u64)> {
    let found = decode(format, file).violations;
    found.iter().map(|v| (format.rules[v.rule].id.clone(), v.offset)).collect()
}

/// `file` breaks nothing, or exactly `R` at `offset`.
#[track_caller]
fn judge(format: &Format, file: &[u8], offset: Option<u64>) {
    let expected: Vec<_> = offset.into_iter().map(|offset| ("R".to_owned(), offset)).collect();
    assert_eq!(violations(format, file), expected, "{file:02x?}");
}
