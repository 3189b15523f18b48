//! Real code in SMF: three C objects are packed into one module, loaded at several addresses and called; what
//! they return, leave in buffers and remember is what the same C does as a shared library.

use std::collections::BTreeSet;
use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness_protocol::{Argument, Call, Returned, TypeName, oneshot};
use reference_loader::call::{CallOutcome, invoke};
use reference_loader::smf::sections::SectionType;
use reference_loader::smf::symbols::Binding;
use reference_loader::smf::{LoadOptions, Module};
use rstest::rstest;

use crate::support::{harness, root};

/// The objects of the module; each calls into the others.
const SOURCES: [&str; 3] = ["module_arithmetic.c", "module_tables.c", "module_state.c"];

/// Result type, function, arguments; in this order, for the module remembers things.
const CALLS: &[&str] = &[
    "int64 zeros",
    "int64 add int64:2 int64:3",
    "int64 add int64:9223372036854775807 int64:1",
    "int64 multiply int64:-7 int64:6",
    "int64 calls_made",
    "int64 accumulate int64:5",
    "int64 accumulate int64:-1005",
    "int64 common_counter",
    "int64 stepped int64:11",
    "int64 dispatch int32:0 int64:40 int64:2",
    "int64 dispatch int32:1 int64:40 int64:2",
    "int64 dispatch int32:2 int64:40 int64:2",
    "int64 dispatch int32:3 int64:40 int64:2",
    "int64 dispatch int32:4 int64:40 int64:2",
    "int64 dispatch int32:5 int64:43 int64:6",
    "int64 dispatch int32:6 int64:40 int64:2",
    "int64 dispatch int32:7 int64:40 int64:2",
    "int64 dispatch int32:8 int64:40 int64:2",
    "int64 dispatch int32:9 int64:40 int64:2",
    "int64 dispatch int32:-1 int64:40 int64:2",
    "int64 by_address int64:123456789",
    "int64 optional int64:77",
    "int64 policy int64:1",
    "int64 lenient int64:1",
    "int64 apply int32:0 int64:100 int64:28",
    "int64 apply int32:1 int64:100 int64:28",
    "int64 apply int32:2 int64:100 int64:28",
    "int64 apply int32:3 int64:101 int64:28",
    "int64 apply int32:4 int64:100 int64:28",
    "int64 apply_beside_code int32:0 int64:9 int64:5",
    "int64 apply_beside_code int32:1 int64:9 int64:5",
    "int64 apply_by_name pointer:\"sum\" int64:9 int64:5",
    "int64 apply_by_name pointer:\"difference\" int64:9 int64:5",
    "int64 apply_by_name pointer:\"mix\" int64:9 int64:5",
    "int64 apply_by_name pointer:\"quotient\" int64:9 int64:5",
    "int64 common_counter",
    "int64 calls_made",
    "int64 month int32:0 pointer:0000000000000000000000",
    "int64 month int32:8 pointer:ffffffffffffffffffffff",
    "int64 prime int32:15",
    "int64 crc pointer:313233343536373839 int64:9",
    "int64 crc pointer:null int64:0",
    "int64 count_bytes pointer:0102010203ff int64:6",
    "int64 count_bytes pointer:80 int64:1",
    "int64 counted int32:1",
    "int64 counted int32:255",
    "int64 counted int32:7",
    "int64 aligned_place",
    "int64 ackermann int64:2 int64:3",
    "float64 scale float64:0.1 int32:4",
    "float64 scale float64:-inf int32:1",
    "float32 half float32:3.25",
    "int64 mixed int8:-1 float64:2.5 int16:-300 float32:1.125 int32:70000 int64:5 int64:6 int64:7 int64:-8",
    "int32 start",
];

/// Where the lowest image of a module is asked to lie: anywhere, in the lowest 4 GiB, above them, far away.
const BASES: [Option<u64>; 4] =
    [None, Some(0x3a00_0000), Some(0x12_3450_0000), Some(0x6543_2109_f000)];

