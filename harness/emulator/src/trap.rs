//! Traps as Linux would tell them to the process: the signal and its code.

use harness_protocol::trap::{Access, Cause};
use harness_sandbox::machine::Trap;

const SIGILL: i32 = 4;
const SIGTRAP: i32 = 5;
const SIGBUS: i32 = 7;
const SIGFPE: i32 = 8;
const SIGSEGV: i32 = 11;

/// `si_code` when the kernel says no more.
const SI_KERNEL: i32 = 128;
const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;
const BUS_ADRALN: i32 = 1;
const ILL_ILLOPC: i32 = 1;
const ILL_ILLOPN: i32 = 2;
const TRAP_BRKPT: i32 = 1;
const TRAP_TRACE: i32 = 2;
const FPE_INTDIV: i32 = 1;

/// The signal for a general protection fault.
const PROTECTION: (i32, i32) = (SIGSEGV, SI_KERNEL);

fn trap(cause: Cause, signal: (i32, i32)) -> Trap {
    Trap { cause, access: None, address: None, signal: Some(signal) }
}

fn access(cause: Cause, signal: (i32, i32), access: Access, address: u64) -> Trap {
    Trap { access: Some(access), address: Some(address), ..trap(cause, signal) }
}

/// There is no memory at the address, or on ARM64 no such address: Linux has one signal for both.
pub(crate) fn nowhere_on_arm64(kind: Access, address: u64) -> Trap {
    let canonical = matches!(address >> 48, 0 | 0xffff);
    let cause = if canonical { Cause::Unmapped } else { Cause::NonCanonical };
    Trap { cause, ..unmapped(kind, address) }
}

/// There is no memory at the address.
pub(crate) fn unmapped(kind: Access, address: u64) -> Trap {
    access(Cause::Unmapped, (SIGSEGV, SEGV_MAPERR), kind, address)
}

/// The memory is not for this.
pub(crate) fn protected(kind: Access, address: u64) -> Trap {
    access(Cause::Protected, (SIGSEGV, SEGV_ACCERR), kind, address)
}

/// The byte is not of the region. No signal: no processor sees this.
pub(crate) fn out_of_bounds(kind: Access, address: u64) -> Trap {
    Trap { cause: Cause::OutOfBounds, access: Some(kind), address: Some(address), signal: None }
}

/// No address of AMD64. Through the stack segment it is another exception, and so another signal.
pub(crate) fn non_canonical(kind: Access, address: u64, stack: bool) -> Trap {
    let signal = if stack { (SIGBUS, SI_KERNEL) } else { PROTECTION };
    access(Cause::NonCanonical, signal, kind, address)
}

/// An x86 instruction that insists on alignment.
pub(crate) fn misaligned_x86(kind: Access, address: u64) -> Trap {
    access(Cause::Misaligned, PROTECTION, kind, address)
}

/// An ARM64 instruction, stack pointer or program counter that must be aligned.
pub(crate) fn misaligned_arm(kind: Access, address: u64) -> Trap {
    access(Cause::Misaligned, (SIGBUS, BUS_ADRALN), kind, address)
}

/// The quotient does not exist.
pub(crate) fn divide() -> Trap {
    trap(Cause::DivideError, (SIGFPE, FPE_INTDIV))
}

/// An unmasked exception of the x87 unit, by its status and control words.
pub(crate) fn x87(status: u16, control: u16) -> Trap {
    const CODES: [(u16, i32); 5] = [(0x01, 7), (0x04, 3), (0x08, 4), (0x12, 5), (0x20, 6)];
    let raised = status & !control;
    let code = CODES.iter().find(|(bits, _)| raised & bits != 0).map_or(0, |(_, code)| *code);
    trap(Cause::FloatingPoint, (SIGFPE, code))
}

/// No instruction of x86.
pub(crate) fn undefined_x86() -> Trap {
    trap(Cause::UndefinedInstruction, (SIGILL, ILL_ILLOPN))
}

/// No instruction of ARM64.
pub(crate) fn undefined_arm() -> Trap {
    trap(Cause::UndefinedInstruction, (SIGILL, ILL_ILLOPC))
}

/// An instruction of the operating system.
pub(crate) fn privileged() -> Trap {
    trap(Cause::PrivilegedInstruction, PROTECTION)
}

/// `int3` of x86.
pub(crate) fn breakpoint_x86() -> Trap {
    trap(Cause::Breakpoint, (SIGTRAP, SI_KERNEL))
}

/// `brk` of ARM64, and `int1` of x86.
pub(crate) fn breakpoint() -> Trap {
    trap(Cause::Breakpoint, (SIGTRAP, TRAP_BRKPT))
}

/// The trap flag is set.
pub(crate) fn single_step() -> Trap {
    trap(Cause::SingleStep, (SIGTRAP, TRAP_TRACE))
}

/// Another exception that Linux tells as a general protection fault.
pub(crate) fn other_protection() -> Trap {
    trap(Cause::Other, PROTECTION)
}

/// What has no name, and no signal that is known.
pub(crate) fn other() -> Trap {
    Trap { cause: Cause::Other, access: None, address: None, signal: None }
}
