//! Writing to all there is, and standing anywhere with the stack pointer: what is said stays true.

use std::sync::OnceLock;

use harness_protocol::trap::{Access, Cause};
use harness_sandbox::limits::{ARENA_LOW, LANDING, PAGE};
use harness_sandbox::{Outcome, SystemCall, SystemCallAbi, Verdict};
use iced_x86::code_asm::*;
use rstest::rstest;

use super::outside::{Mapping, mappings_of_a_case};
use super::sandbox::{BASE, DATA, Sandbox, assemble, assert_returned, assert_trapped, registers};

/// Everything that is mapped while a case runs, as the kernel tells.
fn mappings() -> &'static [Mapping] {
    static MAPPINGS: OnceLock<Vec<Mapping>> = OnceLock::new();
    MAPPINGS.get_or_init(mappings_of_a_case)
}

/// Fills all writable memory with a word, then does something.
fn fill_and(word: u64, then: &[u8]) -> Vec<u8> {
    let mut code = assemble(|a| {
        for mapping in mappings().iter().filter(|mapping| mapping.writable) {
            a.mov(rdi, mapping.start)?;
            a.mov(rcx, (mapping.end - mapping.start) / 8)?;
            a.mov(rax, word)?;
            a.rep().stosq()?;
        }
        Ok(())
    });
    code.extend(then);
    code
}

/// Words that could pass for something: nothing, anything, an error code of each kind of access, the landing.
const WORDS: [u64; 8] = [0, u64::MAX, 4, 6, 0x14, 0xe, LANDING, LANDING + 1];

/// Reads, writes, fetches, returns, asks: what is said of each, whatever all memory holds.
#[rstest]
#[case::read(&[0x8b, 0x04, 0x25, 0x40, 0x30, 0x20, 0x00], Cause::Unmapped, Some(Access::Read), Some(0x20_3040))]
#[case::write(&[0x89, 0x04, 0x25, 0x40, 0x30, 0x20, 0x00], Cause::Unmapped, Some(Access::Write), Some(0x20_3040))]
#[case::undefined(&[0x0f, 0x0b], Cause::UndefinedInstruction, None, None)]
#[case::halt(&[0xf4], Cause::PrivilegedInstruction, None, None)]
fn traps_are_true_whatever_is_written(
    #[case] act: &[u8],
    #[case] cause: Cause,
    #[case] access: Option<Access>,
    #[case] address: Option<u64>,
) {
    let mut sandbox = Sandbox::start();
    for word in WORDS {
        let code = fill_and(word, act);
        let verdict = sandbox.run(&code);
        let pc = BASE + (code.len() - act.len()) as u64;
        assert_trapped(&verdict, pc, (cause, access, address));
        assert_filled(&verdict, word);
    }
}

/// The registers are those that the code left, and so is the memory.
fn assert_filled(verdict: &Verdict, word: u64) {
    assert_eq!(registers(verdict).general[..2], [word, 0], "rax and rcx");
    let end = mappings().iter().rfind(|mapping| mapping.writable).unwrap().end;
    assert_eq!(registers(verdict).general[7], end, "rdi");
    assert!(verdict.memory[0].2.chunks(8).all(|bytes| bytes == word.to_le_bytes()));
}

#[test]
fn fetches_are_true_whatever_is_written() {
    let mut sandbox = Sandbox::start();
    for word in WORDS {
        let verdict = sandbox.run(&fill_and(word, &[0x31, 0xf6, 0xff, 0xe6])); // xor esi, esi; jmp rsi
        assert_trapped(&verdict, 0, (Cause::Unmapped, Some(Access::Fetch), Some(0)));
    }
}

#[test]
fn returns_are_true_whatever_is_written() {
    let mut sandbox = Sandbox::start();
    let land = assemble(|a| {
        a.mov(rcx, LANDING)?;
        a.mov(rdx, rsp)?;
        a.add(rsp, 8)?;
        a.mov(eax, 5)?;
        a.jmp(rcx)
    });
    for word in WORDS {
        let verdict = sandbox.run(&fill_and(word, &land));
        assert_eq!(verdict.outcome, super::sandbox::returned(5));
        assert_eq!(registers(&verdict).general[1], LANDING);
        assert_eq!(verdict.breaches.len(), 1, "words of the caller: {:?}", verdict.breaches);
    }
}