extern "C" fn host_mix(value: i64, salt: i64) -> i64 {
    value.wrapping_mul(31).rotate_left(7) ^ salt
}

fn host(name: &str) -> Option<u64> {
    let address: *const c_void = (host_mix as extern "C" fn(i64, i64) -> i64) as *const c_void;
    (name == "host_mix").then(|| u64::try_from(address.addr()).unwrap())
}

#[rstest]
fn a_module_of_three_objects_does_what_the_same_code_does_as_a_library(
    #[values(&["-O0"], &["-O2"], &["-O2", "-fPIC"], &["-Os", "-fno-pic", "-mcmodel=large"], &["-O3", "-fPIC", "-fno-plt"], &["-O1", "-ffunction-sections", "-fdata-sections"])]
    flags: &[&str],
    #[values(false, true)] reversed: bool,
) {
    let folder = tempfile::tempdir().unwrap();
    let mut objects = compile_all(folder.path(), flags);
    if reversed {
        objects.reverse();
    }
    let bytes = std::fs::read(pack(folder.path(), &objects, &[])).unwrap();
    let expected = directly(&library(folder.path(), flags));
    let mut bases = BTreeSet::new();
    for base in BASES {
        let module = load(&bytes, base);
        let lowest = module.code().base.min(module.data().base);
        assert!(base.is_none_or(|base| base == lowest), "{lowest:#x} is not {base:#x?}");
        bases.insert(lowest);
        for (text, expected) in CALLS.iter().zip(&expected) {
            let call = call(text);
            let entry = module.function(&call.function).expect(text);
            assert_eq!(run(entry, &call), *expected, "{flags:?} at {base:#x?}: {text}");
        }
    }
    assert_eq!(bases.len(), BASES.len());
}

fn load(bytes: &[u8], base: Option<u64>) -> Module {
    let options = LoadOptions { base, ..LoadOptions::default() };
    Module::load_with(bytes, &host, &options).unwrap()
}

/// What every call gives where the system's own loader has loaded the code.
fn directly(library: &Path) -> Vec<CallOutcome> {
    #[expect(unsafe_code, reason = "the system's loader is what the module is compared with")]
    // SAFETY: the library has just been compiled from our own freestanding source: no initialisers run.
    let library = unsafe { libloading::Library::new(library) }.unwrap();
    let outcome = |text: &&str| {
        let call = call(text);
        #[expect(unsafe_code, reason = "the symbol is taken as the address that it is")]
        // SAFETY: the symbol is a function of our own source, and only its address is taken.
        let entry = unsafe { library.get::<*const c_void>(call.function.as_bytes()) }.unwrap();
        run(*entry, &call)
    };
    CALLS.iter().map(outcome).collect()
}

fn run(entry: *const c_void, call: &Call) -> CallOutcome {
    #[expect(unsafe_code, reason = "the function is called with the types of its C declaration")]
    // SAFETY: `entry` is the function of that name in our own source, which is mapped while its module or
    // library is borrowed by the caller; CALLS says the types of its declaration, and buffers as long as needed.
    unsafe { invoke(entry, 0..0, call) }.unwrap()
}

fn call(text: &str) -> Call {
    let mut words = text.split(' ');
    let returns = type_name(words.next().unwrap());
    let function = words.next().unwrap().to_owned();
    let argument = |word: &str| -> Argument {
        let (kind, value) = word.split_once(':').unwrap();
        oneshot::parse(type_name(kind), value).unwrap()
    };
    Call { function, args: words.map(argument).collect(), returns }
}

fn type_name(text: &str) -> TypeName {
    serde_json::from_value(text.into()).unwrap()
}

/// Compiles C source with `flags` and says where the object is.
pub(crate) fn compile(folder: &Path, source: &Path, flags: &[&str]) -> PathBuf {
    let object = folder.join(source.file_name().unwrap()).with_extension("o");
    let fixed = ["-ffreestanding", "-fno-stack-protector", "-g", "-c"];
    gcc(Command::new("gcc").args(fixed).args(flags).arg(source).arg("-o").arg(&object));
    object
}

