//! Stops of ARM64. The words are what GNU as makes of the instructions beside them.

use crate::cases::{CODE, CONSTANTS, DATA, DATA_SIZE, LANDING, SP, setup, traps, words};
use crate::{machine, run};
use harness_protocol::trap::{Access, Cause};
use harness_sandbox::limits::POISON;
use harness_sandbox::registers::Arm64;
use harness_sandbox::{Architecture, Machine, Registers, Report, Setup, StopReason, SystemCallAbi};

const UNMAPPED: Option<(i32, i32)> = Some((11, 1));
const PROTECTED: Option<(i32, i32)> = Some((11, 2));
const UNDEFINED: Option<(i32, i32)> = Some((4, 1));
const MISALIGNED: Option<(i32, i32)> = Some((7, 1));

const NOP: u32 = 0xd503_201f;
const RET: u32 = 0xd65f_03c0;
const LDR_X0_X1: u32 = 0xf940_0020; // ldr x0, [x1]
const STR_X0_X1: u32 = 0xf900_0020; // str x0, [x1]
const BR_X1: u32 = 0xd61f_0020;
const UDF: u32 = 0;
const BRK: u32 = 0xd420_0020;
const SVC: u32 = 0xd400_0001;

fn case(code: &[u32], x1: u64) -> Setup {
    let mut setup = setup(Architecture::Arm64, &words(code));
    let Registers::Arm64(registers) = &mut setup.calls[0].registers else { panic!() };
    registers.x[1] = x1;
    setup
}

fn registers(report: &Report) -> &Arm64 {
    let Registers::Arm64(registers) = &report.stops[0].registers else { panic!("{report:?}") };
    registers
}