#[test]
fn requests_are_true_whatever_is_written() {
    let mut sandbox = Sandbox::start();
    for word in WORDS {
        let code = fill_and(word, &[0xb8, 57, 0, 0, 0, 0x0f, 0x05]); // mov eax, 57; syscall
        let Outcome::Forbidden(SystemCall { abi, number, .. }) = sandbox.run(&code).outcome else {
            panic!("not refused")
        };
        assert_eq!((abi, number), (SystemCallAbi::X86_64, 57));
    }
}

/// What is mapped but not writable cannot be written, page by page.
#[test]
fn all_else_is_protected() {
    let mut sandbox = Sandbox::start();
    let mut tried = 0;
    for mapping in mappings().iter().filter(|mapping| !mapping.writable) {
        for page in (mapping.start..mapping.end).step_by(PAGE as usize) {
            let verdict = sandbox.run_alone(&assemble(|a| {
                a.mov(rdi, page + 8)?;
                a.mov(byte_ptr(rdi), al)
            }));
            let expected = (Cause::Protected, Some(Access::Write), Some(page + 8));
            assert_trapped(&verdict, BASE + 10, expected);
            tried += 1;
        }
    }
    assert!(tried >= 3, "code, the stub, the registers to load");
    sandbox.assert_untouched();
}

/// What is mapped but not executable cannot be executed, page by page; and nothing lies between the mappings.
#[test]
fn data_is_not_executed_and_gaps_are_empty() {
    let mut sandbox = Sandbox::start();
    for mapping in mappings() {
        if !mapping.executable {
            for page in [mapping.start, mapping.end - PAGE] {
                let verdict = sandbox.run_alone(&jump_to(page));
                assert_trapped(&verdict, page, (Cause::Protected, Some(Access::Fetch), Some(page)));
            }
        }
        if mappings().iter().all(|next| next.start != mapping.end) {
            let verdict = sandbox.run_alone(&jump_to(mapping.end));
            let expected = (Cause::Unmapped, Some(Access::Fetch), Some(mapping.end));
            assert_trapped(&verdict, mapping.end, expected);
        }
    }
    sandbox.assert_untouched();
}

fn jump_to(address: u64) -> Vec<u8> {
    assemble(|a| {
        a.mov(rdi, address)?;
        a.jmp(rdi)
    })
}

/// Places for a stack pointer: around the signal stacks, at the machine's own pages, where nothing can be.
fn places() -> Vec<u64> {
    let around = mappings().iter().flat_map(|mapping| {
        let middle = mapping.start + (mapping.end - mapping.start) / 2;
        [
            mapping.start - 8,
            mapping.start,
            mapping.start + 0x40,
            middle,
            mapping.end - 8,
            mapping.end,
        ]
    });
    let signal_stack = ARENA_LOW + 0x6_0000;
    let within = (0..=0x2000).step_by(0x200).map(|offset| signal_stack + offset);
    let odd = [0, 1, 8, 128, 1 << 47, 1 << 63, 0xffff_ffff_ff60_0000, u64::MAX - 7, u64::MAX];
    around.chain(within).chain(odd).collect()
}

