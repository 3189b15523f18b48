//! Calling conventions: where arguments lie when a call begins, and where the stack stands when it is over.
//!
//! The rules are those of the System V psABI for AMD64 (3.2.3) and for i386 (2.2), of Microsoft's "x64 calling
//! convention" and of AAPCS64 (6.8.2), as far as integers, floats and addresses need them. What a convention
//! leaves to chance, such as the upper half of a register that carries 32 bits, is poisoned.

mod arrival;
mod kept;
#[cfg(test)]
mod tests;

use harness_protocol::Argument;

use crate::Architecture;
pub(crate) use arrival::{Arrival, poison_byte, stack_bytes};
pub(crate) use kept::{direction_flag, float_control, kept_registers, returned_sp};

/// What the stack is aligned to at a call, in every convention (on i386 since compilers use SSE).
const STACK_ALIGNMENT: u64 = 16;

/// How arguments are passed and who keeps what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Convention {
    /// System V on AMD64: the C convention of Linux there.
    SystemV,
    /// The C convention of Windows on AMD64.
    Win64,
    /// The C convention of ARM64.
    Aapcs64,
    /// The C convention of 32-bit x86.
    Cdecl,
    /// 32-bit x86, with the arguments removed by the callee.
    Stdcall,
}

impl Convention {
    /// The C convention of Linux for an architecture.
    #[must_use]
    pub fn c(architecture: Architecture) -> Self {
        match architecture {
            Architecture::X86_64 => Self::SystemV,
            Architecture::Arm64 => Self::Aapcs64,
            Architecture::X86_32 => Self::Cdecl,
        }
    }

    /// The architecture that it belongs to.
    #[must_use]
    pub fn architecture(self) -> Architecture {
        match self {
            Self::SystemV | Self::Win64 => Architecture::X86_64,
            Self::Aapcs64 => Architecture::Arm64,
            Self::Cdecl | Self::Stdcall => Architecture::X86_32,
        }
    }

    /// Numbers of the general registers that carry integers, in order.
    fn integer_registers(self) -> &'static [usize] {
        match self {
            Self::SystemV => &[7, 6, 2, 1, 8, 9],
            Self::Win64 => &[1, 2, 8, 9],
            Self::Aapcs64 => &[0, 1, 2, 3, 4, 5, 6, 7],
            Self::Cdecl | Self::Stdcall => &[],
        }
    }

    /// How many vector registers carry floats, from the first.
    fn float_registers(self) -> usize {
        match self {
            Self::SystemV | Self::Aapcs64 => 8,
            Self::Win64 => 4,
            Self::Cdecl | Self::Stdcall => 0,
        }
    }

    /// Bytes between the return address and the first argument on the stack: room for the callee to spill
    /// the registers that carry arguments.
    fn shadow_space(self) -> u64 {
        if self == Self::Win64 { 32 } else { 0 }
    }

    /// Where the stack pointer stands at the callee's first instruction so that its `size` bytes
    /// ([`stack_bytes`]) end at or below `top` and the arguments are aligned.
    pub(crate) fn entry_sp(self, top: u64, size: u64) -> u64 {
        let link = self.return_address();
        (top - (size - link)) / STACK_ALIGNMENT * STACK_ALIGNMENT - link
    }

    /// Bytes that the return address takes on the stack.
    fn return_address(self) -> u64 {
        match self.architecture() {
            Architecture::Arm64 => 0,
            architecture => architecture.pointer_size(),
        }
    }
}

/// An argument as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// The bits, in the low `size` bytes.
    bits: u64,
    /// Bytes that the convention promises: four or eight.
    size: u64,
    /// Whether it is a floating-point value.
    float: bool,
}

impl Word {
    /// `argument` as bits. Integers smaller than 32 bits are extended to that, as C compilers do for calls;
    /// a pointer is `address`.
    pub(crate) fn new(argument: &Argument, address: u64, architecture: Architecture) -> Self {
        let int =
            |value: i32| Self { bits: u64::from(value.cast_unsigned()), size: 4, float: false };
        match *argument {
            Argument::Int8 { value } => int(value.into()),
            Argument::Int16 { value } => int(value.into()),
            Argument::Int32 { value } => int(value),
            Argument::Int64 { value } => {
                Self { bits: value.cast_unsigned(), size: 8, float: false }
            }
            Argument::Float32 { bits } => Self { bits: bits.into(), size: 4, float: true },
            Argument::Float64 { bits } => Self { bits, size: 8, float: true },
            Argument::Pointer { .. } | Argument::StructRef { .. } => {
                Self { bits: address, size: architecture.pointer_size(), float: false }
            }
        }
    }
}

/// Where an argument lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Location {
    /// In the general register of this number.
    General(usize),
    /// In the vector register of this number.
    Vector(usize),
    /// On the stack, so many bytes above the stack pointer at the callee's first instruction.
    Stack(u64),
}

/// Where each argument lies, and how many bytes above the stack pointer are the callee's.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Locations {
    words: Vec<Location>,
    size: u64,
}

/// Says where arguments lie.
fn locate(convention: Convention, words: &[Word]) -> Locations {
    let (mut integers, mut floats) = (0, 0);
    let mut next = convention.return_address() + convention.shadow_space();
    let locations = words.iter().enumerate().map(|(index, word)| {
        // On Win64 the first four arguments have one register of each kind between them.
        let taken = match (convention, word.float) {
            (Convention::Win64, _) => index,
            (_, true) => floats,
            (_, false) => integers,
        };
        if word.float && taken < convention.float_registers() {
            floats += 1;
            return Location::Vector(taken);
        }
        if !word.float
            && let Some(&register) = convention.integer_registers().get(taken)
        {
            integers += 1;
            return Location::General(register);
        }
        let here = next;
        // Elsewhere than on 32-bit x86, whatever lies on the stack takes eight bytes.
        next += word.size.max(convention.architecture().pointer_size());
        Location::Stack(here)
    });
    Locations { words: locations.collect(), size: next }
}
