//! Objects that cannot become an SMF module, each made by a real compiler, and what is said about them.

use std::path::{Path, PathBuf};

use harness::pack::smf::{Input, link};
use rstest::rstest;

use crate::smf::compile;
use crate::support::{Ran, harness, root};

fn object(folder: &Path, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let path = folder.join(name).with_extension("c");
    std::fs::write(&path, source).unwrap();
    compile(folder, &path, flags)
}

/// Packs the objects with options; nothing may be left behind when that fails.
fn pack(folder: &Path, objects: &[PathBuf], options: &[&str]) -> Ran {
    let output = folder.join("module.smf");
    let objects: Vec<&str> = objects.iter().map(|path| path.to_str().unwrap()).collect();
    let output_text = output.to_str().unwrap();
    let ran = harness(&[&["pack"], objects.as_slice(), &["-o", output_text], options].concat());
    assert_eq!(ran.code == 0, output.exists(), "{ran:?}");
    ran
}

#[rstest]
#[case::thread_local("__thread int own; int f(void) { return own; }", &[], "`.tbss` is thread-local", "use an ordinary variable")]
#[case::thread_local_with_a_value("__thread int own = 4; int f(void) { return own; }", &[], "`.tdata` is thread-local", "")]
#[case::another_s_thread_local("extern __thread int errno_; int f(void) { return errno_; }", &[], "`errno_` is thread-local", "")]
#[case::address_in_data("int a; int *where = &a; int f(void) { return *where; }", &[], "`a` is to have its address in writable data, but SMF relocates code only (R_X86_64_64 at .data", "make it const")]
#[case::table_that_is_not_const("int f(void) { return 1; } int (*table[])(void) = {f, f};", &[], "`f` is to have its address in writable data", "make it const")]
#[case::indirect_function("static int one(void) { return 1; } static void *choose(void) { return one; } int f(void) __attribute__((ifunc(\"choose\")));", &[], "`f` is an indirect function (ifunc)", "choose the function when")]
#[case::narrow_address("int table[8]; int f(long i) { return table[i]; }", &["-fno-pic", "-O2"], "`table` is referred to by an address of less than 64 bits (R_X86_64_32S at .text+0x", "compile with -fPIC")]
#[case::large_offset_table("int other(void); int f(void) { return other(); }", &["-fPIC", "-mcmodel=large"], "is reached through a global offset table in a way that SMF does not know (R_X86_64_GOTPC64 at .text+0x", "-mcmodel=small")]
#[case::constructor("int a; __attribute__((constructor)) void f(void) { a = 1; }", &[], "section .init_array lists functions to run", "")]
#[case::hidden_and_undefined("int g(void) __attribute__((visibility(\"hidden\"))); int f(void) { return g(); }", &[], "`g` is hidden, but none of the objects defines it", "add the object that defines it")]
#[case::number("__asm__(\".globl version\\nversion = 7\"); int f(void) { return 0; }", &[], "`version` is an absolute number", "define it in C")]
#[case::aligned_beyond_a_page("__attribute__((aligned(8192))) int f(void) { return 0; }", &[], "wants to be aligned to 8192 bytes: an image is aligned to 4096 only", "")]
#[case::common_beyond_a_page("int wide[4096] __attribute__((common, aligned(8192))); int f(void) { return wide[1]; }", &[], "`wide` wants to be aligned to 8192 bytes", "")]
#[case::writable_code("__asm__(\".section .hot,\\\"awx\\\"\\n.byte 0xc3\\n.text\"); int f(void) { return 0; }", &[], "section .hot is writable and executable", "")]
#[case::place_in_a_note("__asm__(\".section .note.x,\\\"a\\\",@note\\n.globl mark\\nmark: .long 0\\n.text\"); int f(void) { return 0; }", &[], "`mark` lies in .note.x, which is not packed", "")]
#[case::sixteen_bits("extern char low; int f(void) { short s; __asm__(\"movw $low, %0\" : \"=r\"(s)); return s; }", &[], "`low` is referred to by an address of less than 64 bits (R_X86_64_16 at", "")]
fn is_refused_by_object_section_and_symbol(
    #[case] source: &str,
    #[case] flags: &[&str],
    #[case] cause: &str,
    #[case] hint: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let refused = object(folder.path(), "refused", source, flags);
    let good = object(folder.path(), "good", "int good(void) { return 1; }", &[]);
    let ran = pack(folder.path(), &[good, refused], &[]).exits(2);
    assert!(ran.cause().contains(cause) && ran.cause().contains(hint), "{}", ran.stderr);
    let unnamed = cause.contains("`wide`"); // common storage belongs to no object
    assert!(unnamed || ran.cause().contains("refused.o: "), "{}", ran.stderr);
}

