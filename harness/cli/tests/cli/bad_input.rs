//! Bad input of every sort gets a clear cause on stderr and the right exit code.

use crate::support::{file, harness, harness_in, harness_with_input, script};
use rstest::rstest;

#[rstest]
#[case::missing("no-such-file", "no such file")]
#[case::directory("harness", "is a directory")]
#[case::unreadable("/proc/self/mem", "Input/output error")]
fn files_that_cannot_be_read(#[case] path: &str, #[case] cause: &str) {
    for command in ["validate", "dump", "run"] {
        let ran = harness(&[command, path]).exits(2);
        assert!(
            ran.cause().contains(path) && ran.cause().contains(cause),
            "{command}: {}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "", "{command}");
    }
}

#[test]
fn a_sparse_file_of_4_gib_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse.scp");
    std::fs::File::create(&path).unwrap().set_len(4 << 30).unwrap();
    let ran = harness(&["validate", path.to_str().unwrap()]).exits(2);
    assert!(ran.cause().contains("is 4294967296 bytes, at most 268435456"), "{}", ran.stderr);
}

#[test]
fn an_empty_file_is_malformed_not_an_error() {
    let (_folder, path) = file("empty.scp", b"");
    let ran = harness(&["validate", &path]).exits(1);
    assert!(ran.stdout.contains("SCP-HEADER-BOUNDS at offset 0x0"), "{}", ran.stdout);
    let ran = harness(&["dump", &path]).exits(0);
    assert!(
        ran.stdout.contains("0 bytes, malformed") && ran.stdout.contains("SCP-HEADER-BOUNDS"),
        "{}",
        ran.stdout
    );
    let ran = harness(&["run", &path, "f"]).exits(1);
    assert!(
        ran.cause().contains("SCP-HEADER-BOUNDS") && ran.cause().contains("(at offset 0x0)"),
        "{}",
        ran.stderr
    );
}

#[test]
fn one_bad_file_does_not_hide_the_others() {
    let (_folder, empty) = file("empty.scp", b"");
    let ran = harness(&["validate", "no-such-file", &empty]).exits(2);
    assert!(
        ran.stdout.contains("SCP-HEADER-BOUNDS") && ran.stderr.contains("no such file"),
        "{ran:?}"
    );
}

#[rstest]
#[case::binary(&[0x7f, b'E', b'L', b'F', 0xff, 0], "not UTF-8 text (at byte offset 0x4)")]
#[case::empty(b"", "my.yaml:1:1:")]
#[case::list(b"- 1\n- 2\n", "invalid type: sequence")]
#[case::tab(b"format:\n\tid: x\n", "cannot start any token")]
#[case::unknown_key(
    b"format: {id: x, title: x, version: '1', endian: little, colour: red}\n",
    "unknown field `colour`"
)]
fn garbage_as_a_spec_names_file_line_and_column(#[case] content: &[u8], #[case] cause: &str) {
    let (_folder, path) = file("my.yaml", content);
    for args in [vec!["check-spec", &path], vec!["conformance", "--no-report", "--spec", &path]] {
        let ran = harness(&args).exits(2);
        let place = format!("{}:", path.rsplit('/').next().unwrap());
        assert!(ran.cause().contains(&place) && ran.cause().contains(cause), "{}", ran.stderr);
    }
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut yaml = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        yaml +=
            &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", "));
    }
    let (_folder, path) = file("bomb.yaml", yaml.as_bytes());
    harness(&["check-spec", &path]).exits(2);
}

#[rstest]
#[case::command(&["frobnicate"])]
#[case::flag(&["validate", "--frobnicate", "x"])]
#[case::no_file(&["validate"])]
#[case::glob(&["conformance", "--no-report", "-k", "[", "--list"])]
#[case::format(&["check-spec", "--format", "nonesuch"])]
#[case::choice(&["check-spec", "--choice", "scp.trailing"])]
#[case::reading(&["validate", "--choice", "scp.trailing=maybe", "Cargo.toml"])]
#[case::time(&["conformance", "--timeout", "soon"])]
#[case::case_id(&["replay", "scp/no/such/case"])]
fn a_wrong_word_on_the_command_line_is_usage(#[case] args: &[&str]) {
    let ran = harness(args).exits(2);
    assert!(!ran.stderr.is_empty());
    assert_eq!(ran.stdout, "");
}

#[test]
fn nothing_selected_is_exit_4() {
    let ran = harness(&["conformance", "--no-report", "no.such.path"]).exits(4);
    assert!(ran.cause().contains("no vector is selected"), "{}", ran.stderr);
    harness(&["conformance", "--list", "-k", "nothing*"]).exits(4);
}

#[rstest]
#[case::missing("./no-such-loader", "no such file")]
#[case::directory("./harness", "is a directory")]
#[case::not_executable("./README.md", "is not executable")]
#[case::not_a_library("dylib:./Cargo.toml", "Cargo.toml")]
#[case::no_hello("pipe:/bin/true", "no hello")]
#[case::garbage("pipe:/bin/cat /etc/passwd", "no hello")]
#[case::unclosed_quote("\"unclosed", "cannot be split")]
fn implementations_that_cannot_start(#[case] implementation: &str, #[case] cause: &str) {
    let ran = harness(&["conformance", "--no-report", "--impl", implementation]).exits(3);
    assert!(ran.cause().contains(cause), "{}", ran.stderr);
    assert!(ran.cause().contains("--impl"), "{}", ran.stderr);
}

#[test]
fn one_implementation_that_cannot_start_does_not_stop_the_others() {
    let ran = harness(&[
        "conformance",
        "--no-report",
        "header",
        "--impl",
        "./no-such-loader",
        "--impl",
        "built-in",
    ])
    .exits(3);
    assert!(ran.stdout.contains("CONFORMS"), "{}", ran.stdout);
    assert!(ran.cause().contains("no such file"), "{}", ran.stderr);
}