#[rstest]
#[case::read(&[0x8b, 0x07], Access::Read, Cause::Unmapped)] // mov eax, [rdi]
#[case::write(&[0x89, 0x07], Access::Write, Cause::Unmapped)] // mov [rdi], eax
#[case::add(&[0x01, 0x07], Access::Write, Cause::Unmapped)] // add [rdi], eax
#[case::protected(&[0x88, 0x05, 0, 0, 0, 0], Access::Write, Cause::Protected)] // mov [rip], al
fn traps_are_true_with_any_stack_pointer(
    #[case] act: &[u8],
    #[case] access: Access,
    #[case] cause: Cause,
) {
    let mut sandbox = Sandbox::start();
    for place in places() {
        // All signal stacks hold words that say "fetch" where the kernel would write what it was.
        let mut code = assemble(|a| {
            a.mov(rdi, ARENA_LOW + 0x6_0000)?;
            a.mov(ecx, 0x400)?;
            a.mov(eax, 0x14)?;
            a.rep().stosq()?;
            a.mov(rdx, DATA)?;
            a.mov(rdi, 0x1230_u64)?;
            a.mov(rsp, place)
        });
        let pc = BASE + code.len() as u64;
        code.extend(act);
        let verdict = sandbox.run_alone(&code);
        let address = if cause == Cause::Protected { BASE + code.len() as u64 } else { 0x1230 };
        assert_trapped(&verdict, pc, (cause, Some(access), Some(address)));
        assert_eq!(registers(&verdict).general[4], place, "rsp");
        assert_eq!(registers(&verdict).general[2], DATA, "rdx");
    }
    sandbox.assert_untouched();
}

/// Pushing where nothing can be pushed is a trap of its own, with the address that was meant.
#[rstest]
#[case::below_the_stub(ARENA_LOW, Cause::Unmapped)]
#[case::code(BASE + 16, Cause::Protected)]
#[case::non_canonical((1 << 47) + 8, Cause::NonCanonical)]
#[case::kernel(0xffff_8000_0000_0008, Cause::Unmapped)]
fn pushes_say_where(#[case] place: u64, #[case] cause: Cause) {
    let code = assemble(|a| {
        a.mov(rsp, place)?;
        a.push(rax)
    });
    let verdict = Sandbox::start().run(&code);
    let address = Some(place.wrapping_sub(8));
    assert_trapped(&verdict, BASE + code.len() as u64 - 1, (cause, Some(Access::Write), address));
}

/// A smashed return address is told by where it would have led.
#[rstest]
#[case::nowhere(0x4141_4141, Cause::Unmapped)]
#[case::data(DATA, Cause::Protected)]
#[case::non_canonical(0x4141_4141_4141_4141, Cause::NonCanonical)]
fn returns_say_where_to(#[case] target: u64, #[case] cause: Cause) {
    let code = assemble(|a| {
        a.mov(rax, target)?;
        a.mov(qword_ptr(rsp), rax)?;
        a.ret()
    });
    let verdict = Sandbox::start().run(&code);
    // The processor refuses what is no address before it goes there.
    let pc = if cause == Cause::NonCanonical { BASE + code.len() as u64 - 1 } else { target };
    assert_trapped(&verdict, pc, (cause, Some(Access::Fetch), Some(target)));
}

/// A stack anywhere else works while it lasts, and is told on return.
#[test]
fn a_stack_in_a_buffer_works_and_is_undone() {
    let verdict = Sandbox::start().assembled(|a| {
        a.mov(rdx, rsp)?;
        a.mov(rsp, DATA + 0x800)?;
        a.push(0x1234)?;
        a.pop(rax)?;
        a.mov(rsp, rdx)?;
        a.ret()
    });
    assert_returned(&verdict, 0x1234, &[]);
}

/// The handler's address is known: whoever stands there is not taken for it.
#[test]
fn the_place_of_the_handler_is_no_frame() {
    let mut sandbox = Sandbox::start();
    for rsp_at in [DATA + 0x800, ARENA_LOW + 0x6_1000, 0] {
        let verdict = sandbox.assembled(|a| {
            a.mov(rdi, DATA)?;
            a.mov(ecx, 0x200)?;
            a.mov(eax, 6)?; // "a write"
            a.rep().stosq()?;
            a.mov(rdx, DATA)?; // where a handler finds its frame
            a.mov(rsp, rsp_at)?;
            a.mov(rax, 0x10_u64)?;
            a.jmp(rax)
        });
        assert_trapped(&verdict, 0x10, (Cause::Unmapped, Some(Access::Fetch), Some(0x10)));
    }
}
