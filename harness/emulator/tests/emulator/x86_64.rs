//! Every kind of stop of AMD64. What Linux says to each was looked up by running it natively.

mod instructions;

use crate::cases::{CODE, CONSTANTS, DATA, DATA_SIZE, LANDING, SP, STACK, setup, traps};
use crate::{machine, run};
use harness_protocol::trap::{Access, Cause};
use harness_sandbox::limits::POISON;
use harness_sandbox::registers::X86_64;
use harness_sandbox::{
    Architecture, Machine, Registers, Report, Setup, StopReason, SystemCall, SystemCallAbi,
};
use iced_x86::IcedError;
use iced_x86::code_asm::*;

const UNMAPPED: Option<(i32, i32)> = Some((11, 1));
const PROTECTED: Option<(i32, i32)> = Some((11, 2));
const GENERAL_PROTECTION: Option<(i32, i32)> = Some((11, 128));
const STACK_FAULT: Option<(i32, i32)> = Some((7, 128));

/// No address: bits 47 to 63 differ.
const WILD: u64 = 0x8000_0000_0000;

type Code = fn(&mut CodeAssembler) -> Result<(), IcedError>;

fn code(write: Code) -> Vec<u8> {
    let mut assembler = CodeAssembler::new(64).expect("the width exists");
    write(&mut assembler).expect("it can be written");
    assembler.assemble(CODE).expect("it can be assembled")
}

fn case(write: Code) -> Setup {
    setup(Architecture::X86_64, &code(write))
}

fn registers(report: &Report) -> &X86_64 {
    let Registers::X86_64(registers) = &report.stops[0].registers else { panic!("{report:?}") };
    registers
}

