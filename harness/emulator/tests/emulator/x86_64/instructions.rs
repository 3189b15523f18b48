//! Instructions that trap by themselves.

use harness_protocol::trap::Cause;
use iced_x86::code_asm::*;

use super::{Code, GENERAL_PROTECTION, case};
use crate::cases::traps;
use crate::machine;

type TrapsRow = (&'static str, Code, Cause, Option<(i32, i32)>, u64, u64);

const TRAPS: [TrapsRow; 16] = [
    (
        "ud2",
        |a| {
            a.nop()?;
            a.ud2()
        },
        Cause::UndefinedInstruction,
        Some((4, 2)),
        1,
        1,
    ),
    (
        "no instruction",
        |a| a.db(&[0x0f, 0xff, 0xff]),
        Cause::UndefinedInstruction,
        Some((4, 2)),
        0,
        0,
    ),
    ("not in 64 bits", |a| a.db(&[0x06]), Cause::UndefinedInstruction, Some((4, 2)), 0, 0),
    (
        "int3",
        |a| {
            a.nop()?;
            a.int3()
        },
        Cause::Breakpoint,
        Some((5, 128)),
        1,
        1,
    ),
    ("int 3", |a| a.int(3), Cause::Breakpoint, Some((5, 128)), 0, 0),
    ("int1", |a| a.int1(), Cause::Breakpoint, Some((5, 1)), 0, 0),
    ("int 0x21", |a| a.int(0x21), Cause::PrivilegedInstruction, GENERAL_PROTECTION, 0, 0),
    ("hlt", |a| a.hlt(), Cause::PrivilegedInstruction, GENERAL_PROTECTION, 0, 0),
    ("cli", |a| a.cli(), Cause::PrivilegedInstruction, GENERAL_PROTECTION, 0, 0),
    ("in", |a| a.in_(al, 0x60), Cause::PrivilegedInstruction, GENERAL_PROTECTION, 0, 0),
    ("outsb", |a| a.outsb(), Cause::PrivilegedInstruction, GENERAL_PROTECTION, 0, 0),
    ("mov cr0", |a| a.mov(rax, cr0), Cause::PrivilegedInstruction, GENERAL_PROTECTION, 0, 0),
    ("rdmsr", |a| a.rdmsr(), Cause::PrivilegedInstruction, GENERAL_PROTECTION, 0, 0),
    (
        "bad segment",
        |a| {
            a.mov(eax, 0x1234)?;
            a.mov(ds, eax)
        },
        Cause::Other,
        GENERAL_PROTECTION,
        5,
        1,
    ),
    (
        "divide by zero",
        |a| {
            a.xor(ecx, ecx)?;
            a.div(ecx)
        },
        Cause::DivideError,
        Some((8, 1)),
        2,
        1,
    ),
    (
        "quotient too large",
        |a| {
            a.mov(edx, 5)?;
            a.mov(ecx, 2)?;
            a.div(ecx)
        },
        Cause::DivideError,
        Some((8, 1)),
        10,
        2,
    ),
];

#[test]
fn instructions_that_trap() {
    let mut machine = machine();
    for (name, write, cause, signal, offset, count) in TRAPS {
        traps(&mut machine, name, &case(write), (cause, None, signal), offset, count);
    }
}

#[test]
fn single_steps_trap_after_the_instruction() {
    let setup = case(|a| {
        a.pushfq()?;
        a.or(dword_ptr(rsp), 0x100)?;
        a.popfq()?;
        a.nop()?;
        a.nop()
    });
    let expected = (Cause::SingleStep, None, Some((5, 2)));
    traps(&mut machine(), "trap flag", &setup, expected, 10, 4);
}
