//! Which format and which dialect a command works with.

use crate::support::{harness, root, script};

#[test]
fn an_implementation_is_tested_by_a_format_that_it_reads() {
    let loader = root().join("harness/adapters/python/smf_loader.py");
    let loader = format!("python3 {}", loader.display());
    let narrow = ["conformance", "--no-report", "--impl", &loader, "header.magic"];
    let ran = harness(&narrow).exits(0);
    assert!(ran.stdout.contains("CONFORMS  python-smf-loader"), "{}", ran.stdout);
    // It says that it reads one format, so there is nothing to point out.
    assert!(!ran.stderr.contains("--format"), "{}", ran.stderr);
    let ran = harness(&["conformance", "--no-report", "header.magic"]).exits(0);
    assert!(ran.stderr.contains("testing scp; --format smf tests smf"), "{}", ran.stderr);
}

#[test]
fn frozen_vectors_of_any_built_in_format_run() {
    let ran = harness(&["conformance", "--no-report", "--vectors", "conformance/smf"]).exits(0);
    assert!(ran.stdout.contains("CONFORMS  reference-loader"), "{}", ran.stdout);
    assert!(ran.stdout.contains(" looked at, 0 as reported, 0 not seen"), "{}", ran.stdout);
}

#[test]
fn replay_knows_the_format_by_the_id() {
    let load = "smf/loading/pc32/to-data/low/high";
    assert!(harness(&["replay", load]).exits(2).stderr.contains("similar: smf/loading/"));
    let ran = harness(&["replay", "smf/header.magic/const/rich-x86_64/byte-0-low-bit"]).exits(0);
    assert!(ran.stdout.contains("SMF-HEADER-MAGIC"), "{}", ran.stdout);
    let ran = harness(&["replay", "smf/scenarios/reload/x86_64"]).exits(0);
    for words in ["1  load a.smf as `old`", "3  call f of `old`", "outcome  pass"] {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
}

#[test]
fn a_dialect_is_a_format_of_its_own() {
    harness(&["check-spec", "--format", "smf"]).exits(0);
    harness(&["check-spec", "--format", "smf", "--variant", "later"]).exits(0);
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().to_str().unwrap();
    let made = ["generate", "--format", "smf", "--variant", "later", "--out", folder];
    let ran = harness(&made).exits(0);
    assert!(ran.stdout.contains(" vectors in "), "{}", ran.stdout);
    assert!(out.path().join("conformance/smf-later/header.json").is_file());
    assert!(!out.path().join("fuzz").exists(), "dictionaries are those of built-in formats");

    // A loader of the dialect is told apart from one of the base format by the format's id.
    let (_folder, loader) = script("#!/bin/sh\nexit 1\n");
    let question = ["conformance", "--no-report", "--impl", &loader];
    let dialect = ["--format", "smf", "--variant", "later", "-k", "*/trailer/*"];
    let ran = harness(&[&question[..], &dialect[..]].concat()).exits(1);
    let replay = "harness replay smf-later/header/trailer/rich-x86_64/copy";
    assert!(ran.stdout.contains(replay), "{}", ran.stdout);
    assert!(ran.stdout.contains("--format smf --variant later"), "{}", ran.stdout);
}

#[test]
fn a_dialect_that_does_not_exist_is_named_with_those_that_do() {
    let ran = harness(&["check-spec", "--format", "smf", "--variant", "latest"]).exits(2);
    assert!(ran.cause().contains("known: later"), "{}", ran.stderr);
    let ran = harness(&["check-spec", "--variant", "later"]).exits(2);
    assert!(ran.cause().contains("of which format?"), "{}", ran.stderr);
}
