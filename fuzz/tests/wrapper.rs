//! What stands between cargo and rustc changes nothing but what it is there for.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

/// The environment of the program that the wrapper starts with these arguments.
fn environment(arguments: &[&str]) -> Vec<String> {
    let wrapper = Path::new(env!("CARGO_MANIFEST_DIR")).join("rustc-for-fuzzing.sh");
    // `cat` prints the first file, and then complains about the rest in vain.
    let output = Command::new(wrapper)
        .args(["cat", "--", "/proc/self/environ"])
        .args(arguments)
        .env_remove("RUSTC_BOOTSTRAP")
        .env("CARGO_BIN_EXE_no-identifier", "a value\nof two lines")
        .output()
        .unwrap();
    let variables = String::from_utf8_lossy(&output.stdout);
    variables.split('\0').map(str::to_owned).collect()
}

fn allows_unstable_options(arguments: &[&str]) -> bool {
    environment(arguments).iter().any(|variable| variable.starts_with("RUSTC_BOOTSTRAP="))
}

#[test]
fn only_fuzzing_may_use_unstable_options() {
    assert!(allows_unstable_options(&["a.rs", "--cfg", "fuzzing", "-g"]));
    assert!(allows_unstable_options(&["a.rs", "-Zsanitizer=address"]));
    assert!(!allows_unstable_options(&["a.rs"]));
    assert!(!allows_unstable_options(&["a.rs", "--check-cfg", "cfg(fuzzing)"]));
    assert!(!allows_unstable_options(&["a.rs", "--cfg", "fuzzing_aid", "-Zthreads=2"]));
}

#[test]
fn every_variable_is_passed_on() {
    for arguments in [&["a.rs"] as &[&str], &["a.rs", "--cfg", "fuzzing"]] {
        let passed = environment(arguments);
        let expected = "CARGO_BIN_EXE_no-identifier=a value\nof two lines".to_owned();
        assert!(passed.contains(&expected), "{passed:?}");
    }
}
