//! What became of code that was called, where it is more than a result: said by loaders that contain what they
//! call, and expected by vectors.
//!
//! Addresses are said relative to something that both sides know, so that one expectation holds wherever things
//! were mapped.

use serde::{Deserialize, Serialize};

use crate::trap::{Access, Cause};

/// The doors to the operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemCallAbi {
    /// `syscall` of AMD64.
    #[serde(rename = "x86_64")]
    X86_64,
    /// `int 0x80` and `sysenter`, with the numbers of 32-bit x86.
    I386,
    /// `svc` of ARM64.
    Arm64,
}

impl SystemCallAbi {
    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::I386 => "i386",
            Self::Arm64 => "arm64",
        }
    }
}

/// The address that an instruction failed to access.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "into", rename_all = "snake_case")]
pub enum FaultAddress {
    /// On the first page, where null pointers and their members lie.
    Null,
    /// In an image of the module.
    Image {
        /// Name of the image.
        name: String,
        /// Bytes from the image's base.
        offset: u64,
    },
    /// In the buffer of a pointer argument.
    Buffer {
        /// Which buffer: counts the non-null pointer arguments from 0.
        index: usize,
        /// Bytes from the start of that buffer.
        offset: u64,
    },
    /// In the stack.
    Stack,
    /// Below the lowest address of the stack.
    BelowStack,
    /// Any other address.
    Other {
        /// The address itself.
        address: u64,
    },
}

impl std::fmt::Display for FaultAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("the first page"),
            Self::Image { name, offset } => write!(f, "image `{name}` + {offset:#x}"),
            Self::Buffer { index, offset } => write!(f, "buffer {index} + {offset:#x}"),
            Self::Stack => f.write_str("the stack"),
            Self::BelowStack => f.write_str("below the stack"),
            Self::Other { address } => write!(f, "{address:#x}"),
        }
    }
}

/// What a loader says of a call that ended at stage `trap`. What is left out is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trapped {
    /// What kind of trap; absent for a system call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What was being done with memory, where memory is the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// The address that was accessed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<FaultAddress>,
    /// What the code asked the operating system for, if that is what ended the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_call: Option<SystemCalled>,
}

/// A system call that was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemCalled {
    /// By which door it came.
    pub abi: SystemCallAbi,
    /// Number of the call.
    pub number: u64,
}

impl std::fmt::Display for SystemCalled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "system call {} by the door of {}", self.number, self.abi.name())
    }
}

/// The trap that a call must end in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedTrap {
    /// Any of these causes is right.
    pub causes: Vec<Cause>,
    /// What must have been done with memory; `None`: memory is not the cause, or the processor does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// Where; `None`: it cannot be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<FaultAddress>,
}

/// The system call that a call must end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedSystemCall {
    /// By which door; `None`: that of the code's architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abi: Option<SystemCallAbi>,
    /// Number of the call.
    pub number: u64,
}

impl ExpectedSystemCall {
    /// Whether it is this call. The door of 32-bit x86 is no other architecture's own.
    #[must_use]
    pub fn is(&self, made: SystemCalled) -> bool {
        let own = self.abi.map_or(made.abi != SystemCallAbi::I386, |abi| abi == made.abi);
        own && self.number == made.number
    }
}

impl ExpectedTrap {
    /// How `trapped` differs, in words; `None` when it does not. What a loader does not know is not compared.
    #[must_use]
    pub fn difference(&self, trapped: &Trapped) -> Option<String> {
        let names = |causes: &[Cause]| {
            causes.iter().map(|cause| cause.name()).collect::<Vec<_>>().join(" or ")
        };
        if let Some(call) = trapped.system_call {
            return Some(format!("ended in {call}, a trap was expected: {}", names(&self.causes)));
        }
        if let Some(cause) = trapped.cause.filter(|cause| !self.causes.contains(cause)) {
            return Some(format!("the cause is {cause}, {} was expected", names(&self.causes)));
        }
        if let (Some(access), Some(expected)) = (trapped.access, self.access)
            && access != expected
        {
            return Some(format!("the access is {access}, {expected} was expected"));
        }
        let (address, expected) = trapped.address.as_ref().zip(self.address.as_ref())?;
        (address != expected).then(|| format!("the address is {address}, {expected} was expected"))
    }
}

/// Names of broken promises that are not those of registers. A register is named as assemblers do: `rbx`, `x19`,
/// `d8`.
pub mod breach {
    /// The stack pointer does not stand where the convention says.
    pub const STACK_POINTER: &str = "stack-pointer";
    /// The direction flag is set.
    pub const DIRECTION_FLAG: &str = "direction-flag";
    /// Control and status of SSE.
    pub const MXCSR: &str = "mxcsr";
    /// Control word of the x87 unit.
    pub const X87_CONTROL_WORD: &str = "x87-control-word";
    /// Control of floating point on ARM64.
    pub const FPCR: &str = "fpcr";
    /// Words above the arguments, which belong to the caller, changed.
    pub const CALLER_STACK: &str = "caller-stack";
    /// Bytes beside a buffer changed.
    pub const BESIDE_BUFFER: &str = "beside-buffer";
    /// A function that is marked pure gave two results for the same arguments.
    pub const NOT_REPEATABLE: &str = "not-repeatable";
    /// A function that is marked pure changed memory.
    pub const IMPURE: &str = "impure";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn null_read() -> ExpectedTrap {
        ExpectedTrap {
            causes: vec![Cause::Unmapped],
            access: Some(Access::Read),
            address: Some(FaultAddress::Null),
        }
    }

    #[test]
    fn what_is_left_out_is_not_compared() {
        assert_eq!(null_read().difference(&Trapped::default()), None);
        let cause = Some(Cause::Unmapped);
        assert_eq!(null_read().difference(&Trapped { cause, ..Trapped::default() }), None);
    }

    #[test]
    fn what_is_said_must_be_right() {
        let right = Trapped {
            cause: Some(Cause::Unmapped),
            access: Some(Access::Read),
            address: Some(FaultAddress::Null),
            system_call: None,
        };
        assert_eq!(null_read().difference(&right), None);
        let call = SystemCalled { abi: SystemCallAbi::Arm64, number: 1 };
        let address = FaultAddress::Image { name: "code".into(), offset: 4 };
        for (wrong, words) in [
            (Trapped { cause: Some(Cause::Protected), ..right.clone() }, "protected"),
            (Trapped { access: Some(Access::Write), ..right.clone() }, "write"),
            (Trapped { address: Some(address), ..right.clone() }, "image `code` + 0x4"),
            (Trapped { system_call: Some(call), ..right }, "system call 1"),
        ] {
            assert!(null_read().difference(&wrong).unwrap().contains(words));
        }
    }

    #[test]
    fn the_door_of_an_architecture_is_not_that_of_another() {
        let own = ExpectedSystemCall { abi: None, number: 1000 };
        let made = |abi, number| SystemCalled { abi, number };
        assert!(own.is(made(SystemCallAbi::X86_64, 1000)));
        assert!(own.is(made(SystemCallAbi::Arm64, 1000)));
        assert!(!own.is(made(SystemCallAbi::I386, 1000)));
        assert!(!own.is(made(SystemCallAbi::X86_64, 1001)));
        let old = ExpectedSystemCall { abi: Some(SystemCallAbi::I386), number: 20 };
        assert!(old.is(made(SystemCallAbi::I386, 20)) && !old.is(made(SystemCallAbi::X86_64, 20)));
    }
}
