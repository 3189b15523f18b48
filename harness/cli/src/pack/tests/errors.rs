//! Objects that cannot be packed, and what is said about them.

use super::{ARM64, Toolchain, X86_32, X86_64, compile_real, pack};
use crate::pack::{PackError, RelocationFault};

fn message(toolchain: Toolchain, source: &str, extra: &[&str]) -> String {
    pack(&toolchain.compile(source, extra)).unwrap_err().to_string()
}

fn relocation_fault(toolchain: Toolchain, source: &str, extra: &[&str]) -> RelocationFault {
    match pack(&toolchain.compile(source, extra)) {
        Err(PackError::Relocation(error)) => error.fault,
        other => panic!("{other:?} is no relocation error"),
    }
}

#[test]
fn what_is_no_object() {
    assert!(matches!(pack(b""), Err(PackError::Object(_))));
    assert!(matches!(pack(b"no object file at all"), Err(PackError::Object(_))));
    let executable = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert!(matches!(pack(&executable), Err(PackError::NotRelocatable(_))));
}

#[test]
fn every_cut_of_an_object_is_an_error() {
    let object = X86_64.compile("int f(int a) { return a + 1; }", &[]);
    for length in (0..object.len()).step_by(7) {
        // The section headers stand at the end, so hardly any cut leaves something to pack.
        assert!(pack(&object[..length]).is_err(), "{length}");
    }
}

/// Bytes of a good object are overwritten at random places: whatever comes out, nothing panics.
#[test]
fn damaged_objects_do_no_harm() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(limit).unwrap()).unwrap()
    };
    let good = compile_real(X86_64, "tables.c", &["-O2"]);
    let (mut packed, mut refused) = (0, 0);
    for _ in 0..2000 {
        let mut object = good.clone();
        for _ in 0..=random(4) {
            let place = random(object.len() - 8);
            let value = [0, 1, u64::MAX, 1 << 63, 0x7fff_ffff][random(5)].to_le_bytes();
            let width = [1, 2, 4, 8][random(4)];
            object[place..place + width].copy_from_slice(&value[..width]);
        }
        match pack(&object) {
            Ok(_) => packed += 1,
            Err(error) => refused += usize::from(!error.to_string().is_empty()),
        }
    }
    assert!(packed > 0 && refused > 0, "{packed} packed, {refused} refused");
}

#[test]
fn another_machine() {
    let mut object = X86_64.compile("int f(int a) { return a; }", &[]);
    object[18] = 243; // e_machine: RISC-V
    let message = pack(&object).unwrap_err().to_string();
    assert!(message.contains("Riscv64"), "{message}");
}

#[test]
fn a_call_to_a_library() {
    let source = "int printf(const char *, ...);\nint f(void) { return printf(\"x\") + 1; }\n";
    let message = message(X86_64, source, &["-O2", "-fno-builtin"]);
    assert!(
        message.starts_with("`printf` is not defined in this object (R_X86_64_PLT32 at .text+0x")
    );
    assert!(message.ends_with("): SCP 0.1 has no imports"), "{message}");
    for (toolchain, relocation) in [(ARM64, "R_AARCH64_CALL26"), (X86_32, "R_386_PC32")] {
        let source = "int other(void);\nint f(void) { return other() + 1; }\n";
        let message = self::message(toolchain, source, &["-O2"]);
        assert!(message.contains("`other` is not defined in this object"), "{message}");
        assert!(message.contains(relocation), "{message}");
    }
}

#[test]
fn a_call_to_a_library_through_the_table() {
    let source = "int other(void);\nint f(void) { return other() + 1; }\n";
    let fault = relocation_fault(X86_64, source, &["-O2", "-fno-plt"]);
    assert_eq!(fault, RelocationFault::Undefined);
}

