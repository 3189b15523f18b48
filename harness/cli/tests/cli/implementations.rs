//! The sample implementations, put to the test by the built program.

use std::collections::BTreeMap;

use crate::support::{c_loaders, harness, python_loader, root};

#[test]
fn the_python_loader_conforms() {
    let ran = harness(&["conformance", "--no-report", "--impl", &python_loader()]).exits(0);
    assert!(ran.stdout.contains("CONFORMS  python-scp-loader"), "{}", ran.stdout);
}

#[test]
fn the_python_loaders_pass_their_own_tests() {
    let tests = std::process::Command::new("python3")
        .args(["-B", "-m", "unittest"])
        .current_dir(root().join("harness/adapters/python"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tests.stderr);
    assert!(tests.status.success() && said.contains("OK"), "{said}");
    assert!(!said.contains("Ran 0 tests"), "{said}");
}

#[test]
fn the_c_library_conforms() {
    let library = c_loaders().join("libscp_loader.so");
    let ran =
        harness(&["conformance", "--no-report", "--impl", library.to_str().unwrap()]).exits(0);
    assert!(ran.stdout.contains("(dylib)") && ran.stdout.contains("CONFORMS"), "{}", ran.stdout);
}

/// A fault of the naive loader: the rules it breaks and how that must show.
struct Fault {
    name: &'static str,
    rules: &'static [&'static str],
    outcomes: &'static [&'static str],
}

const fn fault(
    name: &'static str,
    rules: &'static [&'static str],
    outcomes: &'static [&'static str],
) -> Fault {
    Fault { name, rules, outcomes }
}

/// What `harness/adapters/c-naive/FAULTS.md` lists.
const FAULTS: &[Fault] = &[
    fault("rwx", &["SCP-CODE-PROTECTION"], &["wrong-image"]),
    fault("header-overread", &["SCP-HEADER-BOUNDS"], &["wrong-accept", "crash"]),
    fault("blob-overread", &["SCP-HEADER-SIZE", "SCP-CODE-BOUNDS"], &["crash"]),
    fault("mmap-unchecked", &["SCP-CODE-BOUNDS"], &["crash"]),
    fault(
        "counts-trusted",
        &[
            "SCP-FUNC-TABLE-BOUNDS",
            "SCP-TYPE-TABLE-BOUNDS",
            "SCP-DEP-TABLE-BOUNDS",
            "SCP-STR-TABLE-BOUNDS",
        ],
        &["crash", "wrong-accept"],
    ),
    fault("version-ignored", &["SCP-HEADER-MAJOR", "SCP-HEADER-MINOR"], &["wrong-accept"]),
    fault("checksum-ignored", &["SCP-HEADER-CHECKSUM"], &["wrong-accept"]),
    fault(
        "machine-ignored",
        &["SCP-HEADER-ARCHITECTURE", "SCP-HEADER-CONVENTION"],
        &["wrong-accept"],
    ),
    fault(
        "flags-ignored",
        &["SCP-HEADER-FLAGS", "SCP-HEADER-RESERVED", "SCP-HEADER-GC", "SCP-FUNC-FLAGS"],
        &["wrong-accept"],
    ),
    fault(
        "names-trusted",
        &["SCP-FUNC-NAME-BOUNDS", "SCP-FUNC-NAME-START", "SCP-STR-UTF8"],
        &["wrong-accept"],
    ),
    fault("entries-trusted", &["SCP-FUNC-ENTRY-BOUNDS", "SCP-FUNC-ENTRY-ALIGN"], &["wrong-accept"]),
    fault(
        "type-codes-ignored",
        &[
            "SCP-FUNC-PARAM-CODE",
            "SCP-FUNC-PARAM-VOID",
            "SCP-FUNC-RETURN-CODE",
            "SCP-FUNC-PARAM-STRUCT",
            "SCP-FUNC-RETURN-STRUCT",
        ],
        &["wrong-accept"],
    ),
    fault("duplicates-ignored", &["SCP-FUNC-UNIQUE", "SCP-TYPE-ID-UNIQUE"], &["wrong-accept"]),
    fault(
        "types-skipped",
        &[
            "SCP-TYPE-NAME-BOUNDS",
            "SCP-TYPE-NAME-START",
            "SCP-TYPE-FIELD-CODE",
            "SCP-TYPE-FIELD-VOID",
            "SCP-TYPE-FIELD-BOUNDS",
            "SCP-DEP-NAME-BOUNDS",
            "SCP-DEP-NAME-START",
        ],
        &["wrong-accept"],
    ),
    fault("remainder-ignored", &["SCP-HEADER-SLACK", "SCP-FILE-TRAILING"], &["wrong-accept"]),
];

#[test]
fn every_fault_of_the_naive_loader_is_exposed_by_name() {
    let loader = c_loaders().join("naive-loader");
    let loader = loader.to_str().unwrap();
    let args = [
        "conformance",
        "--no-report",
        "--json",
        "--choice",
        "scp.magic-order=value",
        "--impl",
        loader,
    ];
    let reports = harness(&args).exits(1).json();
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for case in reports[0]["cases"].as_array().unwrap() {
        if let (Some(rule), Some(outcome)) = (case["rule"].as_str(), case["outcome"].as_str()) {
            seen.entry(rule.to_owned()).or_default().push(outcome.to_owned());
        }
    }
    let listed =
        std::fs::read_to_string(root().join("harness/adapters/c-naive/FAULTS.md")).unwrap();
    for fault in FAULTS {
        assert!(listed.contains(fault.name), "FAULTS.md does not list {}", fault.name);
        for rule in fault.rules {
            let outcomes = seen.get(*rule).map(Vec::as_slice).unwrap_or_default();
            let exposed = outcomes.iter().any(|outcome| fault.outcomes.contains(&outcome.as_str()));
            assert!(exposed, "{}: {rule} shows only {outcomes:?}", fault.name);
        }
    }
}

#[test]
fn the_reading_of_the_naive_loader_is_recognised() {
    let loader = c_loaders().join("naive-loader");
    let ran = harness(&["conformance", "--no-report", "--impl", loader.to_str().unwrap()]).exits(1);
    assert!(ran.stdout.contains("--choice scp.magic-order=value"), "{}", ran.stdout);
}

#[test]
fn the_naive_loaders_known_failures_are_all_accounted_for() {
    let loader = c_loaders().join("naive-loader");
    let deviations = root().join("harness/adapters/c-naive/deviations.yaml");
    let args = [
        "conformance",
        "--no-report",
        "--impl",
        loader.to_str().unwrap(),
        "--deviations",
        deviations.to_str().unwrap(),
    ];
    let ran = harness(&args).exits(0);
    assert!(ran.stdout.contains("expected-fail"), "{}", ran.stdout);
}
