//! The chain of calls, guessed from what lies on the stack.
//!
//! Code under test need not keep frame pointers, and what it does to its stack is its own affair. So every word
//! counts that is an address in code just after an instruction that calls; words left over from calls that are
//! over count, too.

use iced_x86::{Decoder, DecoderOptions, FlowControl};

use crate::machine::Stop;
use crate::{Architecture, Permissions, Program, Registers};

/// Longest encoding of a call on x86: prefix, opcode, ModRM, SIB and a displacement of four bytes.
const LONGEST_CALL: u64 = 8;

/// Return addresses, innermost first.
pub(super) fn chain(program: &Program, stop: &Stop) -> Vec<u64> {
    let link = match &stop.registers {
        Registers::Arm64(it) => Some(it.x[30]),
        Registers::X86_64(_) | Registers::X86_32(_) => None,
    };
    let size = program.architecture.pointer_size() as usize;
    let words = stop
        .stack
        .chunks_exact(size)
        .map(|word| word.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)));
    let mut chain: Vec<u64> =
        link.into_iter().chain(words).filter(|&address| follows_call(program, address)).collect();
    // A function that calls another keeps the link register on its stack.
    chain.dedup();
    chain
}

/// Whether the instruction before `address` calls something.
fn follows_call(program: &Program, address: u64) -> bool {
    let code = program.segments.iter().filter(|it| it.permissions == Permissions::Rx);
    let holds = |start: u64, size: u64| address > start && address - start < size;
    let Some(segment) = code.into_iter().find(|it| holds(it.address, it.size)) else {
        return false;
    };
    let offset = (address - segment.address) as usize;
    let Some(before) = segment.bytes.get(..offset) else { return false };
    match program.architecture {
        Architecture::Arm64 => before.last_chunk().is_some_and(|word| arm64_calls(*word)),
        Architecture::X86_64 => x86_calls(before, 64),
        Architecture::X86_32 => x86_calls(before, 32),
    }
}

/// `bl`, or `blr` with or without pointer authentication.
fn arm64_calls(word: [u8; 4]) -> bool {
    let word = u32::from_le_bytes(word);
    word >> 26 == 0b10_0101 || word & 0xfeff_f000 == 0xd63f_0000
}

/// Whether some suffix of `code` is exactly one instruction, and calls.
fn x86_calls(code: &[u8], bits: u32) -> bool {
    (2..=LONGEST_CALL as usize).any(|len| {
        let Some(start) = code.len().checked_sub(len) else { return false };
        let mut decoder = Decoder::new(bits, &code[start..], DecoderOptions::NONE);
        let instruction = decoder.decode();
        let calls = [FlowControl::Call, FlowControl::IndirectCall];
        instruction.len() == len
            && !instruction.is_invalid()
            && calls.contains(&instruction.flow_control())
            // `syscall` and `int` return too, but leave nothing on this stack.
            && instruction.is_call_near() | instruction.is_call_near_indirect()
    })
}