fn gcc(command: &mut Command) {
    let output = command.output().expect("gcc compiles the real input (Debian: gcc)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn real(name: &str) -> PathBuf {
    root().join("harness/cli/tests/real").join(name)
}

fn compile_all(folder: &Path, flags: &[&str]) -> Vec<PathBuf> {
    SOURCES.map(|source| compile(folder, &real(source), flags)).into()
}

/// The same code and the host's as a shared library.
fn library(folder: &Path, flags: &[&str]) -> PathBuf {
    let library = folder.join("libmodule.so");
    let mut command = Command::new("gcc");
    command.args(flags.iter().filter(|flag| flag.starts_with("-O")));
    command.args(["-ffreestanding", "-fno-stack-protector", "-fPIC", "-shared"]);
    gcc(command.args(SOURCES.map(real)).arg(real("module_host.c")).arg("-o").arg(&library));
    library
}

fn pack(folder: &Path, objects: &[PathBuf], options: &[&str]) -> String {
    let module = folder.join("module.smf").to_str().unwrap().to_owned();
    let objects: Vec<&str> = objects.iter().map(|path| path.to_str().unwrap()).collect();
    harness(&[&["pack"], objects.as_slice(), &["-o", &module], options].concat()).exits(0);
    module
}

#[test]
fn symbols_keep_their_binding_and_what_is_hidden_is_not_exported() {
    let folder = tempfile::tempdir().unwrap();
    let objects = compile_all(folder.path(), &["-O1"]);
    let bytes = std::fs::read(pack(folder.path(), &objects, &[])).unwrap();
    let file = reference_loader::smf::validate(&bytes).unwrap();
    let symbols = |name: &str| -> Vec<(Option<Binding>, u8, bool)> {
        let named = file
            .symbols()
            .iter()
            .filter(|symbol| file.names().at(symbol.name_offset) == Some(name.as_bytes()));
        named.map(|symbol| (symbol.binding(), symbol.visibility, symbol.is_import())).collect()
    };
    assert_eq!(symbols("add"), [(Some(Binding::Global), 0, false)]);
    assert_eq!(symbols("lenient"), [(Some(Binding::Weak), 0, false)]);
    assert_eq!(symbols("policy"), [(Some(Binding::Global), 0, false)], "the strong one wins");
    assert_eq!(symbols("inside"), [(Some(Binding::Local), 2, false)]);
    assert_eq!(symbols("host_mix"), [(Some(Binding::Global), 0, true)]);
    assert_eq!(symbols("host_absent"), [(Some(Binding::Weak), 0, true)]);
    assert_eq!(symbols("subtract"), [(Some(Binding::Local), 0, false)], "static");
    let module = load(&bytes, None);
    let exports: BTreeSet<&str> = module.exports().map(|(name, _)| name).collect();
    for (name, exported) in [
        ("add", true),
        ("total", true),
        ("primes", true),
        ("month_names", true),
        ("shared_counter", true),
    ]
    .into_iter()
    .chain([("inside", false), ("lenient", false), ("host_mix", false), ("subtract", false)])
    {
        assert_eq!(exports.contains(name), exported, "{name}");
    }
}

/// Exported variables are the ones that the code changes.
#[test]
fn an_exported_variable_is_read_where_the_module_says() {
    let folder = tempfile::tempdir().unwrap();
    let objects = compile_all(folder.path(), &["-O2", "-fPIC"]);
    let module = load(&std::fs::read(pack(folder.path(), &objects, &[])).unwrap(), None);
    let read = |name: &str| -> i64 {
        let address = usize::try_from(module.export(name).unwrap()).unwrap();
        let place: *const i64 = std::ptr::with_exposed_provenance(address);
        #[expect(unsafe_code, reason = "the variable lies in memory that the module has mapped")]
        // SAFETY: `export` gives the address of an aligned 8-byte variable of our own source in the data
        // image of `module`, which is mapped while it is borrowed; nothing writes to it meanwhile.
        unsafe {
            place.read()
        }
    };
    assert_eq!((read("total"), read("shared_counter")), (1000, 0));
    run(module.function("accumulate").unwrap(), &call("int64 accumulate int64:23"));
    assert_eq!((read("total"), read("shared_counter")), (1023, 1));
}

#[test]
fn entry_point_and_header_say_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let objects = compile_all(folder.path(), &["-O2"]);
    let options = ["--entry", "start", "--reloadable", "--source-hash", "0xfeedface12345678"];
    let module = load(&std::fs::read(pack(folder.path(), &objects, &options)).unwrap(), None);
    assert!(module.is_reloadable());
    assert_eq!(module.source_hash(), 0xfeed_face_1234_5678);
    assert_eq!(module.entry_point(), module.function("start"));
    let started = run(module.entry_point().unwrap(), &call("int32 start"));
    assert_eq!(started, run(module.function("start").unwrap(), &call("int32 start")));
    let plain = load(&std::fs::read(pack(folder.path(), &objects, &[])).unwrap(), None);
    assert_eq!((plain.entry_point(), plain.is_reloadable(), plain.source_hash()), (None, false, 0));
}

