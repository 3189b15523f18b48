//! The subcommands that need no other implementation, on real files.

use crate::support::{file, harness, harness_in, root, vector};
use rstest::rstest;

#[test]
fn the_built_in_loader_conforms_and_leaves_three_reports() {
    let folder = tempfile::tempdir().unwrap();
    let ran = harness_in(folder.path(), &["conformance"]).exits(0);
    assert!(ran.stdout.contains("CONFORMS"), "{}", ran.stdout);
    let reports = folder.path().join("reports/latest");
    let stream = std::fs::read_to_string(reports.join("run.ndjson")).unwrap();
    let lines: Vec<serde_json::Value> =
        stream.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 1002, "{} lines", lines.len());
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(reports.join("report.json")).unwrap()).unwrap();
    assert_eq!(
        report["counts"]["pass"].as_u64().unwrap() + skipped(&report),
        lines.len() as u64 - 2
    );
    let junit = std::fs::read_to_string(reports.join("junit.xml")).unwrap();
    assert!(junit.contains("<testsuite ") && junit.contains("failures=\"0\""), "{}", &junit[..400]);
}

fn skipped(report: &serde_json::Value) -> u64 {
    report["counts"]["skip"].as_u64().unwrap_or(0)
}

#[test]
fn what_is_committed_is_what_follows_from_the_specs() {
    harness(&["generate", "--check"]).exits(0);
}

#[test]
fn drift_is_noticed_and_mended() {
    let folder = tempfile::tempdir().unwrap();
    let generate = |args: &[&str]| harness_in(folder.path(), &[&["generate"], args].concat());
    let ran = generate(&["--check"]).exits(1);
    assert!(ran.stdout.contains("missing"), "{}", ran.stdout);
    generate(&[]).exits(0);
    generate(&["--check"]).exits(0);
    let base = folder.path().join("conformance/scp/base.json");
    let text = std::fs::read_to_string(&base).unwrap();
    std::fs::write(&base, text.replacen("53435000", "53435001", 1)).unwrap();
    std::fs::write(folder.path().join("conformance/scp/old.json"), "{}").unwrap();
    let ran = generate(&["--check"]).exits(1);
    assert!(ran.stdout.contains("base.json") && ran.stdout.contains("old.json"), "{}", ran.stdout);
    generate(&[]).exits(0);
    generate(&["--check"]).exits(0);
}

#[test]
fn every_byte_of_a_dump_has_one_owner() {
    for id in [
        "scp/base/rich-x86_64",
        "scp/base/empty-arm64",
        "scp/truncation/rich-x86_64/at-100",
        "scp/file/ends/rich-x86_64/page",
    ] {
        let bytes = vector(id);
        let (_folder, path) = file("x.scp", &bytes);
        let dump = harness(&["dump", "--json", &path]).exits(0).json();
        let mut at = 0;
        for field in dump["fields"].as_array().unwrap() {
            assert_eq!(field["offset"], at, "{id}: {field}");
            assert!(!field["path"].as_str().unwrap().is_empty());
            at += field["size"].as_u64().unwrap();
        }
        assert_eq!(at, bytes.len() as u64, "{id}");
    }
}

