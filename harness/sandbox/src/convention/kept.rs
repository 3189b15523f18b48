//! What a callee must have kept when it returns.

use crate::Registers;
use crate::registers::{X86_32_NAMES, X86_64_NAMES};

use super::Convention;

/// The bits of `mxcsr` that are control: denormals are zero, the masks, rounding, flush to zero. The rest are
/// flags of exceptions that happened, which nobody keeps.
const MXCSR_CONTROL: u32 = 0xffc0;

/// The direction flag of x86.
const DIRECTION: u64 = 1 << 10;

/// The registers that a callee must keep, with their names; of vector registers the bits that it must keep.
pub(crate) fn kept_registers(convention: Convention, registers: &Registers) -> Vec<(String, u128)> {
    match registers {
        Registers::X86_64(it) => {
            let (general, vector): (&[usize], _) = match convention {
                Convention::Win64 => (&[3, 5, 6, 7, 12, 13, 14, 15], 6..16),
                _ => (&[3, 5, 12, 13, 14, 15], 0..0),
            };
            let general = general.iter().map(|&n| (X86_64_NAMES[n].into(), it.general[n].into()));
            general.chain(vector.map(|n| (format!("xmm{n}"), it.xmm[n]))).collect()
        }
        Registers::Arm64(it) => {
            let general = (19..30).map(|n| (format!("x{n}"), it.x[n].into()));
            let low = u128::from(u64::MAX);
            general.chain((8..16).map(|n| (format!("d{n}"), it.v[n] & low))).collect()
        }
        Registers::X86_32(it) => [3, 5, 6, 7]
            .into_iter()
            .map(|n| (X86_32_NAMES[n].into(), it.general[n].into()))
            .collect(),
    }
}

/// The words that control floating point, with their names. A callee must keep them.
pub(crate) fn float_control(registers: &Registers) -> Vec<(&'static str, u64)> {
    let x86 = |mxcsr: u32, fpu_control: u16| {
        vec![("mxcsr", u64::from(mxcsr & MXCSR_CONTROL)), ("x87 control word", fpu_control.into())]
    };
    match registers {
        Registers::X86_64(it) => x86(it.mxcsr, it.fpu_control),
        Registers::X86_32(it) => x86(it.mxcsr, it.fpu_control),
        Registers::Arm64(it) => vec![("fpcr", it.fpcr)],
    }
}

/// Whether the direction flag is set, which it must not be at a call or a return.
pub(crate) fn direction_flag(registers: &Registers) -> bool {
    match registers {
        Registers::X86_64(it) => it.rflags & DIRECTION != 0,
        Registers::X86_32(it) => u64::from(it.eflags) & DIRECTION != 0,
        Registers::Arm64(_) => false,
    }
}

/// Where the stack pointer must stand after a return; `size` is [`super::stack_bytes`].
pub(crate) fn returned_sp(convention: Convention, sp: u64, size: u64) -> u64 {
    match convention {
        Convention::Stdcall => sp + size,
        _ => sp + convention.return_address(),
    }
}