/// Both objects bring the same inline function (in a group) and the same unique variable, as C++ compilers write
/// them; in the module there is one of each.
#[test]
fn what_several_objects_may_define_is_there_once() {
    const SHARED: &str = r#"
        __asm__(".section .text.inl,\"axG\",@progbits,inl,comdat\n.weak inl\n.type inl,@function\n"
                "inl: lea 1(%rdi), %rax\nret\n.size inl, .-inl\n"
                ".section .data.unique,\"aw\"\n.globl unique\n.type unique,@gnu_unique_object\n.align 8\n"
                "unique: .quad 5\n.size unique, 8\n.text");
        long inl(long); extern long unique;"#;
    let folder = tempfile::tempdir().unwrap();
    let objects = ["first", "second"].map(|name| {
        let source = folder.path().join(name).with_extension("c");
        let text = format!("{SHARED} long {name}(long a) {{ return inl(a) + unique++; }}");
        std::fs::write(&source, text).unwrap();
        compile(folder.path(), &source, &["-O2", "-fPIC"])
    });
    let module = load(&std::fs::read(pack(folder.path(), &objects, &[])).unwrap(), None);
    for (text, expected) in [("int64 first int64:100", 106), ("int64 second int64:100", 107)] {
        let call = call(text);
        let returned = run(module.function(&call.function).unwrap(), &call).returned;
        assert_eq!(returned, Returned::Int64 { value: expected }, "{text}");
    }
}

