//! Locations by the documents of each convention, and by a caller that is not ours.

#[cfg(target_arch = "x86_64")]
mod by_libffi;

use harness_protocol::{Argument, HexBytes};
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::limits::POISON;
use crate::registers::{X86_32_NAMES, X86_64_NAMES};
use crate::{Program, Registers};

/// One letter a type, as in the tables below.
fn argument(letter: char) -> Argument {
    match letter {
        'b' => Argument::Int8 { value: -2 },
        'h' => Argument::Int16 { value: -3 },
        'i' => Argument::Int32 { value: -4 },
        'l' => Argument::Int64 { value: -5 },
        'f' => Argument::Float32 { bits: 0x3f80_0001 },
        'd' => Argument::Float64 { bits: 0x3ff0_0000_0000_0001 },
        'p' => Argument::Pointer { bytes: Some(HexBytes(vec![1, 2, 3])) },
        _ => panic!("no type has the letter {letter}"),
    }
}

fn words(convention: Convention, letters: &str) -> Vec<Word> {
    let word = |letter| Word::new(&argument(letter), 0x1234_5678, convention.architecture());
    letters.chars().map(word).collect()
}

/// Locations as people write them: `rdi xmm0 +8`.
fn written(convention: Convention, locations: &[Location]) -> String {
    let one = |location: &Location| match (*location, convention.architecture()) {
        (Location::General(n), Architecture::Arm64) => format!("x{n}"),
        (Location::General(n), Architecture::X86_64) => X86_64_NAMES[n].into(),
        (Location::General(n), Architecture::X86_32) => X86_32_NAMES[n].into(),
        (Location::Vector(n), Architecture::Arm64) => format!("v{n}"),
        (Location::Vector(n), _) => format!("xmm{n}"),
        (Location::Stack(offset), _) => format!("+{offset}"),
    };
    locations.iter().map(one).collect::<Vec<_>>().join(" ")
}

// The long rows are what gcc 12 reads in a function of that signature (`-O1 -S`; `__attribute__((ms_abi))`,
// `-m32`, aarch64).
#[rstest]
#[case::nothing(Convention::SystemV, "", "", 8)]
#[case::six(Convention::SystemV, "bhilpl", "rdi rsi rdx rcx r8 r9", 8)]
#[case::seven(Convention::SystemV, "iiiiiiib", "rdi rsi rdx rcx r8 r9 +8 +16", 24)]
#[case::mixed(Convention::SystemV, "idlfp", "rdi xmm0 rsi xmm1 rdx", 8)]
#[case::nine_floats(
    Convention::SystemV,
    "fdfdfdfdfd",
    "xmm0 xmm1 xmm2 xmm3 xmm4 xmm5 xmm6 xmm7 +8 +16",
    24
)]
#[case::both_full(
    Convention::SystemV,
    "ldldldldldldldldlfi",
    "rdi xmm0 rsi xmm1 rdx xmm2 rcx xmm3 r8 xmm4 r9 xmm5 +8 xmm6 +16 xmm7 +24 +32 +40",
    48
)]
#[case::nothing(Convention::Win64, "", "", 40)]
#[case::by_position(Convention::Win64, "idlf", "rcx xmm1 r8 xmm3", 40)]
#[case::floats_first(Convention::Win64, "dfil", "xmm0 xmm1 r8 r9", 40)]
#[case::fifth(Convention::Win64, "lllldfb", "rcx rdx r8 r9 +40 +48 +56", 64)]
#[case::nothing(Convention::Aapcs64, "", "", 0)]
#[case::mixed(Convention::Aapcs64, "idlfp", "x0 v0 x1 v1 x2", 0)]
#[case::nine(Convention::Aapcs64, "iiiiiiiibh", "x0 x1 x2 x3 x4 x5 x6 x7 +0 +8", 16)]
#[case::both_full(
    Convention::Aapcs64,
    "ldldldldldldldldlfi",
    "x0 v0 x1 v1 x2 v2 x3 v3 x4 v4 x5 v5 x6 v6 x7 v7 +0 +8 +16",
    24
)]
#[case::nothing(Convention::Cdecl, "", "", 4)]
#[case::mixed(Convention::Cdecl, "bhlfdp", "+4 +8 +12 +20 +24 +32", 36)]
#[case::mixed(Convention::Stdcall, "bhlfdp", "+4 +8 +12 +20 +24 +32", 36)]
fn arguments_lie_where_the_documents_say(
    #[case] convention: Convention,
    #[case] letters: &str,
    #[case] expected: &str,
    #[case] size: u64,
) {
    let locations = locate(convention, &words(convention, letters));
    assert_eq!(written(convention, &locations.words), expected);
    assert_eq!(locations.size, size);
}

/// The value at a location, in its low bytes.
fn at(arrival: &Arrival, location: Location) -> u128 {
    match (location, &arrival.registers) {
        (Location::General(n), Registers::X86_64(it)) => it.general[n].into(),
        (Location::Vector(n), Registers::X86_64(it)) => it.xmm[n],
        (Location::General(n), Registers::Arm64(it)) => it.x[n].into(),
        (Location::Vector(n), Registers::Arm64(it)) => it.v[n],
        (Location::Stack(offset), _) => {
            let mut bytes = [0; 16];
            let rest = &arrival.stack[offset as usize..];
            let len = rest.len().min(8);
            bytes[..len].copy_from_slice(&rest[..len]);
            u128::from_le_bytes(bytes)
        }
        (location, registers) => panic!("{location:?} in {registers:?}"),
    }
}

