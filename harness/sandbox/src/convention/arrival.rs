//! What a callee finds at its first instruction: every register, and the stack up to the caller's own words.

use crate::limits::POISON;
use crate::registers::{Arm64, X86_32, X86_64};
use crate::{Architecture, Registers};

use super::{Convention, Location, Locations, Word, locate};

/// `rflags` as the psABI wants it at a call: interrupts on, direction up, the bit that is always set.
const FLAGS: u32 = 0x202;

/// `mxcsr` as the psABI wants it: all exceptions masked, rounding to nearest.
const MXCSR: u32 = 0x1f80;

/// The x87 control word as the psABI wants it: all exceptions masked, 64 bits of precision.
const FPU_CONTROL: u16 = 0x37f;

/// The poison of vector registers starts here, that of general registers at zero.
const VECTOR_POISON: u8 = 0x40;

/// A call, as the callee finds it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arrival {
    /// Every register.
    pub(crate) registers: Registers,
    /// The bytes from the stack pointer up to the first word that belongs to the caller.
    pub(crate) stack: Vec<u8>,
}

impl Arrival {
    /// A call of `entry` with the stack pointer at `sp`, to return to `landing`.
    pub(crate) fn new(
        convention: Convention,
        words: &[Word],
        entry: u64,
        sp: u64,
        landing: u64,
    ) -> Self {
        let locations = locate(convention, words);
        let mut stack: Vec<u8> = (sp..sp + locations.size).map(poison_byte).collect();
        // The slice is empty where the link register carries the return address.
        let link = convention.return_address();
        put(&mut stack, 0, landing, link);
        for (word, location) in words.iter().zip(&locations.words) {
            if let Location::Stack(offset) = *location {
                put(&mut stack, offset, word.bits, word.size);
            }
        }
        let placed: Vec<_> = words.iter().copied().zip(locations.words).collect();
        let registers = match convention.architecture() {
            Architecture::X86_64 => x86_64(&placed, entry, sp),
            Architecture::Arm64 => arm64(&placed, entry, sp, landing),
            Architecture::X86_32 => x86_32(entry, sp),
        };
        Self { registers, stack }
    }
}

/// Bytes from the stack pointer at the first instruction up to the caller's own words.
pub(crate) fn stack_bytes(convention: Convention, words: &[Word]) -> u64 {
    let Locations { size, .. } = locate(convention, words);
    size
}

/// What the byte at `address` holds in poisoned memory.
pub(crate) fn poison_byte(address: u64) -> u8 {
    (POISON >> (address % 8 * 8)) as u8
}

/// What register number `n` holds that carries no argument: which one was used shows in a dump.
pub(crate) fn poison(n: u8) -> u64 {
    POISON & !0xff | u64::from(n)
}

fn vector_poison(n: u8) -> u128 {
    let half = u128::from(poison(VECTOR_POISON | n));
    half << 64 | half
}

/// All poisoned registers of one kind.
fn poisoned<T, const N: usize>(poison: impl Fn(u8) -> T) -> [T; N] {
    // No processor has more registers of a kind than a byte can number.
    std::array::from_fn(|n| poison(n as u8))
}

fn put(stack: &mut [u8], offset: u64, bits: u64, size: u64) {
    let (offset, size) = (offset as usize, size as usize);
    stack[offset..offset + size].copy_from_slice(&bits.to_le_bytes()[..size]);
}

/// `word` over the low bytes of what a register holds.
fn general(register: &mut u64, word: Word) {
    let low = u64::MAX >> (64 - 8 * word.size);
    *register = *register & !low | word.bits & low;
}

fn vector(register: &mut u128, word: Word) {
    let low = u128::MAX >> (128 - 8 * word.size);
    *register = *register & !low | u128::from(word.bits) & low;
}

fn x86_64(placed: &[(Word, Location)], entry: u64, sp: u64) -> Registers {
    let mut it = X86_64 {
        general: poisoned(poison),
        rip: entry,
        rflags: FLAGS.into(),
        xmm: poisoned(vector_poison),
        mxcsr: MXCSR,
        fpu_control: FPU_CONTROL,
    };
    it.general[4] = sp;
    for &(word, location) in placed {
        match location {
            Location::General(n) => general(&mut it.general[n], word),
            Location::Vector(n) => vector(&mut it.xmm[n], word),
            Location::Stack(_) => {}
        }
    }
    Registers::X86_64(Box::new(it))
}

fn arm64(placed: &[(Word, Location)], entry: u64, sp: u64, landing: u64) -> Registers {
    let mut it =
        Arm64 { x: poisoned(poison), sp, pc: entry, nzcv: 0, v: poisoned(vector_poison), fpcr: 0 };
    it.x[30] = landing;
    for &(word, location) in placed {
        match location {
            Location::General(n) => general(&mut it.x[n], word),
            Location::Vector(n) => vector(&mut it.v[n], word),
            Location::Stack(_) => {}
        }
    }
    Registers::Arm64(Box::new(it))
}

fn x86_32(entry: u64, sp: u64) -> Registers {
    let mut it = X86_32 {
        general: poisoned(|n| poison(n) as u32),
        eip: entry as u32,
        eflags: FLAGS,
        xmm: poisoned(vector_poison),
        mxcsr: MXCSR,
        fpu_control: FPU_CONTROL,
        st0: [0; 10],
    };
    it.general[4] = sp as u32;
    Registers::X86_32(Box::new(it))
}
