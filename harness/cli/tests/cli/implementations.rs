//! The sample implementations, put to the test by the built program.

use std::collections::BTreeMap;

use rstest::rstest;

use crate::support::{c_loaders, harness, root};

#[rstest]
#[case::scp("scp")]
#[case::smf("smf")]
fn the_python_loaders_conform(#[case] format: &str) {
    let program = root().join(format!("harness/adapters/python/{format}_loader.py"));
    let loader = format!("python3 {}", program.display());
    let args = ["conformance", "--no-report", "--format", format, "--strict-rules", "--impl"];
    let ran = harness(&[&args[..], &[&loader, "--enforce-should"]].concat()).exits(0);
    assert!(ran.stdout.contains(&format!("CONFORMS  python-{format}-loader")), "{}", ran.stdout);
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

#[rstest]
#[case::scp("scp", "naive-loader", "", "c-naive/deviations.yaml")]
#[case::smf("smf", "naive-smf-loader", "", "c-naive-smf/deviations.yaml")]
#[case::smf_registry(
    "smf",
    "naive-smf-loader",
    " --registry",
    "c-naive-smf/deviations-registry.yaml"
)]
fn the_naive_loaders_known_failures_are_all_accounted_for(
    #[case] format: &str,
    #[case] program: &str,
    #[case] option: &str,
    #[case] deviations: &str,
) {
    let loader = format!("{}{option}", c_loaders().join(program).display());
    let deviations = root().join("harness/adapters").join(deviations);
    let args = ["conformance", "--no-report", "--format", format, "--impl", &loader];
    let known = ["--deviations", deviations.to_str().unwrap()];
    let ran = harness(&[&args[..], &known].concat()).exits(0);
    assert!(ran.stdout.contains("expected-fail"), "{}", ran.stdout);
}

/// The faults of the SMF loader are told by its deviations, which a run holds to be true.
#[test]
fn every_fault_of_the_naive_smf_loader_is_exposed_by_name() {
    let folder = root().join("harness/adapters/c-naive-smf");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let (listed, known) = (read("FAULTS.md"), read("deviations-registry.yaml"));
    let faults = listed.lines().filter_map(|line| {
        let mut cells = line.split(" | ");
        cells.next()?.starts_with("| F").then(|| cells.next()).flatten()
    });
    let faults: Vec<_> = faults.collect();
    assert!(faults.len() > 20, "{faults:?}");
    // No file of 64 to 71 bytes has code, without which nothing loads.
    for fault in faults.into_iter().filter(|fault| *fault != "header-64") {
        assert!(known.contains(&format!("fault: {fault},")), "nothing exposes {fault}");
    }
}
