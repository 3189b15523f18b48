//! Real code from a real compiler: C functions are packed, validated, dumped, loaded by every sample
//! implementation and called; what they return and do to their buffers is what the same C does when it is
//! called directly.
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use crate::support::{c_loaders, harness, python_loader, root};
use harness_protocol::{
    Argument, Call, Expect, Needs, Returned, Stage, TypeName, Vector, VectorFile, Want, oneshot,
};
use reference_loader::call::{CallOutcome, invoke};
use rstest::rstest;

/// Function and arguments, as a user would type them.
const CALLS: &[(&str, &[&str])] = &[
    ("add8", &["127", "1"]),
    ("add8", &["-128", "-1"]),
    ("mul16", &["-32768", "-1"]),
    ("mul16", &["181", "182"]),
    ("add", &["2147483647", "1"]),
    ("add", &["-5", "3"]),
    ("divide", &["-2147483648", "-1"]),
    ("divide", &["-7", "2"]),
    ("sub64", &["-9223372036854775808", "1"]),
    ("sub64", &["4294967296", "-4294967296"]),
    ("widen", &["-1", "-2", "-3", "-4"]),
    ("widen", &["-128", "32767", "-2147483648", "9223372036854775807"]),
    ("rotate", &["-2147483647", "31"]),
    ("rotate", &["1", "-1"]),
    ("scale", &["0.1", "3"]),
    ("scale", &["0x7f800001", "1"]), // a signalling NaN
    ("scale", &["-0", "0"]),
    ("determinant", &["1.5", "-2.25", "1e300", "1e-300"]),
    ("determinant", &["inf", "0", "0", "0"]),
    (
        "mixed",
        &["1", "2.5", "-3", "4.25", "-5000000000", "6.125", "-7", "8.5", "9", "10.0625", "-11"],
    ),
    ("sum_bytes", &["0102fffe80", "5"]),
    ("sum_bytes", &["null", "0"]),
    ("sum_words", &["01000000ffffffff00000080", "3"]),
    ("reverse", &["0102030405", "5"]),
    ("sort", &["ff00807f01", "5"]),
    ("length", &["\"\""]),
    ("length", &["\"position-independent\""]),
    ("find", &["\"haystack\"", "115"]),
    ("find", &["\"haystack\"", "0"]),
    ("find", &["\"haystack\"", "122"]),
    ("to_upper", &["\"Mixed Case 123\""]),
    ("distance", &["0100000002000000", "fdffffff07000000"]),
    ("move_by", &["ffffff7f00000080", "1", "-1"]),
    ("area", &["00000000000000000a000000f6ffffff000000000000f03f"]),
    ("upper_corner", &["00000000000000000a000000f6ffffff000000000000f03f"]),
    ("fibonacci", &["20"]),
    ("ackermann", &["2", "3"]),
    ("parity", &["255"]),
    ("parity", &["-2"]),
    ("crc32", &["313233343536373839", "9"]),
    ("nothing", &[]),
];

/// The same for the file with constants, strings and a jump table.
const TABLE_CALLS: &[(&str, &[&str])] = &[
    ("square", &["13"]),
    ("weigh", &["010203040506", "6"]),
    ("dispatch", &["0", "40", "2"]),
    ("dispatch", &["6", "-7", "3"]),
    ("dispatch", &["9", "-7", "3"]),
    ("dispatch", &["10", "1", "1"]),
    ("greet", &["000000000000000000000000000000000000000000000000"]),
    ("indirect", &["5"]),
    ("to_fahrenheit", &["36.6"]),
    ("third", &["1"]),
];