#[test]
fn writable_data() {
    for (source, section) in [
        ("static int counter;\nint f(void) { return ++counter; }\n", ".bss"),
        ("static int counter = 7;\nint f(void) { return ++counter; }\n", ".data"),
        ("int counter = 7;\nint f(void) { return ++counter; }\n", ".data"),
    ] {
        for toolchain in [X86_64, ARM64] {
            let message = message(toolchain, source, &["-O2"]);
            assert!(message.contains("`counter` lies in "), "{message}");
            assert!(message.contains(&format!("{section}, which is writable")), "{message}");
        }
    }
    let common = "int counter;\nint f(void) { return ++counter; }\n";
    let fault = relocation_fault(X86_64, common, &["-O2", "-fcommon"]);
    assert_eq!(fault, RelocationFault::Writable("common storage".into()));
}

#[test]
fn tables_of_addresses() {
    let source = "static int a(void) { return 1; }\nstatic int b(void) { return 2; }\n\
                  static int (*const table[])(void) = {a, b};\nint f(int n) { return table[n](); }\n";
    let fault = relocation_fault(X86_64, source, &["-O2"]);
    assert_eq!(fault, RelocationFault::Writable(".data.rel.ro.local".into()));
    let fault = relocation_fault(X86_64, source, &["-O2", "-fno-pic", "-mcmodel=large"]);
    assert_eq!(fault, RelocationFault::Absolute);
}

#[test]
fn absolute_addresses() {
    let source = "static const int table[] = {1, 2, 3};\nint f(int n) { return table[n]; }\n";
    let fault = relocation_fault(X86_64, source, &["-O2", "-fno-pic", "-fno-pie"]);
    assert_eq!(fault, RelocationFault::Absolute);
    let fault = relocation_fault(X86_32, source, &["-O2"]);
    assert_eq!(fault, RelocationFault::Absolute);
    let large = ["-O2", "-fno-pic", "-mcmodel=large"];
    let fault = relocation_fault(ARM64, source, &large);
    assert_eq!(fault, RelocationFault::Absolute);
}

#[test]
fn tables_that_cannot_be_avoided() {
    let global = "const int table[] = {1, 2, 3};\nint f(int n) { return table[n]; }\n";
    let fault = relocation_fault(X86_64, global, &["-O2", "-Wa,-mrelax-relocations=no"]);
    assert!(matches!(fault, RelocationFault::Table(_)), "{fault:?}");
    let fault = relocation_fault(ARM64, global, &["-O2", "-fpic"]);
    assert!(matches!(fault, RelocationFault::Table(_)), "{fault:?}");
    let local = "static const int table[] = {1, 2, 3};\nint f(int n) { return table[n]; }\n";
    let message = message(X86_32, local, &["-O2", "-fPIC"]);
    assert!(message.contains("`_GLOBAL_OFFSET_TABLE_`"), "{message}");
    assert!(message.contains("R_386_GOTPC"), "{message}");
    assert!(message.contains("-fno-pic"), "{message}");
}

#[test]
fn an_instruction_that_compares_with_the_table() {
    let source = "const int here = 1;\n\
                  int f(const int *p) { int same; __asm__(\"cmpq here@GOTPCREL(%%rip), %1; sete %b0\" : \"=q\"(same) : \"r\"(p)); return same; }\n";
    let fault = relocation_fault(X86_64, source, &["-O2"]);
    assert_eq!(fault, RelocationFault::Instruction);
}

#[test]
fn thread_local_data() {
    let source = "static __thread int counter;\nint f(void) { return ++counter; }\n";
    for toolchain in [X86_64, ARM64] {
        let message = message(toolchain, source, &["-O2", "-ftls-model=local-exec"]);
        assert!(
            message.contains("pack does not know") || message.contains("writable"),
            "{message}"
        );
    }
}

#[test]
fn out_of_reach() {
    // A branch to 256 MiB behind the function: past what 26 bits of words can say.
    let source = "int f(void) { __asm__ volatile (\"bl f + 0x10000000\"); return 0; }\n";
    let fault = relocation_fault(ARM64, source, &["-O2"]);
    assert!(matches!(fault, RelocationFault::Range(_)), "{fault:?}");
    let source = "int f(void) { __asm__ volatile (\".reloc ., R_X86_64_PC32, f + 0x80000000\\n .long 0\"); return 0; }\n";
    let fault = relocation_fault(X86_64, source, &["-O2"]);
    assert!(matches!(fault, RelocationFault::Range(_)), "{fault:?}");
}

