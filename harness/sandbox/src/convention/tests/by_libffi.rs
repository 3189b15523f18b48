//! libffi calls a function that writes down every register and the stack; what it finds where we would have put
//! an argument must be that argument.
#![expect(unsafe_code, reason = "calls a recorder in assembly through libffi")]

use std::cell::UnsafeCell;
use std::sync::Mutex;

use libffi::middle::{Arg, Builder, CodePtr, FfiAbi, Type};
use libffi::raw::{ffi_abi_FFI_UNIX64, ffi_abi_FFI_WIN64};

use super::*;

/// Words of the stack that are recorded: 40 arguments, shadow space and return address.
const STACK_WORDS: usize = 48;

/// What the callee found. The recorder knows these offsets.
#[derive(Clone)]
#[repr(C)]
struct Recorded {
    general: [u64; 16],
    xmm: [u128; 8],
    stack: [u64; STACK_WORDS],
}

struct Shared(UnsafeCell<Recorded>);

// SAFETY: only the recorder writes and only `record` reads, both while `record` holds `TURN`.
unsafe impl Sync for Shared {}

static RECORD: Shared =
    Shared(UnsafeCell::new(Recorded { general: [0; 16], xmm: [0; 8], stack: [0; STACK_WORDS] }));
static TURN: Mutex<()> = Mutex::new(());

/// Writes down what it finds. Changes only registers that both conventions give to the callee.
#[unsafe(naked)]
extern "C" fn recorder() {
    std::arch::naked_asm!(
        "lea rax, [rip + {record}]",
        "mov [rax + 8], rcx",
        "mov [rax + 16], rdx",
        "mov [rax + 48], rsi",
        "mov [rax + 56], rdi",
        "mov [rax + 64], r8",
        "mov [rax + 72], r9",
        "movups [rax + 128], xmm0",
        "movups [rax + 144], xmm1",
        "movups [rax + 160], xmm2",
        "movups [rax + 176], xmm3",
        "movups [rax + 192], xmm4",
        "movups [rax + 208], xmm5",
        "movups [rax + 224], xmm6",
        "movups [rax + 240], xmm7",
        "xor r10d, r10d",
        "2: mov r11, [rsp + 8 * r10]",
        "mov [rax + 8 * r10 + 256], r11",
        "add r10, 1",
        "cmp r10, {words}",
        "jb 2b",
        "ret",
        record = sym RECORD,
        words = const STACK_WORDS,
    )
}

fn ffi_type(argument: &Argument) -> Type {
    match argument {
        Argument::Int8 { .. } => Type::i8(),
        Argument::Int16 { .. } => Type::i16(),
        Argument::Int32 { .. } => Type::i32(),
        Argument::Int64 { .. } => Type::i64(),
        Argument::Float32 { .. } => Type::f32(),
        Argument::Float64 { .. } => Type::f64(),
        Argument::Pointer { .. } | Argument::StructRef { .. } => Type::pointer(),
    }
}

/// What a callee finds when libffi passes `arguments`, whose bits are `values`.
fn record(abi: FfiAbi, arguments: &[Argument], values: &[u64]) -> Recorded {
    let cif = Builder::new().abi(abi).args(arguments.iter().map(ffi_type)).into_cif();
    let passed: Vec<Arg<'_>> = values.iter().map(Arg::new).collect();
    let _turn = TURN.lock().expect("no test panics while it records");
    // SAFETY: the recorder takes any arguments under both conventions, returns nothing, and keeps what both
    // want kept; each value has at least the bytes of its type, which on this processor are the low ones first.
    unsafe { cif.call::<()>(CodePtr::from_fun(recorder), &passed) };
    // SAFETY: the recorder has returned, and `TURN` keeps another from running.
    unsafe { &*RECORD.0.get() }.clone()
}

fn found(recorded: &Recorded, location: Location) -> u64 {
    match location {
        Location::General(n) => recorded.general[n],
        Location::Vector(n) => recorded.xmm[n] as u64,
        Location::Stack(offset) => recorded.stack[offset as usize / 8],
    }
}

fn arguments() -> impl Strategy<Value = Argument> {
    prop_oneof![
        any::<i8>().prop_map(|value| Argument::Int8 { value }),
        any::<i16>().prop_map(|value| Argument::Int16 { value }),
        any::<i32>().prop_map(|value| Argument::Int32 { value }),
        any::<i64>().prop_map(|value| Argument::Int64 { value }),
        any::<u32>().prop_map(|bits| Argument::Float32 { bits }),
        any::<u64>().prop_map(|bits| Argument::Float64 { bits }),
        Just(Argument::Pointer { bytes: None }),
        Just(Argument::StructRef { bytes: None }),
    ]
}

/// Bytes of an argument that libffi's caller promises: it extends small integers in registers of System V only,
/// where clang's callees rely on it.
fn promised(convention: Convention, argument: &Argument, location: Location, word: &Word) -> u64 {
    match (convention, location, argument) {
        (Convention::SystemV, Location::General(_), _) => word.size,
        (_, _, Argument::Int8 { .. }) => 1,
        (_, _, Argument::Int16 { .. }) => 2,
        _ => word.size,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn libffi_passes_arguments_where_we_do(
        arguments in prop::collection::vec(arguments(), 0..=40),
        pointers in prop::collection::vec(any::<u64>(), 40),
    ) {
        let abis =
            [(Convention::SystemV, ffi_abi_FFI_UNIX64), (Convention::Win64, ffi_abi_FFI_WIN64)];
        for (convention, abi) in abis {
            let word = |(argument, &pointer): (&Argument, &u64)| {
                Word::new(argument, pointer, Architecture::X86_64)
            };
            let words: Vec<Word> = arguments.iter().zip(&pointers).map(word).collect();
            let values: Vec<u64> = words.iter().map(|word| word.bits).collect();
            let recorded = record(abi, &arguments, &values);
            let locations = locate(convention, &words);
            for ((argument, word), location) in arguments.iter().zip(&words).zip(locations.words) {
                let low = u64::MAX >> (64 - 8 * promised(convention, argument, location, word));
                prop_assert_eq!(
                    found(&recorded, location) & low,
                    word.bits & low,
                    "{:?} {:?} at {:?}", convention, argument, location
                );
            }
        }
    }
}