#[test]
fn small_integers_are_extended_to_32_bits_and_the_rest_is_poison() {
    for convention in [Convention::SystemV, Convention::Win64, Convention::Aapcs64] {
        let words = words(convention, "bfiiiiiiihhffffffffff");
        let arrival = Arrival::new(convention, &words, 0x1000, 0x7fff_0008, 0x2000);
        let upper = u128::from(POISON) >> 32 << 32;
        let locations = locate(convention, &words).words;
        assert_eq!(at(&arrival, locations[0]), upper | 0xffff_fffe, "{convention:?}");
        assert_eq!(at(&arrival, locations[1]) as u64, upper as u64 | 0x3f80_0001);
        assert_eq!(at(&arrival, locations[10]), upper | 0xffff_fffd, "{convention:?}, stack");
    }
}

#[test]
fn poison_tells_registers_apart() {
    let Registers::X86_64(it) =
        Arrival::new(Convention::SystemV, &[], 0x1000, 0x7fff_0008, 0x2000).registers
    else {
        panic!("not of this processor")
    };
    assert_eq!(it.general[7], 0xbad0_c0de_bad0_c007);
    assert_eq!(it.xmm[15], 0xbad0_c0de_bad0_c04f_bad0_c0de_bad0_c04f);
    assert_eq!((it.rip, it.rflags, it.mxcsr, it.fpu_control), (0x1000, 0x202, 0x1f80, 0x37f));
}

#[test]
fn the_return_address_lies_where_a_return_looks_for_it() {
    let arrive = |convention| Arrival::new(convention, &[], 0x1000, 0xf000, 0xc000_0f00);
    assert_eq!(arrive(Convention::SystemV).stack, 0xc000_0f00_u64.to_le_bytes());
    assert_eq!(arrive(Convention::Win64).stack[..8], 0xc000_0f00_u64.to_le_bytes());
    assert_eq!(arrive(Convention::Cdecl).stack, 0xc000_0f00_u32.to_le_bytes());
    let arm = arrive(Convention::Aapcs64);
    assert!(arm.stack.is_empty());
    assert!(matches!(arm.registers, Registers::Arm64(it) if it.x[30] == 0xc000_0f00));
}

#[rstest]
#[case(Convention::SystemV, "rbx rbp r12 r13 r14 r15")]
#[case(
    Convention::Win64,
    "rbx rbp rsi rdi r12 r13 r14 r15 xmm6 xmm7 xmm8 xmm9 xmm10 xmm11 xmm12 xmm13 xmm14 xmm15"
)]
#[case(
    Convention::Aapcs64,
    "x19 x20 x21 x22 x23 x24 x25 x26 x27 x28 x29 d8 d9 d10 d11 d12 d13 d14 d15"
)]
#[case(Convention::Cdecl, "ebx ebp esi edi")]
#[case(Convention::Stdcall, "ebx ebp esi edi")]
fn the_callee_keeps(#[case] convention: Convention, #[case] expected: &str) {
    let registers = Arrival::new(convention, &[], 0x1000, 0xf000, 0x2000).registers;
    let kept = kept_registers(convention, &registers);
    let names: Vec<_> = kept.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.join(" "), expected);
    // Each holds the poison of its own number, so no name stands for another's register.
    for (name, value) in kept {
        let all = registers.named().into_iter().find(|(known, _)| *known == name);
        match (all, name.trim_start_matches(['x', 'm', 'd']).parse::<u128>()) {
            (Some((_, known)), _) => assert_eq!(value, known.into(), "{name}"),
            (None, Ok(n)) => assert_eq!(value & 0x3f, n, "{name}"),
            (None, Err(_)) => panic!("{name} is no register"),
        }
    }
}

#[rstest]
#[case(Convention::SystemV, 8)]
#[case(Convention::Win64, 8)]
#[case(Convention::Aapcs64, 0)]
#[case(Convention::Cdecl, 4)]
#[case(Convention::Stdcall, 16)]
fn a_return_leaves_the_stack_pointer(#[case] convention: Convention, #[case] higher: u64) {
    let size = stack_bytes(convention, &words(convention, "lf"));
    assert_eq!(returned_sp(convention, 0x1_0000, size), 0x1_0000 + higher);
}

fn conventions() -> impl Strategy<Value = Convention> {
    prop::sample::select(vec![
        Convention::SystemV,
        Convention::Win64,
        Convention::Aapcs64,
        Convention::Cdecl,
        Convention::Stdcall,
    ])
}

proptest! {
    #[test]
    fn stacks_are_aligned_at_the_call(convention in conventions(), letters in "[bhilfdp]{0,48}") {
        let size = stack_bytes(convention, &words(convention, &letters));
        let top = 0x20_0000 - 512;
        let sp = convention.entry_sp(top, size);
        let before_the_call = match convention.architecture() {
            Architecture::X86_64 => sp + 8,
            Architecture::Arm64 => sp,
            Architecture::X86_32 => sp + 4,
        };
        prop_assert_eq!(before_the_call % 16, 0);
        prop_assert!(sp + size <= top && top - (sp + size) < 16);
    }

    #[test]
    fn every_argument_arrives_and_none_on_another(
        convention in conventions(),
        letters in "[bhilfdp]{0,48}",
    ) {
        let words = words(convention, &letters);
        let arrival = Arrival::new(convention, &words, 0x1000, 0x20_0000, 0x2000);
        let locations = locate(convention, &words).words;
        for (index, (word, &location)) in words.iter().zip(&locations).enumerate() {
            let low = u128::MAX >> (128 - 8 * word.size);
            prop_assert_eq!(at(&arrival, location) & low, word.bits.into(), "{}", index);
            prop_assert!(!locations[..index].contains(&location));
        }
    }
}

#[test]
fn programs_name_their_convention() {
    let program =
        Program { architecture: Architecture::Arm64, segments: Vec::new(), symbols: Vec::new() };
    assert_eq!(Convention::c(program.architecture), Convention::Aapcs64);
}