/// Common storage is as large as the largest declaration, gives way to a definition with a value and wins over a
/// weak one, whatever the order of the objects.
#[rstest]
fn common_storage_is_merged_as_linkers_do(#[values(false, true)] reversed: bool) {
    const COMMON: &str = "__attribute__((common))";
    let sources = [
        format!("long room[2] {COMMON}; long given {COMMON}; __attribute__((weak)) long weak = 7;"),
        format!("long room[64] {COMMON}; long given = 9; long weak {COMMON};"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut objects = Vec::new();
    for (name, source) in ["first", "second"].iter().zip(sources) {
        let path = folder.path().join(name).with_extension("c");
        std::fs::write(&path, format!("{source} long {name}(void) {{ return 0; }}")).unwrap();
        objects.push(compile(folder.path(), &path, &[]));
    }
    if reversed {
        objects.reverse();
    }
    let bytes = std::fs::read(pack(folder.path(), &objects, &[])).unwrap();
    let file = reference_loader::smf::validate(&bytes).unwrap();
    let module = load(&bytes, None);
    let value = |name: &str| {
        let place: *const i64 = std::ptr::with_exposed_provenance(
            usize::try_from(module.export(name).unwrap()).unwrap(),
        );
        #[expect(unsafe_code, reason = "the variable lies in memory that the module has mapped")]
        // SAFETY: the name is that of an aligned 8-byte variable of the source above, in the data image of
        // `module`, which is mapped while it is borrowed; nothing writes to it.
        unsafe {
            place.read()
        }
    };
    let size = |name: &str| {
        let mut symbols = file.symbols().iter();
        symbols.find(|s| file.names().at(s.name_offset) == Some(name.as_bytes())).unwrap().size
    };
    assert_eq!((size("room"), value("room")), (512, 0));
    assert_eq!((size("given"), value("given")), (8, 9));
    assert_eq!((size("weak"), value("weak")), (8, 0));
    let room = module.export("room").unwrap();
    for name in ["given", "weak"] {
        let address = module.export(name).unwrap();
        assert!(!(room..room + 512).contains(&address), "{name} lies in room");
    }
}

/// A loader that ignores alignments finds the sections in the same places.
#[test]
fn the_images_are_the_same_under_either_reading_of_alignment() {
    let folder = tempfile::tempdir().unwrap();
    let objects = compile_all(folder.path(), &["-O0"]);
    let aligned = std::fs::read(pack(folder.path(), &objects, &[])).unwrap();
    let ignored = ["--choice", "smf.alignment=ignored"];
    assert!(aligned == std::fs::read(pack(folder.path(), &objects, &ignored)).unwrap());
    let file = reference_loader::smf::validate(&aligned).unwrap();
    let mut ends = [None::<u64>; 2];
    for section in file.sections().iter() {
        let image = match section.kind().unwrap() {
            SectionType::Code => 0,
            SectionType::Data | SectionType::Bss => 1,
            _ => continue,
        };
        assert!(ends[image].is_none_or(|end| end.is_multiple_of(section.alignment)), "{section:?}");
        ends[image] = Some(ends[image].unwrap_or(0) + section.virtual_size);
    }
    assert!(ends.iter().all(Option::is_some), "{ends:?}");
}

#[test]
fn the_program_says_what_it_packed_and_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let objects = compile_all(folder.path(), &["-O2", "-fPIC"]);
    let objects: Vec<&str> = objects.iter().map(|path| path.to_str().unwrap()).collect();
    let output = folder.path().join("packed.bin");
    let output = output.to_str().unwrap();
    let args = [&["pack", "--format", "smf", "-o", output], objects.as_slice()].concat();
    let said = harness(&args).exits(0);
    for expected in [
        "imports: host_mix, host_absent",
        "module_tables.o: .data.rel.ro.local holds addresses and is placed with the code",
        "x86_64, .text ",
    ] {
        assert!(said.stdout.contains(expected), "{expected}: {}", said.stdout);
    }
    let json = harness(&[args.as_slice(), &["--json"]].concat()).exits(0).json();
    assert_eq!(json["imports"], serde_json::json!(["host_mix", "host_absent"]));
    assert_eq!(json["bytes"], std::fs::metadata(output).unwrap().len());
    assert!(json["exports"].as_array().unwrap().contains(&"month_names".into()), "{json}");
    // The extension says nothing here; the magic does.
    let valid = harness(&["validate", output]).exits(0);
    assert!(valid.stdout.contains("valid Simple Module Format 1.0"), "{}", valid.stdout);
    let dump = harness(&["dump", output]).exits(0);
    for expected in [
        "header.magic",
        "].addend = -4",
        ".type = 2 pc32",
        "contents[0] = ",
        "\"host_mix\"",
        "\"month_names\"",
        "sections[2].type = 4 rodata",
    ] {
        assert!(dump.stdout.contains(expected), "{expected}: {}", dump.stdout);
    }
    assert!(!dump.stdout.contains("(not decoded)"), "{}", dump.stdout);
}

/// What the bytes say counts more than the name; where they say nothing, the name does.
#[test]
fn a_file_is_recognised_by_its_magic_then_by_its_extension() {
    let folder = tempfile::tempdir().unwrap();
    let module = pack(folder.path(), &compile_all(folder.path(), &["-O2"]), &[]);
    let bytes = std::fs::read(module).unwrap();
    for (name, bytes, rule) in [
        ("cut.bin", &bytes[..100], "SMF-SECTION-TABLE-BOUNDS at offset 0x60"),
        ("cut.scp", &bytes[..4], "SMF-HEADER-BOUNDS at offset 0x4"),
        ("empty.smf", b"", "SMF-HEADER-BOUNDS at offset 0x0"),
        (
            "none.SME",
            b"none of them, but longer than any header is: seventy-two bytes and a few",
            "SMF-HEADER-MAGIC at offset 0x0",
        ),
        ("empty.bin", b"", "SCP-HEADER-BOUNDS at offset 0x0"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let path = path.to_str().unwrap();
        let ran = harness(&["validate", path]).exits(1);
        assert!(ran.stdout.contains(rule), "{name}: {}", ran.stdout);
        let (id, _) = rule.split_once(' ').unwrap();
        let dumped = harness(&["dump", path]).exits(0);
        assert!(dumped.stdout.contains(id), "{name}: {}", dumped.stdout);
        let ran = harness(&["run", path, "add"]).exits(1);
        assert!(ran.cause().contains(id), "{name}: {}", ran.stderr);
    }
}

#[test]
fn functions_are_run_from_the_command_line_with_types_and_imports() {
    let folder = tempfile::tempdir().unwrap();
    let module = pack(folder.path(), &compile_all(folder.path(), &["-O2"]), &[]);
    let run = |args: &[&str]| harness(&[&["run", &module], args].concat());
    let list = run(&[]).exits(0);
    assert!(list.stdout.contains("ackermann: "), "{}", list.stdout);
    assert!(list.stdout.contains("needs host_mix\nneeds host_absent (weak)\n"), "{}", list.stdout);
    let undefined = run(&["ackermann", "int64:2", "int64:3", "--returns", "int64"]).exits(1);
    assert!(undefined.cause().contains("host_mix"), "{}", undefined.stderr);
    let import = ["--import", "host_mix=0x1000"];
    let ran =
        run(&[&["ackermann", "int64:2", "int64:3", "--returns", "int64"], &import[..]].concat());
    assert_eq!(ran.exits(0).stdout, "ackermann = 9\n");
    let ran =
        run(&[&["scale", "float64:0.5", "int32:2", "--returns", "float64"], &import[..]].concat());
    assert_eq!(ran.exits(0).stdout, "scale = 1.75\n");
    let ran = run(&[&["month", "int32:4", "pointer:000000000000"], &import[..]].concat()).exits(0);
    assert!(ran.stdout.contains("month = 3\nbuffer 0: 4d6179000000  \"May\""), "{}", ran.stdout);
    let died = run(&[&["by_address", "int64:1"], &import[..]].concat()).exits(1);
    assert!(
        died.stdout.contains("by_address: fetch at 0x1000 (import host_mix)"),
        "{}",
        died.stdout
    );
    assert!(died.stdout.contains("of symbol host_mix"), "{}", died.stdout);
    for (args, cause) in [
        (vec!["ackermann", "2"], "`2`: what is its type?"),
        (vec!["ackermann", "int65:2"], "`int65` is not a type"),
        (vec!["ackermann", "int8:200"], "`200` is not a value of type int8"),
        (vec!["total"], "has no function `total`"),
        (vec!["add", "--import", "host_mix"], "expected NAME=ADDRESS"),
        (vec!["add", "--returns", "text"], "`text` is not a type"),
    ] {
        let ran = run(&args).exits(2);
        assert!(ran.cause().contains(cause), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn a_module_that_exports_nothing_is_listed_as_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("hidden.c");
    let text = "__attribute__((used)) static int alone(void) { return 7; }";
    std::fs::write(&source, text).unwrap();
    let object = compile(folder.path(), &source, &["-O1"]);
    let module = pack(folder.path(), &[object], &[]);
    let list = harness(&["run", &module]).exits(0);
    assert!(list.stderr.contains("exports no function"), "{}", list.stderr);
    let json = harness(&["run", &module, "--json"]).exits(0).json();
    assert_eq!(json, serde_json::json!({"functions": [], "imports": []}));
}
