//! The registers of each architecture, as far as calls and verdicts need them.

use serde::{Deserialize, Serialize};

use crate::Architecture;

/// All registers of one processor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Registers {
    /// AMD64.
    X86_64(Box<X86_64>),
    /// ARM64.
    Arm64(Box<Arm64>),
    /// 32-bit x86.
    X86_32(Box<X86_32>),
}

/// Registers of AMD64.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct X86_64 {
    /// `rax rcx rdx rbx rsp rbp rsi rdi r8 … r15`: the order of their numbers in instructions.
    pub general: [u64; 16],
    /// The instruction pointer.
    pub rip: u64,
    /// The flags.
    pub rflags: u64,
    /// `xmm0 … xmm15`.
    pub xmm: [u128; 16],
    /// Control and status of SSE.
    pub mxcsr: u32,
    /// Control word of the x87 unit.
    pub fpu_control: u16,
}

/// Registers of ARM64.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm64 {
    /// `x0 … x30`; `x30` is the link register.
    pub x: [u64; 31],
    /// The stack pointer.
    pub sp: u64,
    /// The program counter.
    pub pc: u64,
    /// Condition flags, in the layout of `NZCV`.
    pub nzcv: u64,
    /// `v0 … v31`.
    pub v: [u128; 32],
    /// Control of floating point.
    pub fpcr: u64,
}

/// Registers of 32-bit x86.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct X86_32 {
    /// `eax ecx edx ebx esp ebp esi edi`.
    pub general: [u32; 8],
    /// The instruction pointer.
    pub eip: u32,
    /// The flags.
    pub eflags: u32,
    /// `xmm0 … xmm7`.
    pub xmm: [u128; 8],
    /// Control and status of SSE.
    pub mxcsr: u32,
    /// Control word of the x87 unit.
    pub fpu_control: u16,
    /// Top of the x87 stack, as its 80 bits; where floats are returned.
    pub st0: [u8; 10],
}

/// Names of `X86_64::general`, in its order.
pub const X86_64_NAMES: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];

/// Names of `X86_32::general`, in its order.
pub const X86_32_NAMES: [&str; 8] = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];

impl Registers {
    /// Whose registers they are.
    #[must_use]
    pub fn architecture(&self) -> Architecture {
        match self {
            Self::X86_64(_) => Architecture::X86_64,
            Self::Arm64(_) => Architecture::Arm64,
            Self::X86_32(_) => Architecture::X86_32,
        }
    }

    /// Address of the next instruction.
    #[must_use]
    pub fn pc(&self) -> u64 {
        match self {
            Self::X86_64(it) => it.rip,
            Self::Arm64(it) => it.pc,
            Self::X86_32(it) => it.eip.into(),
        }
    }

    /// The stack pointer.
    #[must_use]
    pub fn sp(&self) -> u64 {
        match self {
            Self::X86_64(it) => it.general[4],
            Self::Arm64(it) => it.sp,
            Self::X86_32(it) => it.general[4].into(),
        }
    }

    /// The general registers, the program counter and the flags with their names, for people.
    #[must_use]
    pub fn named(&self) -> Vec<(String, u64)> {
        match self {
            Self::X86_64(it) => {
                let general = X86_64_NAMES.iter().map(ToString::to_string).zip(it.general);
                general.chain([("rip".into(), it.rip), ("rflags".into(), it.rflags)]).collect()
            }
            Self::Arm64(it) => {
                let x = (0..31).map(|n| format!("x{n}")).zip(it.x);
                x.chain([("sp".into(), it.sp), ("pc".into(), it.pc), ("nzcv".into(), it.nzcv)])
                    .collect()
            }
            Self::X86_32(it) => {
                let general = it.general.map(u64::from);
                let general = X86_32_NAMES.iter().map(ToString::to_string).zip(general);
                let last = [("eip".into(), it.eip.into()), ("eflags".into(), it.eflags.into())];
                general.chain(last).collect()
            }
        }
    }
}
