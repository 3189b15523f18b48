//! Instructions of ARM64: doors to the operating system, breakpoints, and what insists on aligned addresses. The
//! engine checks no alignment.
//!
//! Encodings are those of the Arm Architecture Reference Manual, chapter C4.

use harness_protocol::trap::Access;
use harness_sandbox::{SystemCall, SystemCallAbi};
use unicorn_engine::{RegisterARM64, Unicorn};

use super::Inspected;
use crate::memory::Memory;
use crate::observer::{Event, Observer};
use crate::registers::ARM64_X;
use crate::trap;

/// Bytes of every instruction.
pub(crate) const LENGTH: u64 = 4;

/// Instructions that need a look before they run.
#[derive(Clone, Copy)]
pub(crate) enum Special {
    /// `svc`.
    SystemCall {
        /// Address of the next instruction.
        next: u64,
    },
    /// An access relative to the stack pointer, which must be aligned to 16 bytes.
    Stack(Access),
    /// An exclusive, ordered or atomic access to this many bytes at a register, which must be aligned to them.
    Atomic {
        /// Number of the register; 31 is the stack pointer.
        base: usize,
        /// Bytes.
        bytes: u64,
        /// What is done there.
        access: Access,
    },
    /// `dc zva`, whose write the engine does not tell: 64 bytes around the address in a register.
    Zero {
        /// Number of the register.
        base: usize,
    },
}

/// Looks at the instruction at `pc`.
pub(super) fn inspect(memory: &Memory, pc: u64) -> Inspected {
    let word = memory.bytes(pc, 4).try_into().map_or(0, u32::from_le_bytes);
    Inspected { length: LENGTH, branch: is_branch(word), special: special(word, pc) }
}

/// Branches, exception generation and system instructions share a class; of these only branches change control.
fn is_branch(word: u32) -> bool {
    word & 0x7c00_0000 == 0x1400_0000 // b, bl
        || word & 0x7e00_0000 == 0x3400_0000 // cbz, cbnz
        || word & 0x7e00_0000 == 0x3600_0000 // tbz, tbnz
        || word & 0xff00_0010 == 0x5400_0000 // b.cond
        || word & 0xfe00_0000 == 0xd600_0000 // br, blr, ret
        || word & 0xff00_0000 == 0xd400_0000 // svc, brk, hlt
}

fn special(word: u32, pc: u64) -> Option<super::Special> {
    use super::Special as Any;
    let base = ((word >> 5) & 31) as usize;
    let found = match word {
        _ if word & 0xffe0_001f == 0xd400_0001 => Special::SystemCall { next: pc + LENGTH },
        _ if word & 0xffe0_001f == 0xd420_0000 => return Some(Any::Trap(trap::breakpoint())),
        // hvc, smc, hlt, dcps: not for processes.
        _ if word & 0xff00_0000 == 0xd400_0000 => return Some(Any::Trap(trap::undefined_arm())),
        _ if word & 0xffff_ffe0 == 0xd50b_7420 => Special::Zero { base: (word & 31) as usize },
        _ => memory_access(word, base)?,
    };
    Some(Any::Arm64(found))
}

/// Loads and stores that must be aligned.
fn memory_access(word: u32, base: usize) -> Option<Special> {
    let is_memory = word & 0x0a00_0000 == 0x0800_0000;
    let is_literal = word & 0x3b00_0000 == 0x1800_0000;
    if !is_memory || is_literal {
        return None;
    }
    let size = 1 << (word >> 30);
    if word & 0x3f00_0000 == 0x0800_0000 {
        // Exclusive and ordered accesses, and compare-and-swap; bit 21 marks pairs of exclusives.
        let pair = word & 0x0020_0000 != 0 && word & 0x0080_0000 == 0;
        let swap_pair = pair && word & 0x8000_0000 == 0; // casp: bit 30 says the size
        let bytes = match (pair, swap_pair) {
            (true, true) => 8 << ((word >> 30) & 1),
            (true, false) => 2 * size,
            _ => size,
        };
        let access = if word & 0x0040_0000 != 0 { Access::Read } else { Access::Write };
        return Some(Special::Atomic { base, bytes, access });
    }
    if word & 0x3f20_0c00 == 0x3820_0000 {
        return Some(Special::Atomic { base, bytes: size, access: Access::Write }); // ldadd, swp, …
    }
    (base == 31).then(|| Special::Stack(direction(word)))
}

/// Whether a load or store that is none of the atomic ones reads or writes.
fn direction(word: u32) -> Access {
    let single = word & 0x3800_0000 == 0x3800_0000;
    let reads = if single { word & 0x00c0_0000 != 0 } else { word & 0x0040_0000 != 0 };
    // Of vector registers, opc 2 is a store of 128 bits.
    let vector_store = single && word & 0x0400_0000 != 0 && word & 0x00c0_0000 == 0x0080_0000;
    if reads && !vector_store { Access::Read } else { Access::Write }
}

/// What happens instead of the instruction, if anything.
pub(super) fn check(special: Special, uc: &mut Unicorn<'_, Observer>) -> Option<Event> {
    match special {
        Special::SystemCall { next } => Some(system_call(uc, next)),
        Special::Stack(access) => aligned(uc, 31, 16, access),
        Special::Atomic { base, bytes, access } => {
            let of_stack = if base == 31 { aligned(uc, 31, 16, access) } else { None };
            of_stack.or_else(|| aligned(uc, base, bytes, access))
        }
        Special::Zero { base } => {
            let address = uc.reg_read(*ARM64_X.get(base)?).ok()? & !63;
            let observer = uc.get_data_mut();
            observer.memory.will_write(address, 64, observer.ran);
            None
        }
    }
}

fn aligned(uc: &Unicorn<'_, Observer>, base: usize, to: u64, access: Access) -> Option<Event> {
    let register = ARM64_X.get(base).copied().unwrap_or(RegisterARM64::SP);
    let address = uc.reg_read(register).ok()?;
    let trap = trap::misaligned_arm(access, address);
    (address % to != 0).then_some(Event::Trapped(trap))
}

fn system_call(uc: &Unicorn<'_, Observer>, next: u64) -> Event {
    let read = |n: usize| uc.reg_read(ARM64_X[n]).unwrap_or_default();
    let call = SystemCall {
        abi: SystemCallAbi::Arm64,
        number: read(8),
        arguments: std::array::from_fn(read),
    };
    Event::SystemCall { call, next }
}