#[test]
fn a_violation_is_marked_under_the_field_that_it_is_about() {
    let (_folder, path) = file("x.scp", &vector("scp/header.checksum/derived/rich-x86_64/plus-1"));
    let ran = harness(&["dump", &path]).exits(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let field = lines.iter().position(|line| line.contains("header.checksum =")).unwrap();
    assert!(lines[field + 1].contains("^ SCP-HEADER-CHECKSUM (invalid) at 0x18"), "{}", ran.stdout);
}

#[test]
fn validate_says_which_rule_where_and_why() {
    let (_folder, path) =
        file("x.scp", &vector("scp/functions.entry_offset/within/rich-x86_64/0/end"));
    let ran = harness(&["validate", &path]).exits(1);
    for part in [
        "invalid",
        "SCP-FUNC-ENTRY-BOUNDS at offset 0x28",
        "Entry point offset in code blob",
        "why: a call goes",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let json = harness(&["validate", "--json", &path]).exits(1).json();
    assert_eq!(json[0]["violations"][0]["rule"], "SCP-FUNC-ENTRY-BOUNDS");
    assert_eq!(harness(&["validate", "--quiet", &path]).exits(1).stdout, "");
}

#[test]
fn a_choice_changes_what_is_valid() {
    let (_folder, path) = file("x.scp", &vector("scp/file/ends/rich-x86_64/one-zero"));
    harness(&["validate", &path]).exits(1);
    harness(&["validate", "--choice", "scp.trailing=ignored", &path]).exits(0);
}

#[test]
fn the_built_in_spec_leaves_nothing_open() {
    let ran = harness(&["check-spec", "--rules"]).exits(0);
    assert!(ran.stdout.contains("nothing left open"), "{}", ran.stdout);
    assert!(ran.stdout.contains("SCP-FUNC-ENTRY-BOUNDS [invalid]"), "{}", ran.stdout);
}

#[test]
fn a_spec_that_leaves_something_open_is_told_so() {
    let yaml = "format: {id: t, title: T, version: '1', endian: little}\n\
                clauses: [{id: a, quote: A}, {id: b, quote: B}]\n\
                records: {H: {fields: [{name: m, type: u8}, {name: x, type: u8}]}}\n\
                regions: [{name: h, record: H}]\n\
                rules:\n\
                - {id: T-BOUNDS, kind: bounds, region: h, stage: malformed, clause: a, why: w}\n\
                - {id: T-M, kind: const, field: h.m, value: 7, stage: malformed, clause: a, why: w}\n";
    let (_folder, path) = file("t.yaml", yaml.as_bytes());
    let ran = harness(&["check-spec", &path]).exits(1);
    for part in
        ["t.yaml:2: uncovered-clause: b", "t.yaml:3: unconstrained-field: H.x", "2 left open"]
    {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
}

#[test]
fn a_format_of_ones_own_works_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| harness_in(folder.path(), args);
    run(&["init-spec", "my.yaml"]).exits(0);
    run(&["init-spec", "my.yaml"]).exits(2);
    run(&["check-spec", "my.yaml"]).exits(0);
    run(&["generate", "--spec", "my.yaml"]).exits(0);
    run(&["generate", "--spec", "my.yaml", "--check"]).exits(0);
    let listed = run(&["conformance", "--spec", "my.yaml", "--list", "--json"]).exits(0).json();
    let ids: Vec<&str> = listed.as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    assert!(ids.len() > 50, "{} vectors", ids.len());
    let base = ids.iter().find(|id| id.contains("/base/")).unwrap();
    // The built-in loader does not read this format, so the case is skipped, and the file is still saved.
    run(&["replay", "--spec", "my.yaml", base, "--save", "base.bin"]).exits(4);
    run(&["validate", "--spec", "my.yaml", "base.bin"]).exits(0);
    let dump = run(&["dump", "--spec", "my.yaml", "base.bin"]).exits(0);
    assert!(dump.stdout.contains("valid"), "{}", dump.stdout);
    run(&["conformance", "--no-report", "--spec", "my.yaml", "--impl", "/bin/true"]).exits(1);
}

#[test]
fn replay_shows_the_file_the_expectation_and_the_answer() {
    let ran = harness(&["replay", "scp/header.magic/const/rich-x86_64/byte-0-low-bit"]).exits(0);
    for part in ["header.magic", "SCP-HEADER-MAGIC", "expected  malformed", "outcome  pass"] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let json = harness(&["replay", "--json", "scp/header.magic/const/rich-x86_64/byte-0-low-bit"])
        .exits(0)
        .json();
    assert_eq!(json["result"]["outcome"], "pass");
}

#[test]
fn frozen_vectors_run_as_generated_ones_do() {
    let ran = harness(&["conformance", "--no-report", "--vectors", "conformance/scp"]).exits(0);
    assert!(ran.stdout.contains("CONFORMS"), "{}", ran.stdout);
}

#[rstest]
#[case::auto_into_a_pipe("auto", false)]
#[case::never("never", false)]
#[case::always("always", true)]
fn colours_can_be_turned_off_and_on(#[case] when: &str, #[case] colored: bool) {
    let ran = harness(&["check-spec", "--color", when]).exits(0);
    assert_eq!(ran.stdout.contains('\u{1b}'), colored, "{:?}", ran.stdout);
}

#[test]
fn plain_progress_is_lines() {
    let ran = harness(&["conformance", "--no-report", "--progress", "plain"]).exits(0);
    assert!(
        ran.stderr.lines().filter(|line| line.contains("%), 0 failed")).count() >= 9,
        "{}",
        ran.stderr
    );
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(harness(&["completions", shell]).exits(0).stdout.contains("conformance"));
    }
}

#[test]
fn help_names_every_subcommand_and_the_exit_codes() {
    let help = harness(&["--help"]).exits(0).stdout;
    for word in [
        "conformance",
        "generate",
        "check-spec",
        "dump",
        "validate",
        "pack",
        "run",
        "replay",
        "init-spec",
        "completions",
        "Exit codes",
    ] {
        assert!(help.contains(word), "{word}");
    }
    assert!(!help.contains("dylib-host"));
    assert!(root().join("harness/protocol/README.md").exists(), "the help text points to it");
}
