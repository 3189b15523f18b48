//! Jumping into the machine's own code, which every case has: with any registers, at any place, it gives nothing.

use harness_protocol::trap::{Access, Cause};
use harness_sandbox::limits::{ARENA_HIGH, ARENA_LOW, LANDING, PAGE};
use harness_sandbox::{Breach, MachineError, Outcome, SystemCall, SystemCallAbi};
use iced_x86::code_asm::*;
use nix::libc;

use super::doors::load;
use super::sandbox::{BUDGET, DATA, Sandbox, assemble, assert_returned, assert_trapped, registers};

/// Where the machine's code lies: in the page of the landing.
const STUB: u64 = ARENA_LOW;

/// The machine's code, as a case can read it.
fn stub(sandbox: &mut Sandbox) -> Vec<u8> {
    let verdict = sandbox.run_alone(&assemble(|a| {
        a.mov(rsi, STUB)?;
        a.mov(rdi, DATA)?;
        a.mov(ecx, PAGE as u32)?;
        a.rep().movsb()?;
        a.xor(eax, eax)?;
        a.ret()
    }));
    assert_returned(&verdict, 0, &[]);
    verdict.memory[0].2[..PAGE as usize].to_vec()
}

/// Addresses of instructions that enter the kernel, wherever an instruction may begin.
fn doors(stub: &[u8]) -> Vec<u64> {
    let pairs = stub.windows(2).zip(STUB..);
    pairs
        .filter(|(pair, _)| matches!(pair, [0x0f, 0x05 | 0x34] | [0xcd, 0x80]))
        .map(|(_, at)| at)
        .collect()
}

/// What one would like to ask the kernel for from there.
fn wishes() -> Vec<(i64, [u64; 6])> {
    let signal_stack = ARENA_LOW + 0x6_0000;
    let upper = 0x7fff_ffff_f000 - ARENA_HIGH;
    vec![
        (libc::SYS_getpid, [0, ARENA_LOW, 0, 0, 0, 0]),
        (libc::SYS_mprotect, [0, ARENA_LOW, 7, 0, 0, 0]),
        (libc::SYS_mmap, [0, ARENA_LOW, 7, 0x32, u64::MAX, 0]),
        (libc::SYS_munmap, [0, ARENA_LOW + 1, 0, 0, 0, 0]),
        (libc::SYS_munmap, [0, ARENA_LOW | 0xff << 56, 0, 0, 0, 0]),
        (libc::SYS_munmap, [PAGE, ARENA_LOW, 0, 0, 0, 0]),
        (libc::SYS_munmap, [1 << 32, ARENA_LOW, 0, 0, 0, 0]),
        (libc::SYS_munmap, [ARENA_LOW, PAGE, 0, 0, 0, 0]),
        (libc::SYS_munmap, [signal_stack, 0x2000, 0, 0, 0, 0]),
        (libc::SYS_munmap, [DATA, PAGE, 0, 0, 0, 0]),
        (libc::SYS_munmap, [ARENA_HIGH, upper + PAGE, 0, 0, 0, 0]),
        (libc::SYS_munmap, [ARENA_HIGH - PAGE, upper, 0, 0, 0, 0]),
        (libc::SYS_munmap | 0x4000_0000, [0, ARENA_LOW, 0, 0, 0, 0]),
    ]
}

#[test]
fn its_system_calls_do_nothing_else() {
    let mut sandbox = Sandbox::start();
    let doors = doors(&stub(&mut sandbox));
    assert_eq!(doors.len(), 2, "two system calls: {doors:#x?}");
    for door in doors {
        for (number, arguments) in wishes() {
            let number = number.cast_unsigned();
            let verdict = sandbox.run_alone(&assemble(|a| {
                load(number, arguments)(a)?;
                a.mov(r15, door)?;
                a.jmp(r15)
            }));
            let call = SystemCall { abi: SystemCallAbi::X86_64, number, arguments };
            assert_eq!(verdict.outcome, Outcome::Forbidden(call), "at {door:#x}");
            assert_eq!(verdict.registers.pc(), door + 2);
        }
    }
    sandbox.assert_untouched();
}

/// Calls that some kernels let pass by any filter do nothing from there either: the kernel looks where they came
/// from, and kills or refuses.
#[test]
fn calls_that_no_filter_sees_do_nothing() {
    let mut sandbox = Sandbox::start();
    for door in doors(&stub(&mut sandbox)) {
        for number in [335, 336] {
            let verdict = sandbox.assembled(|a| {
                load(number, [0; 6])(a)?;
                a.mov(r15, door)?;
                a.jmp(r15)
            });
            assert_eq!(verdict.registers.pc() / PAGE, STUB / PAGE);
            match verdict.outcome {
                Outcome::Forbidden(call) => assert_eq!(call.number, number),
                Outcome::Trapped { cause, .. } => assert_eq!(cause, Cause::UndefinedInstruction),
                other => panic!("{number}: {other:?}"),
            }
        }
    }
}

