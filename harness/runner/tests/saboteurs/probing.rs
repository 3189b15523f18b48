//! From the text of `--impl` to an implementation, or to one line that says why not.

use std::time::Duration;

use harness_runner::{Connection, ProbeOptions, StartError, Target};
use rstest::rstest;

use crate::vectors::saboteur;

fn kind(text: &str, options: &ProbeOptions) -> &'static str {
    Target::parse(text, options).expect("it starts").connection.kind()
}

#[rstest]
#[case::answers_hello("good", "pipe")]
#[case::exits("dies-at-handshake", "oneshot")]
#[case::garbage("garbage-at-handshake", "oneshot")]
fn a_plain_text_is_probed(#[case] mode: &str, #[case] expected: &str) {
    assert_eq!(kind(&saboteur(mode), &ProbeOptions::default()), expected);
}

#[test]
fn silence_means_one_shot() {
    let options = ProbeOptions { handshake: Duration::from_millis(300), ..ProbeOptions::default() };
    assert_eq!(kind(&saboteur("silent"), &options), "oneshot");
    assert_eq!(kind("cat", &options), "oneshot");
}

#[rstest]
#[case::nothing("", "no program is named")]
#[case::quote("pipe:'a", "cannot be split into words")]
#[case::missing("no-such-loader", "no-such-loader: no such file, here or in PATH")]
#[case::missing_path("./no/such/loader --fast", "./no/such/loader: no such file")]
#[case::directory("/usr", "/usr: is a directory")]
#[case::not_executable(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "is not executable")]
#[case::no_library("dylib:/bin/sh", "/bin/sh: ")]
#[case::no_elf(concat!("dylib:", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "is no library")]
#[case::pipe_without_hello("pipe:false", "no hello: exited with code 1")]
fn what_cannot_start_says_why_in_a_line(#[case] text: &str, #[case] part: &str) {
    let error = Target::parse(text, &ProbeOptions::default()).unwrap_err().to_string();
    assert!(error.contains(part) && !error.contains('\n'), "{error}");
}

#[test]
fn a_forced_pipe_shows_the_last_words() {
    let text = format!("pipe:{}", saboteur("dies-at-handshake"));
    let error = Target::parse(&text, &ProbeOptions::default()).unwrap_err().to_string();
    assert!(error.contains("code 3") && error.contains("no licence found"), "{error}");
}

#[rstest]
#[case("")]
#[case("pipe:")]
fn another_version_is_refused(#[case] prefix: &str) {
    let text = format!("{prefix}{}", saboteur("other-version"));
    let error = Target::parse(&text, &ProbeOptions::default()).unwrap_err();
    assert!(matches!(error, StartError::Version { theirs: 99, .. }), "{error}");
}

#[test]
fn a_file_with_a_space_in_its_name_is_that_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my loader");
    std::os::unix::fs::symlink("/bin/false", &path).unwrap();
    let found = Target::parse(path.to_str().unwrap(), &ProbeOptions::default()).unwrap();
    let Connection::OneShot { command } = found.connection else { panic!("{found:?}") };
    assert_eq!(command, [path.into_os_string()]);
    assert_eq!(found.describe.name, "my loader");
}

#[test]
fn a_library_is_handed_to_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("l.c"), folder.path().join("l.so"));
    std::fs::write(&source, "const char *blob_describe(void) { return 0; }\n").unwrap();
    let compiled = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        eprintln!("no C compiler here: not tried");
        return;
    }
    let text = library.to_str().unwrap();
    let error = Target::parse(text, &ProbeOptions::default()).unwrap_err();
    assert!(matches!(error, StartError::NoHost { .. }), "{error}");
    let host = shell_words::split(&saboteur("good")).unwrap();
    let host_command = host.into_iter().map(Into::into).collect();
    let options = ProbeOptions { host_command, ..ProbeOptions::default() };
    let found = Target::parse(text, &options).unwrap();
    assert_eq!((found.connection.kind(), found.describe.name.as_str()), ("dylib", "saboteur"));
    assert_eq!(found.connection.command().last().unwrap(), library.as_os_str());
}
