//! Real shared libraries, built here with the C compiler: the correct loader of `harness/adapters/c`, and
//! ones that break their interface.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use dylib_host::{HostError, serve};
use harness_protocol::value::Argument;
use harness_protocol::{
    Call, Case, FromLoader, PROTOCOL_VERSION, Reply, Returned, Stage, ToLoader, TypeName, Want,
    frame,
};
use tempfile::TempDir;

const CRC32_OF_ADD: u32 = 0x0bc5_bee6;

/// A file with `int32 add(int32, int32)` for x86_64.
fn add_scp() -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(b"SCP\0\x00\x00\x01\x00"); // magic, version 0.1
    file.extend(69_u32.to_le_bytes()); // header_size
    file.extend(4_u64.to_le_bytes()); // code_blob_size
    file.extend([0, 0, 0, 0]); // x86_64, cdecl, no flags
    file.extend(CRC32_OF_ADD.to_le_bytes());
    file.extend([0; 4]); // reserved
    file.extend([1, 0, 0, 0]); // one function
    file.extend([0; 12]); // name_offset, entry_offset
    file.extend([2, 3, 3, 3, 0]); // two params, types, return type, flags
    file.extend([0; 8]); // no types, no dependencies
    file.extend(b"\x01\0\0\0add\0"); // one string
    file.extend([0x8d, 0x04, 0x37, 0xc3]); // lea eax, [rdi + rsi]; ret
    file
}

fn adapters() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error} (these tests need a C compiler and make)")
    });
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn correct_library(folder: &TempDir) -> PathBuf {
    let out = format!("OUT={}", folder.path().display());
    let library = folder.path().join("libscp_loader.so");
    run(Command::new("make").arg("-C").arg(adapters()).arg(out).arg(&library));
    library
}

const GOOD_DESCRIBE: &str =
    r#"return "{\"protocol\": 1, \"name\": \"t\", \"formats\": [\"scp\"]}";"#;

/// A library from the bodies of `blob_describe`, `blob_load` and `blob_entry`.
fn library(folder: &TempDir, describe: &str, load: &str, entry: &str) -> PathBuf {
    let source = folder.path().join("loader.c");
    let text = format!(
        "#include <string.h>\n#include \"blob_loader.h\"\n\
         const char *blob_describe(void) {{ {describe} }}\n\
         int32_t blob_load(const uint8_t *bytes, size_t size, int32_t want, void **module,\n\
         struct blob_report *report) {{ {load} }}\n\
         const void *blob_entry(void *module, const char *function) {{ {entry} }}\n\
         void blob_unload(void *module) {{ (void)module; }}\n"
    );
    std::fs::write(&source, text).unwrap();
    compile(folder, &source)
}

fn compile(folder: &TempDir, source: &Path) -> PathBuf {
    let library = folder.path().join("libloader.so");
    let header = adapters().join("c");
    run(Command::new("cc")
        .args(["-std=c11", "-fPIC", "-shared", "-I"])
        .arg(header)
        .arg("-o")
        .args([&library, source]));
    library
}

fn case(seq: u64, want: Want, bytes: Vec<u8>, call: Option<Call>) -> ToLoader {
    ToLoader::Case(Case {
        seq,
        format: "scp".into(),
        want,
        bytes: bytes.into(),
        call,
        ..Case::default()
    })
}

fn add_call(function: &str) -> Call {
    let args = vec![Argument::Int32 { value: 40 }, Argument::Int32 { value: 2 }];
    Call { function: function.into(), args, returns: TypeName::Int32 }
}

/// Says hello, sends the cases and bye, and gives the replies.
fn converse(library: &Path, cases: &[ToLoader]) -> Result<Vec<Reply>, HostError> {
    let hello = ToLoader::Hello { protocol: PROTOCOL_VERSION, harness: "test".into() };
    let mut input = Vec::new();
    for message in [&hello].into_iter().chain(cases).chain([&ToLoader::Bye]) {
        frame::write(&mut input, message).unwrap();
    }
    let mut output = Vec::new();
    serve(library, &mut input.as_slice(), &mut output)?;
    let mut output = output.as_slice();
    let Some(FromLoader::Hello(_)) = frame::read(&mut output).unwrap() else {
        panic!("the first answer is no hello")
    };
    let mut replies = Vec::new();
    while let Some(FromLoader::Result(reply)) = frame::read(&mut output).unwrap() {
        replies.push(reply);
    }
    Ok(replies)
}

/// The reply of a broken library to one case.
fn reply(describe: &str, load: &str, entry: &str, want: Want) -> Reply {
    let folder = tempfile::tempdir().unwrap();
    let library = library(&folder, describe, load, entry);
    let call = (want == Want::Call).then(|| add_call("add"));
    converse(&library, &[case(1, want, vec![0], call)]).unwrap().remove(0)
}

/// The message of a reply that is neither a stage nor a skip.
fn breach(load: &str, entry: &str, want: Want) -> String {
    let reply = reply(GOOD_DESCRIBE, load, entry, want);
    assert_eq!((reply.stage, reply.skip), (None, None));
    reply.message.unwrap()
}