#[test]
fn accesses_and_fetches_that_are_not_allowed() {
    type Row = (&'static str, u32, u64, Cause, Access, u64, Option<(i32, i32)>);
    let rows: [Row; 9] = [
        ("null read", LDR_X0_X1, 0, Cause::Unmapped, Access::Read, 0, UNMAPPED),
        ("null write", STR_X0_X1, 0, Cause::Unmapped, Access::Write, 0, UNMAPPED),
        ("poison read", LDR_X0_X1, POISON, Cause::NonCanonical, Access::Read, POISON, UNMAPPED),
        ("poison write", STR_X0_X1, POISON, Cause::NonCanonical, Access::Write, POISON, UNMAPPED),
        ("write to code", STR_X0_X1, CODE, Cause::Protected, Access::Write, CODE, PROTECTED),
        (
            "write to constants",
            STR_X0_X1,
            CONSTANTS,
            Cause::Protected,
            Access::Write,
            CONSTANTS,
            PROTECTED,
        ),
        (
            "read across the end",
            LDR_X0_X1,
            DATA + 0x1ffc,
            Cause::Unmapped,
            Access::Read,
            DATA + 0x2000,
            UNMAPPED,
        ),
        (
            "write across the end",
            STR_X0_X1,
            DATA + 0x1ffc,
            Cause::Unmapped,
            Access::Write,
            DATA + 0x2000,
            UNMAPPED,
        ),
        (
            "vector across the end",
            0x3d80_0020,
            DATA + 0x1ff8,
            Cause::Unmapped,
            Access::Write,
            DATA + 0x2000,
            UNMAPPED,
        ), // str q0, [x1]
    ];
    let mut machine = machine();
    for (name, word, x1, cause, access, address, signal) in rows {
        let setup = case(&[NOP, word], x1);
        traps(&mut machine, name, &setup, (cause, Some((access, address)), signal), 4, 1);
    }
    for (name, x1, cause, signal) in [
        ("jump to null", 0, Cause::Unmapped, UNMAPPED),
        ("jump to poison", POISON & !3, Cause::NonCanonical, UNMAPPED),
        ("jump to data", DATA, Cause::Protected, PROTECTED),
        ("jump between instructions", CODE + 2, Cause::Misaligned, MISALIGNED),
    ] {
        let expected = (cause, Some((Access::Fetch, x1)), signal);
        traps(&mut machine, name, &case(&[BR_X1, NOP], x1), expected, x1.wrapping_sub(CODE), 1);
    }
}

#[test]
fn instructions_that_trap() {
    let rows = [
        ("udf", UDF, Cause::UndefinedInstruction, UNDEFINED),
        ("unallocated", 0xffff_ffff, Cause::UndefinedInstruction, UNDEFINED),
        ("brk", BRK, Cause::Breakpoint, Some((5, 1))),
        ("hlt", 0xd440_0000, Cause::UndefinedInstruction, UNDEFINED),
        ("hvc", 0xd400_0002, Cause::UndefinedInstruction, UNDEFINED),
        ("mrs sctlr_el1", 0xd538_1000, Cause::UndefinedInstruction, UNDEFINED),
        ("msr daifset", 0xd503_42df, Cause::UndefinedInstruction, UNDEFINED),
    ];
    let mut machine = machine();
    for (name, word, cause, signal) in rows {
        traps(&mut machine, name, &case(&[NOP, word], 0), (cause, None, signal), 4, 1);
    }
}

#[test]
fn what_insists_on_alignment_gets_it() {
    let rows = [
        ("ldr x0, [sp]", 0xf940_03e0, SP + 8, Access::Read, 4),
        ("str x0, [sp]", 0xf900_03e0, SP + 8, Access::Write, 4),
        ("ldxr w0, [x1]", 0x885f_7c20, DATA + 2, Access::Read, 4),
        ("ldaddal x0, x2, [x1]", 0xf8e0_0022, DATA + 4, Access::Write, 4),
    ];
    let mut machine = machine();
    for (name, word, x1, access, offset) in rows {
        // mov sp, x1, where it is the stack that is to be wrong
        let first = if name.contains("sp") { 0x9100_003f } else { NOP };
        let expected = (Cause::Misaligned, Some((access, x1)), MISALIGNED);
        traps(&mut machine, name, &case(&[first, word], x1), expected, offset, 1);
    }
    for word in [LDR_X0_X1, 0xb940_0020, 0x3dc0_0020] {
        let report = machine.run(&case(&[word, RET], DATA + 1)).unwrap();
        assert_eq!(report.stops[0].reason, StopReason::Landed, "{word:#x} needs no alignment");
    }
}

#[test]
fn system_calls_are_told_and_not_made() {
    let report = run(&case(&[0xd280_0ba8, 0xd280_0020, SVC], 0)); // mov x8, #93; mov x0, #1; svc
    let StopReason::SystemCall(call) = report.stops[0].reason else { panic!("{report:?}") };
    assert_eq!((call.abi, call.number), (SystemCallAbi::Arm64, 93));
    assert_eq!(call.arguments[..3], [1, 0, POISON + 2]);
    assert_eq!((registers(&report).pc, registers(&report).x[0]), (CODE + 12, 1));
    assert_eq!(report.instructions, Some(2));
}

#[test]
fn running_off_the_end_of_the_code_does_what_stands_before_it() {
    let mut setup = setup(Architecture::Arm64, &words(&[0xd280_0020])); // mov x0, #1
    setup.regions[0].offset = 0xffc;
    let Registers::Arm64(registers) = &mut setup.calls[0].registers else { panic!() };
    registers.pc = CODE + 0xffc;
    let expected = (Cause::Unmapped, Some((Access::Fetch, CODE + 0x1000)), UNMAPPED);
    traps(&mut machine(), "off the end", &setup, expected, 0x1000, 1);
}

#[test]
fn bytes_beyond_a_region_are_out_of_bounds_where_that_was_asked_for() {
    let mut machine = machine();
    for (word, access) in [(LDR_X0_X1, Access::Read), (STR_X0_X1, Access::Write)] {
        let mut setup = case(&[word, RET], DATA + DATA_SIZE - 4);
        assert_eq!(machine.run(&setup).unwrap().stops[0].reason, StopReason::Landed);
        setup.byte_bounds = true;
        let expected = (Cause::OutOfBounds, Some((access, DATA + DATA_SIZE)), None);
        traps(&mut machine, "out of bounds", &setup, expected, 0, 0);
        let report = machine.run(&setup).unwrap();
        assert_eq!(registers(&report).x[0], POISON, "as before the instruction");
        assert!(report.memory[0].chunks(8).all(|word| word == POISON.to_le_bytes()));
    }
}

#[test]
fn what_is_written_by_other_ways_than_stores_is_gone_in_the_next_run() {
    let mut machine = machine();
    let zero = machine.run(&case(&[0xd50b_7421, RET], DATA + 0x40)).unwrap(); // dc zva, x1
    assert_eq!(zero.memory[0][0x40..0x80], [0; 64]);
    let wait = machine.run(&case(&[0xd503_207f, RET], 0)).unwrap(); // wfi
    assert_eq!((wait.stops[0].reason, registers(&wait).pc), (StopReason::Landed, LANDING));
    assert!(wait.memory[0].chunks(8).all(|word| word == POISON.to_le_bytes()));
}