/// The two calls that are allowed find nothing to unmap; then the stub goes on with the registers that it was
/// given, here to load others from where nothing is.
#[test]
fn its_own_calls_change_nothing() {
    let mut sandbox = Sandbox::start();
    let doors = doors(&stub(&mut sandbox));
    let ranges = [(ARENA_HIGH, 0x7fff_ffff_f000 - ARENA_HIGH), (0, ARENA_LOW)];
    for (door, (start, length)) in doors.into_iter().zip(ranges) {
        let verdict = sandbox.assembled(|a| {
            load(libc::SYS_munmap.cast_unsigned(), [start, length, 0, 0, 0, 0])(a)?;
            a.xor(r14d, r14d)?;
            a.mov(r15, 0x666_0000_u64)?;
            a.mov(rcx, door)?;
            a.jmp(rcx)
        });
        let pc = verdict.registers.pc();
        assert_eq!(pc / PAGE, STUB / PAGE);
        // `fxrstor64 [rsp + 160]` with the stack pointer from `r15`; which byte is missed first is up to the processor.
        let Outcome::Trapped { cause, access, address: Some(place), .. } = &verdict.outcome else {
            panic!("{verdict:#x?}")
        };
        assert_eq!((*cause, *access), (Cause::Unmapped, Some(Access::Read)));
        assert!((0x666_00a0..0x666_02a0).contains(&place.address), "{place}");
    }
}

/// A case that jumps to any byte of the stub ends in some way of its own making; it is never taken for a failure
/// of the machine.
#[test]
fn every_byte_of_it_may_be_jumped_to() {
    let mut sandbox = Sandbox::start();
    sandbox.budget.cpu = std::time::Duration::from_millis(2);
    for (offset, writable) in (0..PAGE).flat_map(|offset| [(offset, false), (offset, true)]) {
        let code = assemble(|a| {
            // Bytes of zero are `add [rax], al`: with memory there, a case slides on to what follows.
            a.mov(rax, if writable { DATA } else { 0 })?;
            a.mov(r15, DATA)?;
            a.mov(rcx, STUB + offset)?;
            a.jmp(rcx)
        });
        let program = sandbox.program(&code);
        let plan = sandbox.plan(&program);
        let report = harness_sandbox::Machine::run(&mut sandbox.native, &plan.setup);
        let report = report.unwrap_or_else(|error: MachineError| panic!("at {offset:#x}: {error}"));
        assert_eq!(report.stops.len(), 1, "at {offset:#x}");
    }
    sandbox.budget = BUDGET;
    sandbox.assert_untouched();
}

/// Where the machine says that it could not even begin.
#[test]
fn its_own_failure_cannot_be_feigned() {
    let mut sandbox = Sandbox::start();
    let bytes = stub(&mut sandbox);
    let undefined = bytes.windows(2).position(|pair| pair == [0x0f, 0x0b]).unwrap() as u64;
    let verdict = sandbox.assembled(|a| {
        a.mov(rcx, STUB + undefined)?;
        a.jmp(rcx)
    });
    assert_trapped(&verdict, STUB + undefined, (Cause::UndefinedInstruction, None, None));
}

#[test]
fn landing_with_another_stack_is_a_return_with_a_breach() {
    let mut sandbox = Sandbox::start();
    for found in [DATA + 0x100, 0, u64::MAX, 1 << 63, LANDING] {
        let verdict = sandbox.assembled(|a| {
            a.mov(eax, 7)?;
            a.mov(rcx, LANDING)?;
            a.mov(rsp, found)?;
            a.jmp(rcx)
        });
        let [Breach::StackPointer { expected, found: said }] = verdict.breaches[..] else {
            panic!("{verdict:#x?}")
        };
        assert_eq!(said, found);
        assert_eq!(registers(&verdict).general[4], found);
        assert_returned(&verdict, 7, &[Breach::StackPointer { expected, found }]);
    }
}

/// Only the landing itself counts as one: to stand behind it after a single step does not.
#[test]
fn a_step_to_behind_the_landing_is_no_return() {
    let verdict = Sandbox::start().assembled(|a| {
        a.mov(rcx, LANDING + 1)?;
        a.pushfq()?;
        a.or(qword_ptr(rsp), 0x100)?;
        a.popfq()?;
        a.jmp(rcx)
    });
    assert_trapped(&verdict, LANDING + 1, (Cause::SingleStep, None, None));
}