#[rstest]
fn called_through_every_loader_and_directly_the_result_is_the_same(
    #[values("-O0", "-O2")] level: &str,
    #[values(("functions.c", CALLS), ("tables.c", TABLE_CALLS))] source: (&str, &[(&str, &[&str])]),
) {
    let (source, calls) = source;
    let folder = tempfile::tempdir().unwrap();
    let (object, library) = compile(folder.path(), source, level);
    let directly = Direct::open(&library);
    for (choice, implementations) in [
        (
            "scp.magic-order=text",
            vec!["built-in".to_owned(), python_loader(), loader("libscp_loader.so")],
        ),
        ("scp.magic-order=value", vec![loader("naive-loader")]),
    ] {
        let module = folder.path().join("module.scp");
        let module = module.to_str().unwrap();
        harness(&["pack", object.to_str().unwrap(), "-o", module, "--choice", choice]).exits(0);
        harness(&["validate", module, "--choice", choice]).exits(0);
        let vectors = folder.path().join(choice);
        write_vectors(&vectors, module, &directly, calls);
        for implementation in implementations {
            let args = [
                "conformance",
                "--no-report",
                "--choice",
                choice,
                "--vectors",
                vectors.to_str().unwrap(),
                "--impl",
                &implementation,
            ];
            let ran = harness(&args).exits(0);
            assert!(
                ran.stdout.contains(&format!("{}\n", calls.len())),
                "{implementation}: {}",
                ran.stdout
            );
        }
    }
}

fn loader(name: &str) -> String {
    c_loaders().join(name).to_str().unwrap().to_owned()
}

/// The object for packing, and the same code as a shared library for calling it directly.
fn compile(folder: &Path, source: &str, level: &str) -> (std::path::PathBuf, std::path::PathBuf) {
    let source = root().join("harness/cli/tests/real").join(source);
    let flags = [
        level,
        "-g",
        "-fPIC",
        "-ffreestanding",
        "-fno-stack-protector",
        "-fcf-protection=none",
        "-fno-asynchronous-unwind-tables",
    ];
    let outputs = (folder.join("code.o"), folder.join("libcode.so"));
    for (mode, output) in [("-c", &outputs.0), ("-shared", &outputs.1)] {
        let compiled =
            Command::new("gcc").args(flags).arg(mode).arg(&source).arg("-o").arg(output).output();
        let compiled = compiled.expect("gcc compiles the real input (Debian: gcc)");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    }
    outputs
}

/// The code as the system's own loader loads it.
struct Direct {
    library: libloading::Library,
}

impl Direct {
    fn open(path: &Path) -> Self {
        #[expect(unsafe_code, reason = "the system's loader is what the others are compared with")]
        // SAFETY: the library has just been compiled from our own freestanding source: no initialisers run.
        let library = unsafe { libloading::Library::new(path) }.unwrap();
        Self { library }
    }

    fn call(&self, call: &Call) -> CallOutcome {
        #[expect(
            unsafe_code,
            reason = "the function is called with the types of its C declaration"
        )]
        // SAFETY: the symbol is a function of our own source.
        let entry =
            unsafe { self.library.get::<*const std::ffi::c_void>(call.function.as_bytes()) }
                .unwrap();
        let nowhere: Range<usize> = 0..0;
        #[expect(
            unsafe_code,
            reason = "the function is called with the types of its C declaration"
        )]
        // SAFETY: `entry` stays mapped while the library is open; the signature is the one that `pack` took
        // from the compiler's own debug information; buffers are as long as each case says.
        let outcome = unsafe { invoke(*entry, nowhere, call) };
        outcome.unwrap()
    }
}

/// One vector for each call, with the direct call's answer as expectation.
fn write_vectors(folder: &Path, module: &str, directly: &Direct, calls: &[(&str, &[&str])]) {
    let bytes = std::fs::read(module).unwrap();
    let signatures = signatures(&bytes);
    let vectors = calls.iter().enumerate().map(|(index, (function, texts))| {
        let (params, returns) = signatures
            .iter()
            .find(|(name, _, _)| name == function)
            .map(|(_, p, r)| (p, *r))
            .unwrap();
        assert_eq!(params.len(), texts.len(), "{function}");
        let args: Vec<Argument> = params
            .iter()
            .zip(*texts)
            .map(|(param, text)| oneshot::parse(*param, text).unwrap())
            .collect();
        let call = Call { function: (*function).to_owned(), args, returns };
        let outcome = directly.call(&call);
        vector(index, &bytes, call, outcome.returned, outcome.buffers)
    });
    let file = VectorFile {
        format: "scp".into(),
        version: "0.1".into(),
        group: "real".into(),
        vectors: vectors.collect(),
    };
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("real.json"), serde_json::to_vec(&file).unwrap()).unwrap();
}

