//! Using up what there is: time, memory, the depth of the stack, threads.

use std::fs;
use std::time::Duration;

use harness_protocol::trap::{Access, Cause};
use harness_sandbox::limits::{MAX_IMAGE, PAGE, STACK_SIZE};
use harness_sandbox::{Calls, Machine as _, Outcome, Permissions, Resource, Segment, verdict};
use iced_x86::code_asm::*;

use super::sandbox::{BASE, BUDGET, DATA, Sandbox, assemble, assert_returned, assert_trapped};

/// Where a large piece of memory lies.
const LARGE: u64 = BASE + 0x1_0000_0000;

/// The most memory that a module can have, all of it written; and it is given back.
#[test]
fn all_memory_may_be_written() {
    let mut sandbox = Sandbox::start();
    sandbox.budget.cpu = Duration::from_secs(20);
    sandbox.budget.wall = Duration::from_secs(60);
    let code = assemble(|a| {
        a.mov(rdi, LARGE)?;
        a.mov(rcx, large() / 8)?;
        a.mov(rax, u64::MAX)?;
        a.rep().stosq()?;
        a.mov(eax, 1)?;
        a.ret()
    });
    let mut program = sandbox.program(&code);
    program.segments.push(Segment {
        name: "bss".into(),
        address: LARGE,
        bytes: vec![],
        size: large(),
        permissions: Permissions::Rw,
    });
    let plan = sandbox.plan(&program);
    let report = sandbox.native.run(&plan.setup).unwrap();
    let verdict = verdict::read(&program, &plan, report, "native");
    assert_returned(&verdict, 1, &[]);
    let (name, address, bytes) = verdict.memory.last().unwrap();
    assert_eq!((name.as_str(), *address, bytes.len() as u64), ("bss", LARGE, large()));
    assert!(bytes.iter().all(|byte| *byte == 0xff));
    drop(verdict);
    sandbox.assert_untouched();
    let shared = resident_memory("RssShmem:");
    assert!(shared < large() / 4, "{shared} bytes of it are still there");
}

/// Bytes that this process holds of a kind of memory.
fn resident_memory(kind: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(kind)).unwrap();
    let kib: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
    kib * 1024
}

fn large() -> u64 {
    MAX_IMAGE - 0x10_0000
}

/// A stack ends, and so does what recurses without end: at the first byte below it.
#[test]
fn the_stack_ends() {
    let mut sandbox = Sandbox::start();
    let code = assemble(|a| {
        a.push(rax)?;
        a.call(BASE)
    });
    let program = sandbox.program(&code);
    let plan = sandbox.plan(&program);
    let stack = plan.setup.regions.iter().find(|region| region.name == "stack").unwrap();
    assert_eq!(stack.size, STACK_SIZE);
    let verdict = sandbox.run(&code);
    let Outcome::Trapped { cause, access, address: Some(place), .. } = &verdict.outcome else {
        panic!("{verdict:?}")
    };
    assert_eq!((*cause, *access), (Cause::Unmapped, Some(Access::Write)));
    assert_eq!(place.address, stack.address - 8);
}

/// A jump over the guard of a stack meets nothing for as far as the guard reaches.
#[test]
fn beside_the_stack_nothing_grows() {
    let mut sandbox = Sandbox::start();
    for below in [1, PAGE, 15 * PAGE] {
        let verdict = sandbox.assembled(|a| {
            a.mov(rdi, rsp)?;
            a.and(rdi, -(PAGE as i32))?;
            a.sub(rdi, i32::try_from(STACK_SIZE - PAGE + below).unwrap())?;
            a.mov(byte_ptr(rdi), al)
        });
        let address = super::sandbox::registers(&verdict).general[7];
        let pc = verdict.registers.pc();
        assert_trapped(&verdict, pc, (Cause::Unmapped, Some(Access::Write), Some(address)));
    }
}

#[test]
fn the_clock_ends_what_has_time_left() {
    let mut sandbox = Sandbox::start();
    (sandbox.budget.cpu, sandbox.budget.wall) = (BUDGET.wall, Duration::from_millis(20));
    let verdict = sandbox.run(&[0xeb, 0xfe]);
    assert_eq!(verdict.outcome, Outcome::Exhausted(Resource::Wall));
    assert_eq!(verdict.registers.pc(), BASE);
}

/// Several threads at once: all of them spin, one of them traps, one asks, all return.
#[test]
fn threads_end_together() {
    let mut sandbox = Sandbox::start();
    sandbox.calls = Calls::AtOnce(8);
    let all = sandbox.run(&[0x8d, 0x04, 0x37, 0xc3]); // lea eax, [rdi + rsi]; ret
    assert_returned(&all, 42, &[]);
    assert_eq!(all.others.len(), 7);
    sandbox.budget.cpu = Duration::from_millis(50);
    let spinning = sandbox.run(&[0xeb, 0xfe]);
    assert_eq!(spinning.outcome, Outcome::Exhausted(Resource::Cpu));
    sandbox.budget.cpu = BUDGET.wall; // from here on time must not decide
    let asking = sandbox.run(&[0xb8, 57, 0, 0, 0, 0x0f, 0x05]);
    assert!(matches!(asking.outcome, Outcome::Forbidden(call) if call.number == 57), "{asking:?}");
    // The first to come adds one and traps, the others spin.
    let one = sandbox.run(&assemble(|a| {
        a.mov(rdi, DATA)?;
        a.mov(eax, 1)?;
        a.lock().xadd(dword_ptr(rdi), eax)?;
        let mut first = a.create_label();
        a.test(eax, eax)?;
        a.je(first)?;
        let mut spin = a.create_label();
        a.set_label(&mut spin)?;
        a.jmp(spin)?;
        a.set_label(&mut first)?;
        a.mov(byte_ptr(0x123), al)
    }));
    let pc = one.registers.pc();
    assert_trapped(&one, pc, (Cause::Unmapped, Some(Access::Write), Some(0x123)));
}

/// One thread writes a false word wherever the kernel says what another did; what is said stays true.
#[test]
fn threads_cannot_speak_for_each_other() {
    let mut sandbox = Sandbox::start();
    sandbox.calls = Calls::AtOnce(2);
    sandbox.budget.cpu = BUDGET.wall;
    let code = assemble(|a| {
        a.mov(rdi, DATA)?;
        a.mov(eax, 1)?;
        a.lock().xadd(dword_ptr(rdi), eax)?;
        let mut victim = a.create_label();
        a.test(eax, eax)?;
        a.je(victim)?;
        let mut again = a.create_label();
        a.set_label(&mut again)?;
        a.mov(rdi, harness_sandbox::limits::ARENA_LOW + 0x6_0000)?;
        a.mov(ecx, 0x800)?;
        a.mov(eax, 0x14)?; // "a fetch"
        a.rep().stosq()?;
        a.jmp(again)?;
        a.set_label(&mut victim)?;
        a.mov(ecx, 10_000)?;
        let mut wait = a.create_label();
        a.set_label(&mut wait)?;
        a.loop_(wait)?;
        a.mov(byte_ptr(0x123), al)
    });
    for _ in 0..400 {
        let verdict = sandbox.run_alone(&code);
        let pc = verdict.registers.pc();
        assert_trapped(&verdict, pc, (Cause::Unmapped, Some(Access::Write), Some(0x123)));
    }
    sandbox.assert_untouched();
}