#[test]
fn misaligned() {
    let source = "static const char odd[9] __attribute__((aligned(8))) = {1};\n\
                  long f(void) { long r; __asm__(\"adrp %0, odd_at\\n ldr %0, [%0, :lo12:odd_at]\\n .section .rodata\\n .byte 0\\n odd_at: .quad 1\\n .text\" : \"=r\"(r)); return r + odd[0]; }\n";
    let fault = relocation_fault(ARM64, source, &["-O2"]);
    assert!(matches!(fault, RelocationFault::Alignment { unit: 8, .. }), "{fault:?}");
    let source = "int f(void) { __asm__ volatile (\"bl f + 2\"); return 0; }\n";
    let object = std::panic::catch_unwind(|| ARM64.compile(source, &["-O2"]));
    if let Ok(object) = object {
        assert!(pack(&object).is_err());
    }
}

#[test]
fn unknown_relocations() {
    let source = "int f(void) { __asm__ volatile (\".reloc ., R_X86_64_SIZE32, f\\n .long 0\"); return 0; }\n";
    let message = message(X86_64, source, &["-O2"]);
    assert!(message.contains("R_X86_64_SIZE32"), "{message}");
    assert!(message.contains("pack does not know"), "{message}");
}

#[test]
fn constructors() {
    let source = "__attribute__((constructor)) static void first(void) { __asm__ volatile (\"\"); }\nint f(void) { return 1; }\n";
    for toolchain in [X86_64, ARM64, X86_32] {
        let error = pack(&toolchain.compile(source, &["-O2"])).unwrap_err();
        assert!(matches!(error, PackError::Constructors(_)), "{error}");
    }
}

#[test]
fn indirect_functions() {
    let source = "static int one(int n) { return n; }\nstatic void *choose(void) { return one; }\n\
                  int f(int) __attribute__((ifunc(\"choose\")));\nint g(int n) { return f(n) + 1; }\n";
    let message = message(X86_64, source, &["-O2"]);
    assert!(message.contains("`f` is an indirect function (ifunc)"), "{message}");
    let source = source.lines().take(2).collect::<Vec<_>>().join("\n");
    let source = format!("{source}\nint f(int) __attribute__((ifunc(\"choose\")));\n");
    let error = pack(&X86_64.compile(&source, &["-O2"])).unwrap_err();
    assert!(matches!(error, PackError::IndirectFunction(_)), "{error}");
}

#[test]
fn nothing_to_call() {
    let source = "static __attribute__((used)) int f(void) { return 1; }\n";
    let error = pack(&X86_64.compile(source, &["-O2"])).unwrap_err();
    assert!(matches!(error, PackError::NoFunctions), "{error}");
}

#[test]
fn more_alignment_than_a_page() {
    let source = "__attribute__((aligned(8192))) int f(void) { return 1; }\n";
    let error = pack(&X86_64.compile(source, &["-O2"])).unwrap_err();
    assert!(matches!(error, PackError::Alignment { align: 8192, .. }), "{error}");
}

#[test]
fn code_that_writes_itself() {
    let source = "__asm__(\".section .smc,\\\"awx\\\"\\n .byte 0xc3\\n .text\");\nint f(void) { return 1; }\n";
    let error = pack(&X86_64.compile(source, &["-O2"])).unwrap_err();
    assert!(matches!(error, PackError::WritableCode(_)), "{error}");
}

#[test]
fn real_input_with_tables_needs_pic_on_x86_32() {
    let error = pack(&compile_real(X86_32, "tables.c", &["-O2"])).unwrap_err().to_string();
    assert!(error.contains("absolute address"), "{error}");
}