type AccessRow = (&'static str, Code, Cause, Access, u64, Option<(i32, i32)>, u64, u64);

const ACCESSES: [AccessRow; 13] = [
    (
        "null read",
        |a| {
            a.xor(eax, eax)?;
            a.mov(al, byte_ptr(rax))
        },
        Cause::Unmapped,
        Access::Read,
        0,
        UNMAPPED,
        2,
        1,
    ),
    (
        "null write",
        |a| {
            a.xor(eax, eax)?;
            a.mov(byte_ptr(rax), al)
        },
        Cause::Unmapped,
        Access::Write,
        0,
        UNMAPPED,
        2,
        1,
    ),
    (
        "write to code",
        |a| {
            a.mov(rax, CODE)?;
            a.mov(qword_ptr(rax), rax)
        },
        Cause::Protected,
        Access::Write,
        CODE,
        PROTECTED,
        10,
        1,
    ),
    (
        "write to constants",
        |a| {
            a.mov(rax, CONSTANTS)?;
            a.mov(qword_ptr(rax), rax)
        },
        Cause::Protected,
        Access::Write,
        CONSTANTS,
        PROTECTED,
        10,
        1,
    ),
    (
        "read across the end",
        |a| {
            a.mov(rax, DATA + 0x1ffc)?;
            a.mov(rax, qword_ptr(rax))
        },
        Cause::Unmapped,
        Access::Read,
        DATA + 0x2000,
        UNMAPPED,
        10,
        1,
    ),
    (
        "write across the end",
        |a| {
            a.mov(rax, DATA + 0x1ffc)?;
            a.mov(qword_ptr(rax), rax)
        },
        Cause::Unmapped,
        Access::Write,
        DATA + 0x2000,
        UNMAPPED,
        10,
        1,
    ),
    (
        "vector across the end",
        |a| {
            a.mov(rax, DATA + 0x1ff8)?;
            a.movups(xmmword_ptr(rax), xmm0)
        },
        Cause::Unmapped,
        Access::Write,
        DATA + 0x2000,
        UNMAPPED,
        10,
        1,
    ),
    (
        "poison read",
        |a| a.mov(rax, qword_ptr(rcx)),
        Cause::NonCanonical,
        Access::Read,
        POISON + 1,
        GENERAL_PROTECTION,
        0,
        0,
    ),
    (
        "wild write",
        |a| {
            a.mov(rax, WILD)?;
            a.mov(qword_ptr(rax), rax)
        },
        Cause::NonCanonical,
        Access::Write,
        WILD,
        GENERAL_PROTECTION,
        10,
        1,
    ),
    (
        "poisoned frame",
        |a| a.mov(rax, qword_ptr(rbp)),
        Cause::NonCanonical,
        Access::Read,
        POISON + 5,
        STACK_FAULT,
        0,
        0,
    ),
    (
        "poisoned stack",
        |a| {
            a.mov(rsp, rax)?;
            a.push(rcx)
        },
        Cause::NonCanonical,
        Access::Write,
        POISON - 8,
        STACK_FAULT,
        3,
        1,
    ),
    (
        "kernel read",
        |a| {
            a.mov(rax, 0xffff_8000_0000_0000_u64)?;
            a.mov(rax, qword_ptr(rax))
        },
        Cause::Unmapped,
        Access::Read,
        0xffff_8000_0000_0000,
        UNMAPPED,
        10,
        1,
    ),
    (
        "below the stack",
        |a| {
            a.mov(rsp, STACK)?;
            a.push(rax)
        },
        Cause::Unmapped,
        Access::Write,
        STACK - 8,
        UNMAPPED,
        10,
        1,
    ),
];

#[test]
fn accesses_that_are_not_allowed() {
    let mut machine = machine();
    for (name, write, cause, access, address, signal, offset, count) in ACCESSES {
        let expected = (cause, Some((access, address)), signal);
        traps(&mut machine, name, &case(write), expected, offset, count);
    }
}

type FetchRow = (&'static str, Code, Cause, u64, Option<(i32, i32)>, u64, u64);

const FETCHES: [FetchRow; 8] = [
    (
        "jump to null",
        |a| {
            a.xor(eax, eax)?;
            a.jmp(rax)
        },
        Cause::Unmapped,
        0,
        UNMAPPED,
        0_u64.wrapping_sub(CODE),
        2,
    ),
    (
        "call data",
        |a| {
            a.mov(rax, DATA)?;
            a.call(rax)
        },
        Cause::Protected,
        DATA,
        PROTECTED,
        DATA - CODE,
        2,
    ),
    (
        "return to the stack",
        |a| {
            a.push(rsp)?;
            a.ret()
        },
        Cause::Protected,
        SP,
        PROTECTED,
        SP - CODE,
        2,
    ),
    ("jump to poison", |a| a.jmp(rax), Cause::NonCanonical, POISON, GENERAL_PROTECTION, 0, 0),
    ("call poison", |a| a.call(rcx), Cause::NonCanonical, POISON + 1, GENERAL_PROTECTION, 0, 0),
    (
        "return to poison",
        |a| {
            a.push(rax)?;
            a.ret()
        },
        Cause::NonCanonical,
        POISON,
        GENERAL_PROTECTION,
        1,
        1,
    ),
    (
        "jump through poison",
        |a| {
            a.mov(rax, DATA)?;
            a.jmp(qword_ptr(rax))
        },
        Cause::NonCanonical,
        POISON,
        GENERAL_PROTECTION,
        10,
        1,
    ),
    (
        "poison in the middle",
        |a| {
            a.nop()?;
            a.nop()?;
            a.mov(rax, WILD)?;
            a.jmp(rax)
        },
        Cause::NonCanonical,
        WILD,
        GENERAL_PROTECTION,
        12,
        3,
    ),
];

#[test]
fn fetches_that_are_not_allowed() {
    let mut machine = machine();
    for (name, write, cause, address, signal, offset, count) in FETCHES {
        let expected = (cause, Some((Access::Fetch, address)), signal);
        traps(&mut machine, name, &case(write), expected, offset, count);
    }
}

#[test]
fn running_off_the_end_of_the_code_does_what_stands_before_it() {
    let mut machine = machine();
    for (tail, offset, count) in [
        (&b"\xb8\x07\0\0\0"[..], 0x1000, 1), // mov eax, 7 and nothing
        (&b"\xb8\x07\0\0\0\xb9\x01"[..], 0xffe, 1), // mov eax, 7; half of mov ecx, …
        (&b"\x90\x90\xb8\x07\0\0\0\x0f"[..], 0xfff, 3),
    ] {
        let mut setup = setup(Architecture::X86_64, &[]);
        let start = 0x1000 - tail.len() as u64;
        setup.regions[0].offset = start;
        setup.regions[0].bytes = tail.to_vec();
        let Registers::X86_64(registers) = &mut setup.calls[0].registers else { panic!() };
        registers.rip = CODE + start;
        let expected = (Cause::Unmapped, Some((Access::Fetch, CODE + 0x1000)), UNMAPPED);
        traps(&mut machine, "off the end", &setup, expected, offset, count);
        let report = machine.run(&setup).unwrap();
        assert_eq!(self::registers(&report).general[0], 7, "what stands before was run");
    }
}

type MisalignedRow = (&'static str, Code, Access);

const MISALIGNED: [MisalignedRow; 5] = [
    (
        "movaps store",
        |a| {
            a.mov(rax, DATA + 8)?;
            a.movaps(xmmword_ptr(rax), xmm0)
        },
        Access::Write,
    ),
    (
        "movaps load",
        |a| {
            a.mov(rax, DATA + 8)?;
            a.movaps(xmm0, xmmword_ptr(rax))
        },
        Access::Read,
    ),
    (
        "addps",
        |a| {
            a.mov(rax, DATA + 8)?;
            a.addps(xmm0, xmmword_ptr(rax))
        },
        Access::Read,
    ),
    (
        "fxsave",
        |a| {
            a.mov(rax, DATA + 8)?;
            a.fxsave(ptr(rax))
        },
        Access::Write,
    ),
    (
        "cmpxchg16b",
        |a| {
            a.mov(rax, DATA + 8)?;
            a.cmpxchg16b(xmmword_ptr(rax))
        },
        Access::Write,
    ),
];

#[test]
fn what_insists_on_alignment_gets_it() {
    let mut machine = machine();
    for (name, write, access) in MISALIGNED {
        let expected = (Cause::Misaligned, Some((access, DATA + 8)), GENERAL_PROTECTION);
        traps(&mut machine, name, &case(write), expected, 10, 1);
    }
    let lenient: [Code; 3] = [
        |a| {
            a.mov(rax, DATA + 8)?;
            a.movups(xmmword_ptr(rax), xmm0)?;
            a.ret()
        },
        |a| {
            a.mov(rax, DATA + 8)?;
            a.pcmpistri(xmm0, xmmword_ptr(rax), 0)?;
            a.ret()
        },
        |a| {
            a.mov(rax, DATA + 16)?;
            a.movaps(xmmword_ptr(rax), xmm0)?;
            a.ret()
        },
    ];
    for write in lenient {
        assert_eq!(machine.run(&case(write)).unwrap().stops[0].reason, StopReason::Landed);
    }
}

#[test]
fn an_instruction_that_traps_in_the_middle_has_done_nothing() {
    for write in [
        (|a| {
            a.mov(rax, DATA + 0x1ff8)?;
            a.movups(xmmword_ptr(rax), xmm0)
        }) as Code,
        |a| {
            a.mov(rax, DATA + 0x1ffd)?;
            a.mov(dword_ptr(rax), ecx)
        },
    ] {
        let mut setup = case(write);
        setup.regions[2].size = 0x2000;
        let report = run(&setup);
        assert!(matches!(report.stops[0].reason, StopReason::Trapped(_)), "{:?}", report.stops[0]);
        let poison: Vec<u8> = POISON.to_le_bytes().repeat(0x400);
        assert!(report.memory[0] == poison, "{:x?}", &report.memory[0][0x1ff0..]);
    }
}

const END: u64 = DATA + DATA_SIZE;

type BeyondRow = (&'static str, Code, Access, u64);

const BEYOND: [BeyondRow; 4] = [
    (
        "write at the end",
        |a| {
            a.mov(rax, DATA + DATA_SIZE)?;
            a.mov(byte_ptr(rax), cl)
        },
        Access::Write,
        END,
    ),
    (
        "read across it",
        |a| {
            a.mov(rax, DATA + DATA_SIZE - 7)?;
            a.mov(rax, qword_ptr(rax))
        },
        Access::Read,
        END,
    ),
    (
        "write far behind it",
        |a| {
            a.mov(rax, DATA + DATA_SIZE + 9)?;
            a.mov(dword_ptr(rax), ecx)
        },
        Access::Write,
        END + 9,
    ),
    (
        "push",
        |a| {
            a.mov(rsp, DATA + DATA_SIZE + 4)?;
            a.push(rax)
        },
        Access::Write,
        END,
    ),
];

#[test]
fn bytes_beyond_a_region_are_out_of_bounds_where_that_was_asked_for() {
    let mut machine = machine();
    for (name, write, access, address) in BEYOND {
        let mut setup = case(write);
        setup.byte_bounds = true;
        let before = setup.calls[0].registers.clone();
        let expected = (Cause::OutOfBounds, Some((access, address)), None);
        traps(&mut machine, name, &setup, expected, 10, 1);
        let report = machine.run(&setup).unwrap();
        let Registers::X86_64(before) = before else { panic!() };
        assert_eq!(registers(&report).general[1], before.general[1]);
        assert!(report.memory[0].chunks(8).all(|word| word == POISON.to_le_bytes()), "{name}");
        setup.byte_bounds = false;
        let reason = machine.run(&setup).unwrap().stops[0].reason;
        let StopReason::Trapped(trap) = reason else { panic!("{name}: {reason:?}") };
        assert_ne!(trap.cause, Cause::OutOfBounds, "{name}: only where it was asked for");
    }
    let mut inside = case(|a| {
        a.mov(rax, DATA + DATA_SIZE - 8)?;
        a.mov(qword_ptr(rax), rax)?;
        a.ret()
    });
    inside.byte_bounds = true;
    assert_eq!(machine.run(&inside).unwrap().stops[0].reason, StopReason::Landed);
}

#[test]
fn system_calls_are_told_and_not_made() {
    let report = run(&case(|a| {
        a.mov(eax, 39)?;
        a.mov(edi, 1)?;
        a.mov(r10d, 4)?;
        a.syscall()
    }));
    let StopReason::SystemCall(SystemCall { abi, number, arguments }) = report.stops[0].reason
    else {
        panic!("{:?}", report.stops[0])
    };
    assert_eq!((abi, number, arguments[0], arguments[3]), (SystemCallAbi::X86_64, 39, 1, 4));
    assert_eq!(arguments[1], POISON + 6, "rsi");
    let after = registers(&report);
    assert_eq!((after.rip, after.general[1]), (CODE + 18, CODE + 18), "pc and rcx are after it");
    assert_eq!(
        (after.general[0], after.general[11]),
        (39, 0x202),
        "rax is the number, r11 the flags"
    );
    assert_eq!(report.instructions, Some(3));

    for (write, length) in [
        (
            (|a| {
                a.mov(eax, 20)?;
                a.mov(ebx, 7)?;
                a.int(0x80)
            }) as Code,
            12,
        ),
        (
            |a| {
                a.mov(eax, 20)?;
                a.mov(ebx, 7)?;
                a.sysenter()
            },
            12,
        ),
    ] {
        let report = run(&case(write));
        let StopReason::SystemCall(call) = report.stops[0].reason else { panic!("{report:?}") };
        assert_eq!((call.abi, call.number, call.arguments[0]), (SystemCallAbi::I386, 20, 7));
        assert_eq!(registers(&report).rip, CODE + length);
        assert_eq!(registers(&report).general[1], POISON + 1, "rcx is left alone");
    }
}

#[test]
fn code_runs_as_a_process_of_linux() {
    let report = run(&case(|a| {
        a.mov(ax, cs)?;
        a.mov(cx, ss)?;
        a.pushfq()?;
        a.pushfq()?;
        a.and(dword_ptr(rsp), !0x200)?;
        a.popfq()?; // must not clear the interrupt flag
        a.pushfq()?;
        a.pop(rdx)?;
        a.pop(rbx)?;
        a.pause()?;
        a.ret()
    }));
    let it = registers(&report);
    assert_eq!(report.stops[0].reason, StopReason::Landed);
    assert_eq!((it.general[0] & 0xffff, it.general[1] & 0xffff), (0x33, 0x2b), "cs and ss");
    assert_eq!(it.general[2] & 0x3200, 0x200, "interrupts stay allowed");
    assert_eq!((it.rip, it.general[4]), (LANDING, SP + 8));
}
