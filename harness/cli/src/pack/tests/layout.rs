//! Which functions and sections end up in the blob, and where.

use super::{ARM64, X86_32, X86_64, compile_real, function, pack};
use crate::pack::Architecture;

const SIMPLE: &str = "int one(void) { return 1; }\nint two(void) { return 2; }\n";

#[test]
fn every_machine_is_known_by_its_object() {
    for (toolchain, architecture, ret) in [
        (X86_64, Architecture::X86_64, &[0xc3][..]),
        (ARM64, Architecture::Arm64, &[0xc0, 0x03, 0x5f, 0xd6]),
        (X86_32, Architecture::X86_32, &[0xc3]),
    ] {
        let packed = pack(&toolchain.compile("void f(void) {}", &["-O2"])).unwrap();
        assert_eq!(packed.architecture, architecture);
        assert_eq!(packed.blob, ret, "{}", architecture.name());
    }
}

#[test]
fn functions_are_sorted_by_entry_then_name() {
    let source = "int b(void) { return 1; }\n\
                  int a(void) __attribute__((alias(\"b\")));\n\
                  int c(void) { return 2; }\n";
    let packed = pack(&X86_64.compile(source, &["-O2"])).unwrap();
    let names: Vec<&str> = packed.functions.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(packed.functions[0].entry, packed.functions[1].entry);
    assert!(packed.functions[2].entry > packed.functions[1].entry);
}

#[test]
fn static_and_hidden_functions_are_not_exported() {
    let source = "static __attribute__((noinline)) int inner(int n) { return n + 1; }\n\
                  __attribute__((visibility(\"hidden\"), noinline)) int hidden(int n) { return n + 2; }\n\
                  int outer(int n) { return inner(n) + hidden(n); }\n\
                  __attribute__((weak)) int weak(void) { return 0; }\n";
    for toolchain in [X86_64, ARM64, X86_32] {
        let packed = pack(&toolchain.compile(source, &["-O2"])).unwrap();
        let mut names: Vec<&str> = packed.functions.iter().map(|f| f.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["outer", "weak"]);
    }
}

#[test]
fn alignment_is_kept() {
    let source = "__attribute__((aligned(64))) int one(void) { return 1; }\n\
                  __attribute__((section(\".text.other\"), aligned(256))) int two(void) { return 2; }\n";
    let packed = pack(&X86_64.compile(source, &["-O2"])).unwrap();
    assert_eq!(function(&packed, "one").entry % 64, 0);
    assert_eq!(function(&packed, "two").entry % 256, 0);
}

#[test]
fn constants_that_nothing_refers_to_stay_out() {
    let source = format!("{SIMPLE}const char unused[4096] = {{1}};\n");
    let packed = pack(&X86_64.compile(&source, &["-O2"])).unwrap();
    assert!(packed.blob.len() < 64, "{} bytes", packed.blob.len());
}

#[test]
fn constants_reached_through_constants_come_along() {
    // The table holds distances, so that no address is absolute.
    let source = "static const int numbers[4] = {1, 2, 3, 0x12345678};\n\
                  __asm__(\".section .rodata.table,\\\"a\\\"\\n table: .long numbers_here - table\\n\"\n\
                  \".section .rodata.numbers,\\\"a\\\"\\n numbers_here: .long 0x12345678\\n .text\\n\");\n\
                  extern const int table __attribute__((visibility(\"hidden\")));\n\
                  int look(void) { const char *at = (const char *)&table; return *(const int *)(at + table) + numbers[0]; }\n";
    let packed = pack(&X86_64.compile(source, &["-O1"])).unwrap();
    let needle = 0x1234_5678_u32.to_le_bytes();
    assert!(packed.blob.windows(4).any(|window| window == needle));
}

#[test]
fn pages_stay_pages_on_arm64() {
    let packed = pack(&compile_real(ARM64, "tables.c", &["-O2"])).unwrap();
    assert_eq!(packed.architecture, Architecture::Arm64);
    // `weights` is adrp + add (it was a load from the table of addresses), then ret.
    let start = usize::try_from(function(&packed, "weights").entry).unwrap();
    let words: Vec<u32> = packed.blob[start..start + 12]
        .as_chunks::<4>()
        .0
        .iter()
        .map(|word| u32::from_le_bytes(*word))
        .collect();
    assert_eq!(words[0] & 0x9f00_0000, 0x9000_0000, "adrp");
    assert_eq!(words[1] & 0xffc0_0000, 0x9100_0000, "add");
    let pages = usize::try_from((words[0] >> 5 & 0x7_ffff) << 2 | words[0] >> 29 & 3).unwrap();
    let low = usize::try_from(words[1] >> 10 & 0xfff).unwrap();
    let address = (start & !0xfff) + (pages << 12) + low;
    assert_eq!(packed.blob[address..address + 5], [3, 1, 4, 1, 5]);
}