#[test]
fn a_name_may_be_defined_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = object(folder.path(), "first", "int twice(void) { return 1; }", &[]);
    let second = object(folder.path(), "second", "int twice(void) { return 2; }", &[]);
    let ran = pack(folder.path(), &[first, second], &[]).exits(2);
    assert!(ran.cause().contains("`twice` is defined in "), "{}", ran.stderr);
    assert!(
        ran.cause().contains("first.o and in ") && ran.cause().contains("second.o"),
        "{}",
        ran.stderr
    );
}

#[test]
fn objects_of_other_machines_and_other_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let source = "int f(void) { return 0; }";
    let good = object(folder.path(), "good", source, &[]);
    let narrow = object(folder.path(), "narrow", source, &["-m32"]);
    let x32 = object(folder.path(), "x32", source, &["-mx32"]);
    std::fs::write(path("arm.o"), arm64_object()).unwrap();
    std::fs::write(path("text.o"), "int f(void) { return 0; }\n").unwrap();
    std::fs::write(path("empty.o"), "").unwrap();
    std::fs::write(path("cut.o"), &std::fs::read(&good).unwrap()[..200]).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_harness"), path("program.o")).unwrap();
    let elsewhere = "SMF modules are packed from x86_64 objects only";
    for (file, cause) in [
        (narrow, elsewhere),
        (x32, elsewhere),
        (path("arm.o"), elsewhere),
        (path("text.o"), "the object file cannot be read"),
        (path("empty.o"), "the object file cannot be read"),
        (path("cut.o"), "the object file cannot be read"),
        (path("program.o"), "not a relocatable ELF object"),
        (path("nowhere.o"), "no such file"),
    ] {
        let ran = pack(folder.path(), &[good.clone(), file.clone()], &[]).exits(2);
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(ran.cause().contains(&format!("{name}: ")), "{}", ran.stderr);
        assert!(ran.cause().contains(cause), "{name}: {}", ran.stderr);
    }
}

/// `f` that returns, as an assembler for ARM64 writes it.
fn arm64_object() -> Vec<u8> {
    use object::write::{Object, StandardSection, Symbol, SymbolSection};
    let machine = object::Architecture::Aarch64;
    let mut arm = Object::new(object::BinaryFormat::Elf, machine, object::Endianness::Little);
    let text = arm.section_id(StandardSection::Text);
    let value = arm.append_section_data(text, &[0xc0, 0x03, 0x5f, 0xd6], 4);
    arm.add_symbol(Symbol {
        name: b"f".to_vec(),
        value,
        size: 4,
        kind: object::SymbolKind::Text,
        scope: object::SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Section(text),
        flags: object::SymbolFlags::None,
    });
    arm.write().unwrap()
}

#[rstest]
#[case::no_such_entry(&["--entry", "main"], "`main` cannot be the entry point")]
#[case::static_entry(&["--entry", "inner"], "`inner` cannot be the entry point")]
#[case::variable_as_entry(&["--entry", "value"], "`value` cannot be the entry point")]
#[case::option_of_scp(&["--pure", "f"], "--pure: means nothing to smf")]
#[case::types(&["--types", "types.yaml"], "--types: means nothing to smf")]
#[case::flag(&["--flag", "pic"], "--flag: means nothing to smf")]
#[case::needs(&["--needs", "math"], "--needs: means nothing to smf")]
#[case::hash(&["--source-hash", "0x1ffffffffffffffff"], "is not a number of 64 bits")]
#[case::entry_of_scp(&["--format", "scp", "--entry", "f"], "--entry: means nothing to scp")]
#[case::several_for_scp(&["--format", "scp"], "an scp module is made of one object, 2 are given")]
#[case::no_such_format(&["--format", "elf"], "there is no built-in format `elf`")]
fn options_are_refused_where_they_mean_nothing(#[case] options: &[&str], #[case] cause: &str) {
    let folder = tempfile::tempdir().unwrap();
    let source =
        "int value = 1; static int inner(void) { return value; } int f(void) { return inner(); }";
    let one = object(folder.path(), "one", source, &[]);
    let two = object(folder.path(), "two", "int g(void) { return 0; }", &[]);
    let ran = pack(folder.path(), &[one, two], options).exits(2);
    assert!(ran.cause().contains(cause), "{}", ran.stderr);
}