#[test]
fn the_correct_loader_validates_and_loads() {
    let folder = tempfile::tempdir().unwrap();
    let library = correct_library(&folder);
    let mut damaged = add_scp();
    damaged[70] ^= 1;
    let replies = converse(
        &library,
        &[
            case(1, Want::Validate, add_scp(), None),
            case(2, Want::Load, add_scp(), None),
            case(3, Want::Load, damaged, None),
            case(4, Want::Validate, vec![], None),
        ],
    )
    .unwrap();
    let seen: Vec<_> = replies.iter().map(|reply| (reply.seq, reply.stage.unwrap())).collect();
    let expected =
        [(1, Stage::Valid), (2, Stage::Loaded), (3, Stage::Invalid), (4, Stage::Malformed)];
    assert_eq!(seen, expected);
    assert_eq!(replies[1].images[0].size, 4);
    assert_eq!(replies[2].rule.as_deref(), Some("SCP-HEADER-CHECKSUM"));
    assert_eq!(replies[2].offset, Some(24));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_correct_loader_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let library = correct_library(&folder);
    let call = |name| case(1, Want::Call, add_scp(), Some(add_call(name)));
    let replies = converse(&library, &[call("add"), call("subtract"), call("a\0b")]).unwrap();
    assert_eq!(replies[0].stage, Some(Stage::Returned));
    assert_eq!(replies[0].result, Some(Returned::Int32 { value: 42 }));
    assert_eq!(replies[1].stage, Some(Stage::Unresolvable));
    assert_eq!(replies[2].stage, Some(Stage::Unresolvable));
}

#[test]
fn code_that_cannot_run_here_is_skipped() {
    let load = "strcpy(report->message, \"for another machine\"); return 2;";
    let reply = reply(GOOD_DESCRIBE, load, "return 0;", Want::Call);
    assert_eq!((reply.stage, reply.skip.as_deref()), (None, Some("for another machine")));
    let with_rule = "strcpy(report->rule, \"SCP-HEADER-GC\"); return 2;";
    let reply = self::reply(GOOD_DESCRIBE, with_rule, "return 0;", Want::Call);
    assert_eq!((reply.stage, reply.skip), (Some(Stage::Unsupported), None));
}

#[test]
fn another_format_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let library = library(&folder, GOOD_DESCRIBE, "return 5;", "return 0;");
    let case = Case {
        seq: 1,
        format: "smf".into(),
        want: Want::Validate,
        bytes: vec![].into(),
        ..Case::default()
    };
    let replies = converse(&library, &[ToLoader::Case(case)]).unwrap();
    assert!(replies[0].skip.as_deref().unwrap().contains("smf"));
}

#[test]
fn what_the_interface_does_not_allow_is_no_verdict() {
    let loaded =
        "static int m; *module = &m; report->image_base = 4096; report->image_size = 16; return 6;";
    for (load, entry, want, expected) in [
        ("return 7;", "return 0;", Want::Load, "returned 7"),
        ("return -1;", "return 0;", Want::Load, "returned -1"),
        ("return 6;", "return 0;", Want::Load, "without a module"),
        ("static int m; *module = &m; return 1;", "return 0;", Want::Load, "1 and a module"),
        ("memset(report->rule, 'R', 64); return 0;", "return 0;", Want::Load, "report.rule"),
        ("report->message[0] = '\\xff'; return 0;", "return 0;", Want::Load, "report.message"),
        ("report->offset = -2; return 0;", "return 0;", Want::Load, "report.offset"),
        (
            "report->image_base = 1; report->image_size = -1; return 5;",
            "return 0;",
            Want::Load,
            "no range",
        ),
        (loaded, "return (const void *)4112;", Want::Call, "outside the image"),
    ] {
        let message = breach(load, entry, want);
        assert!(message.contains(expected), "{message:?} does not say {expected:?}");
    }
}

#[test]
fn a_missing_function_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("empty.c");
    std::fs::write(&source, "const char *blob_describe(void) { return 0; }\n").unwrap();
    let error = converse(&compile(&folder, &source), &[]).unwrap_err();
    assert!(matches!(error, HostError::Symbol { symbol: "blob_load", .. }), "{error}");
    assert!(error.to_string().contains("`blob_load`"), "{error}");
}

#[test]
fn a_description_is_checked() {
    for (describe, expected) in [
        ("return 0;", "NULL"),
        ("return \"hello\";", "expected value"),
        ("return \"{\\\"protocol\\\": 1}\";", "missing field `name`"),
        ("return \"\\xff\";", "utf-8"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let library = library(&folder, describe, "return 0;", "return 0;");
        let error = converse(&library, &[]).unwrap_err();
        assert!(matches!(error, HostError::Describe { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn what_is_no_library_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.so");
    std::fs::write(&text, "no library").unwrap();
    assert!(matches!(converse(&text, &[]), Err(HostError::Open { .. })));
    let absent = folder.path().join("absent.so");
    assert!(matches!(converse(&absent, &[]), Err(HostError::NotFound { .. })));
}
