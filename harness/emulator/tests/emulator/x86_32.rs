//! Stops of 32-bit x86.

use crate::cases::{CODE, CONSTANTS, DATA, LANDING, SP, setup, traps};
use crate::{machine, run};
use harness_protocol::trap::{Access, Cause};
use harness_sandbox::{Architecture, Registers, StopReason, SystemCallAbi};
use iced_x86::IcedError;
use iced_x86::code_asm::*;

type Code = fn(&mut CodeAssembler) -> Result<(), IcedError>;

fn case(write: Code) -> harness_sandbox::Setup {
    let mut assembler = CodeAssembler::new(32).expect("the width exists");
    write(&mut assembler).expect("it can be written");
    setup(Architecture::X86_32, &assembler.assemble(CODE).expect("it can be assembled"))
}

const POISON: u64 = harness_sandbox::limits::POISON & 0xffff_ffff;

type Row = (&'static str, Code, Cause, Option<(Access, u64)>, Option<(i32, i32)>, u64, u64);

const TRAPS: [Row; 14] = [
    (
        "null read",
        |a| {
            a.xor(eax, eax)?;
            a.mov(al, byte_ptr(eax))
        },
        Cause::Unmapped,
        Some((Access::Read, 0)),
        Some((11, 1)),
        2,
        1,
    ),
    (
        "poison read",
        |a| a.mov(eax, dword_ptr(eax)),
        Cause::Unmapped,
        Some((Access::Read, POISON)),
        Some((11, 1)),
        0,
        0,
    ),
    (
        "write to code",
        |a| a.mov(dword_ptr(CODE), eax),
        Cause::Protected,
        Some((Access::Write, CODE)),
        Some((11, 2)),
        0,
        0,
    ),
    (
        "write to constants",
        |a| a.mov(dword_ptr(CONSTANTS), ecx),
        Cause::Protected,
        Some((Access::Write, CONSTANTS)),
        Some((11, 2)),
        0,
        0,
    ),
    (
        "jump to null",
        |a| {
            a.xor(eax, eax)?;
            a.jmp(eax)
        },
        Cause::Unmapped,
        Some((Access::Fetch, 0)),
        Some((11, 1)),
        0_u64.wrapping_sub(CODE),
        2,
    ),
    (
        "jump to data",
        |a| a.jmp(DATA),
        Cause::Protected,
        Some((Access::Fetch, DATA)),
        Some((11, 2)),
        DATA - CODE,
        1,
    ),
    (
        "address past the end",
        |a| {
            a.mov(eax, -2)?;
            a.mov(al, byte_ptr(eax + 1))
        },
        Cause::Unmapped,
        Some((Access::Read, 0xffff_ffff)),
        Some((11, 1)),
        5,
        1,
    ),
    ("ud2", |a| a.ud2(), Cause::UndefinedInstruction, None, Some((4, 2)), 0, 0),
    ("int3", |a| a.int3(), Cause::Breakpoint, None, Some((5, 128)), 0, 0),
    ("hlt", |a| a.hlt(), Cause::PrivilegedInstruction, None, Some((11, 128)), 0, 0),
    ("out", |a| a.out(0x80, al), Cause::PrivilegedInstruction, None, Some((11, 128)), 0, 0),
    (
        "divide by zero",
        |a| {
            a.xor(ecx, ecx)?;
            a.idiv(ecx)
        },
        Cause::DivideError,
        None,
        Some((8, 1)),
        2,
        1,
    ),
    (
        "movaps",
        |a| a.movaps(xmm0, xmmword_ptr(DATA + 4)),
        Cause::Misaligned,
        Some((Access::Read, DATA + 4)),
        Some((11, 128)),
        0,
        0,
    ),
    (
        "x87",
        |a| {
            a.push(0)?;
            a.fldcw(word_ptr(esp))?;
            a.fld1()?;
            a.fldz()?;
            a.fdivp(st1, st0)?;
            a.wait()
        },
        Cause::FloatingPoint,
        None,
        Some((8, 3)),
        11,
        5,
    ),
];

#[test]
fn traps_of_each_kind() {
    let mut machine = machine();
    for (name, write, cause, memory, signal, offset, count) in TRAPS {
        let mut setup = case(write);
        setup.regions[0].bytes.resize(64, 0x90);
        traps(&mut machine, name, &setup, (cause, memory, signal), offset, count);
    }
}

#[test]
fn system_calls_are_told_and_not_made() {
    for write in [
        (|a| {
            a.mov(eax, 20)?;
            a.mov(ebp, 7)?;
            a.int(0x80)
        }) as Code,
        |a| {
            a.mov(eax, 20)?;
            a.mov(ebp, 7)?;
            a.sysenter()
        },
    ] {
        let report = run(&case(write));
        let StopReason::SystemCall(call) = report.stops[0].reason else { panic!("{report:?}") };
        assert_eq!((call.abi, call.number, call.arguments[5]), (SystemCallAbi::I386, 20, 7));
        assert_eq!(report.stops[0].registers.pc(), CODE + 12);
    }
}

#[test]
fn floats_are_returned_on_the_stack_of_the_x87_unit() {
    let report = run(&case(|a| {
        a.fld1()?;
        a.ret()
    }));
    let Registers::X86_32(it) = &report.stops[0].registers else { panic!("{report:?}") };
    assert_eq!(it.st0, [0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f], "1.0");
    assert_eq!((it.eip, it.general[4]), (LANDING as u32, SP as u32 + 4));
}