/// Name, parameters and result of every function, by the packed file's own table.
fn signatures(bytes: &[u8]) -> Vec<(String, Vec<TypeName>, TypeName)> {
    // The file's reading of the magic does not matter here: only the tables are looked at.
    let mut file = bytes.to_vec();
    file[..4].copy_from_slice(b"SCP\0");
    let parsed = reference_loader::parse(&file).unwrap();
    let named = |code: u8| reference_loader::type_code::name(code).unwrap();
    let functions = parsed.functions().map(|function| {
        let name =
            String::from_utf8(parsed.strings().at(function.name_offset).unwrap().to_vec()).unwrap();
        (
            name,
            function.params.iter().map(|code| named(*code)).collect(),
            named(function.return_type),
        )
    });
    functions.collect()
}

fn vector(
    index: usize,
    bytes: &[u8],
    call: Call,
    result: Returned,
    buffers: Vec<harness_protocol::HexBytes>,
) -> Vector {
    let expect = Expect {
        stages: vec![Stage::Returned],
        result: Some(result),
        buffers,
        ..Expect::default()
    };
    Vector {
        id: format!("scp/real/{}/{index}", call.function),
        base: "packed".into(),
        want: Want::Call,
        bytes: bytes.into(),
        call: Some(call),
        expect,
        needs: Needs { architecture: Some("x86_64".into()), ..Needs::default() },
        ..Vector::default()
    }
}

#[test]
fn a_function_is_run_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let (object, _) = compile(folder.path(), "functions.c", "-O2");
    let module = folder.path().join("module.scp");
    let module = module.to_str().unwrap();
    let packed = harness(&["pack", object.to_str().unwrap(), "-o", module]).exits(0);
    assert!(packed.stdout.contains("x86_64, 26 functions, 2 types"), "{}", packed.stdout);
    let run = |args: &[&str]| harness(&[&["run", module], args].concat());
    assert!(run(&[]).exits(0).stdout.contains("widen(int8, int16, int32, int64) -> int64"));
    assert_eq!(run(&["add", "-5", "3"]).exits(0).stdout, "add = -2\n");
    assert_eq!(run(&["scale", "0.5", "3"]).exits(0).stdout, "scale = 1.5\n");
    let upper = run(&["to_upper", "\"shout\""]).exits(0);
    assert!(upper.stdout.contains("buffer 0: 53484f555400  \"SHOUT\""), "{}", upper.stdout);
    assert!(run(&["add", "1"]).exits(2).cause().contains("takes 2 arguments"));
    assert!(
        run(&["add8", "128", "0"]).exits(2).cause().contains("`128` is not a value of type int8")
    );
    assert!(run(&["nonesuch"]).exits(2).cause().contains("has no function `nonesuch`"));
    let null = run(&["sum_bytes", "null", "5"]).exits(1);
    assert!(
        null.stdout.starts_with("sum_bytes: read at null: there is no memory"),
        "{}",
        null.stdout
    );
    let endless = run(&["--timeout", "1", "ackermann", "4", "4"]).exits(1);
    assert!(endless.stdout.starts_with("ackermann: "), "{}", endless.stdout);
    let dump = harness(&["dump", module]).exits(0);
    assert!(
        dump.stdout.contains("\"fibonacci\"") && dump.stdout.contains("valid"),
        "{}",
        dump.stdout
    );
}

#[test]
fn what_cannot_be_packed_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("import.c");
    std::fs::write(&source, "int puts(const char *); int f(void) { return puts(\"x\"); }").unwrap();
    let object = folder.path().join("import.o");
    let compiled = Command::new("gcc")
        .args(["-c", "-fPIC", "-g"])
        .arg(&source)
        .arg("-o")
        .arg(&object)
        .status()
        .unwrap();
    assert!(compiled.success());
    let out = folder.path().join("x.scp");
    let ran = harness(&["pack", object.to_str().unwrap(), "-o", out.to_str().unwrap()]).exits(2);
    assert!(ran.cause().contains("`puts` is not defined in this object"), "{}", ran.stderr);
    assert!(!out.exists(), "nothing is left behind");
}