#[rstest]
#[case::exits_at_once("exit 0", "wrong-accept")]
#[case::rejects_all("exit 1", "wrong-reject")]
#[case::crashes("kill -SEGV $$", "crash")]
#[case::floods_stderr("head -c 10000000 /dev/zero >&2; exit 1", "wrong-reject")]
#[case::garbage_on_stdout("echo {not json; exit 0", "wrong-accept")]
#[case::odd_exit_code("exit 77", "crash")]
fn one_shot_loaders_that_misbehave_are_nonconformant(#[case] body: &str, #[case] outcome: &str) {
    let (_folder, path) = script(&format!("#!/bin/sh\n[ $# -eq 0 ] && exit 3\n{body}\n"));
    let ran = harness(&[
        "conformance",
        "--no-report",
        "-k",
        "scp/base/*",
        "-k",
        "scp/header.magic/*",
        "--impl",
        &path,
    ])
    .exits(1);
    assert!(ran.stdout.contains(outcome), "{}", ran.stdout);
}

#[test]
fn a_loader_that_hangs_costs_its_cases_only() {
    let (_folder, path) = script("#!/bin/sh\n[ $# -eq 0 ] && exit 3\nexec sleep 1000\n");
    let args = [
        "conformance",
        "--no-report",
        "--no-isolate",
        "--timeout",
        "200ms",
        "-k",
        "scp/base/*",
        "--impl",
        &path,
    ];
    let ran = harness(&args).exits(1);
    assert!(ran.stdout.contains("hang") && ran.stdout.contains("9 of 9"), "{}", ran.stdout);
}

#[test]
fn standard_input_is_a_file_like_any_other() {
    let ran = harness_with_input(&["validate", "-"], b"SCP\0").exits(1);
    assert!(ran.stdout.starts_with("standard input: malformed"), "{}", ran.stdout);
}

#[test]
fn errors_are_json_when_asked_for() {
    let ran = harness(&["validate", "--json", "no-such-file"]).exits(2);
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["exit_code"], 2);
    assert!(error["error"].as_str().unwrap().contains("no such file"));
}

#[test]
fn a_report_folder_that_cannot_be_made_is_said_before_the_run() {
    let (_folder, path) = file("in-the-way", b"");
    let ran = harness(&["conformance", "header", "--report-dir", &path]).exits(2);
    assert!(ran.cause().contains("in-the-way"), "{}", ran.stderr);
}

#[test]
fn a_broken_deviations_file_is_usage_with_its_place() {
    let (_folder, path) = file(
        "deviations.yaml",
        b"deviations:\n  - {match: 'scp/*', outcome: sometimes, reason: r}\n",
    );
    let ran =
        harness_in(&crate::support::root(), &["conformance", "--no-report", "--deviations", &path])
            .exits(2);
    assert!(ran.cause().contains("deviations.yaml:2:"), "{}", ran.stderr);
}

#[test]
fn a_format_id_that_is_a_path_is_refused_and_nothing_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let starter = harness_in(folder.path(), &["init-spec", "-"]).exits(0).stdout;
    std::fs::create_dir_all(folder.path().join("victim")).unwrap();
    std::fs::create_dir_all(folder.path().join("conformance")).unwrap();
    let precious = folder.path().join("victim/precious.json");
    std::fs::write(&precious, "{}").unwrap();
    for (id, cause) in [("\"../victim\"", "cannot be a name"), ("scp", "id of a built-in format")] {
        std::fs::write(
            folder.path().join("my.yaml"),
            starter.replacen("id: starter", &format!("id: {id}"), 1),
        )
        .unwrap();
        let ran = harness_in(folder.path(), &["generate", "--spec", "my.yaml"]).exits(2);
        assert!(ran.cause().contains(cause), "{}", ran.stderr);
    }
    assert!(precious.exists());
    assert!(!folder.path().join("conformance/scp").exists());
}

#[rstest]
#[case::validate(&["validate", "Cargo.toml"])]
#[case::check_spec(&["check-spec"])]
#[case::completions(&["completions", "bash"])]
#[case::list(&["conformance", "--list"])]
fn a_full_disk_is_an_error_and_a_closed_pipe_is_the_end(#[case] args: &[&str]) {
    let run = |stdout: std::process::Stdio| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_harness"));
        command
            .current_dir(crate::support::root())
            .args(args)
            .stdout(stdout)
            .stderr(std::process::Stdio::null());
        command.status().unwrap().code()
    };
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert_eq!(run(full.into()), Some(2));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(run(writer.into()), Some(0));
}

#[test]
fn reports_of_two_loaders_of_one_name_do_not_overwrite_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["conformance", "-k", "scp/base/*", "--impl", "built-in", "--impl", "built-in"];
    harness_in(folder.path(), &args).exits(0);
    for name in ["reference-loader", "reference-loader-2"] {
        assert!(
            folder.path().join("reports/latest").join(name).join("report.json").exists(),
            "{name}"
        );
    }
}

#[test]
fn zero_jobs_is_usage() {
    harness(&["conformance", "--no-report", "-j", "0"]).exits(2);
}

#[test]
fn a_link_is_written_through() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target.yaml");
    std::fs::write(&target, "").unwrap();
    std::os::unix::fs::symlink(&target, folder.path().join("link.yaml")).unwrap();
    harness_in(folder.path(), &["init-spec", "--force", "link.yaml"]).exits(0);
    assert!(std::fs::read_to_string(&target).unwrap().contains("format:"));
    assert!(folder.path().join("link.yaml").is_symlink());
}