/// What only the whole module can break is found by the rules of the format.
#[rstest]
#[case::image("char wide[1L << 30]; int f(void) { return wide[1]; }", "SMF-IMAGE-SIZE")]
#[case::name(&format!("int {}(void) {{ return 0; }}", "f".repeat(4096)), "SMF-SYMBOL-NAME-LENGTH")]
#[case::file(
    "__asm__(\".data\\n.space 70000000\\n.text\");",
    "the sections take more than 67108864 bytes"
)]
fn limits_of_modules_are_kept(#[case] source: &str, #[case] cause: &str) {
    let folder = tempfile::tempdir().unwrap();
    let large = object(folder.path(), "large", source, &["-g0"]);
    let ran = pack(folder.path(), &[large], &[]).exits(2);
    assert!(ran.cause().contains(cause), "{}", ran.stderr);
}

/// Labels without a size stay definitions: neither at the start of an image, where they would read as imports,
/// nor at its end, where no symbol may lie.
#[test]
fn symbols_without_a_size_are_defined_wherever_they_lie() {
    let folder = tempfile::tempdir().unwrap();
    let source =
        "__asm__(\".globl first, last, none\\nfirst: ret\\nlast:\\n.bss\\nnone:\\n.text\");";
    let labels = object(folder.path(), "labels", source, &[]);
    pack(folder.path(), &[labels], &[]).exits(0);
    let bytes = std::fs::read(folder.path().join("module.smf")).unwrap();
    let module = reference_loader::smf::Module::load(&bytes, &reference_loader::smf::no_imports);
    let module = module.unwrap();
    assert_eq!(module.export("first"), Some(module.code().base));
    assert_eq!(module.export("last"), Some(module.code().base + 1));
    assert_eq!(module.export("none"), Some(module.data().base));
}

#[test]
fn every_cut_of_an_object_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let object = object(folder.path(), "whole", "int f(int a) { return a + 1; }", &[]);
    let object = std::fs::read(object).unwrap();
    for length in (0..object.len()).step_by(7) {
        // The section headers stand at the end, so hardly any cut leaves something to pack.
        let input = Input { name: "cut.o", bytes: &object[..length] };
        assert!(link(&[input], None).is_err(), "{length}");
    }
}

/// Bytes of good objects are overwritten at random places: whatever comes out, nothing panics.
#[test]
fn damaged_objects_do_no_harm() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(limit).unwrap()).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let source = |name: &str| root().join("harness/cli/tests/real").join(name);
    let [good, other, third] = ["module_tables.c", "module_arithmetic.c", "module_state.c"]
        .map(|name| std::fs::read(compile(folder.path(), &source(name), &["-O2", "-g0"])).unwrap());
    let (mut linked, mut refused) = (0, 0);
    for _ in 0..2000 {
        let mut object = good.clone();
        for _ in 0..=random(4) {
            let place = random(object.len() - 8);
            let value = [0, 1, u64::MAX, 1 << 63, 0x7fff_ffff][random(5)].to_le_bytes();
            let width = [1, 2, 4, 8][random(4)];
            object[place..place + width].copy_from_slice(&value[..width]);
        }
        let inputs = [("damaged.o", &object), ("other.o", &other), ("third.o", &third)]
            .map(|(name, bytes)| Input { name, bytes });
        match link(&inputs, Some("apply")) {
            Ok(module) => linked += usize::from(!module.symbols.is_empty()),
            Err(error) => refused += usize::from(!error.to_string().is_empty()),
        }
    }
    assert!(linked > 0 && refused > 0, "{linked} linked, {refused} refused");
    assert_eq!(linked + refused, 2000);
}
