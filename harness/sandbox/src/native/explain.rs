//! From what the kernel says to what it means.

use harness_protocol::trap::{Access, Cause};
use iced_x86::{
    Decoder, DecoderOptions, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind,
    Register,
};
use nix::libc;

use super::arch::{AUDIT, AUDIT_32, NATIVE};
use super::shared::{RawStop, why};
use crate::limits::PAGE;
use crate::machine::{Region, Report, Resource, Stop, StopReason, SystemCall, SystemCallAbi, Trap};
use crate::registers::X86_64;
use crate::{Architecture, Registers};

/// `si_code` of a page that is not there.
const SEGV_MAPERR: i32 = 1;
/// `si_code` of a page that does not allow this.
const SEGV_ACCERR: i32 = 2;
/// `si_code` of a page that a protection key keeps from the code.
const SEGV_PKUERR: i32 = 4;
/// `si_code` of a page that cannot be had.
const BUS_ADRERR: i32 = 2;
/// `si_code` of an address that is not aligned.
const BUS_ADRALN: i32 = 1;
/// `si_code` of an integer division.
const FPE_INTDIV: i32 = 1;
/// `si_code` of a signal that the kernel sends for reasons of its own.
const SI_KERNEL: i32 = 0x80;
/// Bits of a page fault's error code.
const ERROR_WRITE: u64 = 1 << 1;
const ERROR_FETCH: u64 = 1 << 4;

/// A stop in the machine's terms.
pub(super) fn explain(raw: &RawStop) -> Stop {
    let registers = raw.registers.registers(raw.back);
    let length = (raw.stack_length as usize).min(raw.stack.len());
    Stop { reason: reason(raw, &registers), registers, stack: raw.stack[..length].to_vec() }
}

/// Corrects what the kernel says of instructions that it emulates (`sldt`, `str` and their like): whatever is
/// wrong with their operand, it says that there is no memory.
pub(super) fn by_the_map(mut report: Report, regions: &[Region]) -> Report {
    let holds = |region: &Region, address: u64| {
        address.wrapping_sub(region.address) < region.size.next_multiple_of(PAGE)
    };
    for stop in &mut report.stops {
        let StopReason::Trapped(trap) = &mut stop.reason else { continue };
        let there = |address| regions.iter().any(|region| holds(region, address));
        if trap.cause == Cause::Unmapped && trap.address.is_some_and(there) {
            trap.cause = Cause::Protected;
        }
    }
    report
}

fn reason(raw: &RawStop, registers: &Registers) -> StopReason {
    match (raw.why, raw.signal) {
        (why::KILLED, signal) => StopReason::Killed(signal),
        (why::ABANDONED, _) => StopReason::Abandoned,
        _ if raw.landed() => StopReason::Landed,
        (_, libc::SIGPROF | libc::SIGXCPU) => StopReason::Exhausted(Resource::Cpu),
        (_, libc::SIGALRM) => StopReason::Exhausted(Resource::Wall),
        (_, libc::SIGSYS) => StopReason::SystemCall(SystemCall {
            abi: match raw.audit {
                AUDIT_32 => SystemCallAbi::I386,
                AUDIT if NATIVE == Architecture::Arm64 => SystemCallAbi::Arm64,
                _ => SystemCallAbi::X86_64,
            },
            number: raw.system_call.into(),
            arguments: raw.registers.arguments(raw.audit),
        }),
        _ => StopReason::Trapped(trap(raw, registers)),
    }
}

fn trap(raw: &RawStop, registers: &Registers) -> Trap {
    let plain =
        |cause| Trap { cause, access: None, address: None, signal: Some((raw.signal, raw.code)) };
    match (raw.signal, raw.code) {
        // On ARM64 this is also what is said of addresses that cannot be; AMD64 has an exception for those.
        (libc::SIGSEGV, SEGV_MAPERR) if !matches!(raw.address >> 48, 0 | 0xffff) => {
            memory(raw, Cause::NonCanonical)
        }
        (libc::SIGSEGV, SEGV_MAPERR) => memory(raw, Cause::Unmapped),
        (libc::SIGSEGV, SEGV_ACCERR | SEGV_PKUERR) => memory(raw, Cause::Protected),
        (libc::SIGBUS, BUS_ADRERR) => plain(Cause::Other), // no memory was left for the page
        (libc::SIGSEGV | libc::SIGBUS, _) => {
            let length = (raw.code_length as usize).min(raw.code_bytes.len());
            let Registers::X86_64(registers) = registers else { return plain(Cause::Misaligned) };
            let (cause, access, address) =
                general_protection(raw, registers, &raw.code_bytes[..length]);
            Trap { access, address, ..plain(cause) }
        }
        (libc::SIGILL, _) => plain(Cause::UndefinedInstruction),
        (libc::SIGFPE, FPE_INTDIV) => plain(Cause::DivideError),
        (libc::SIGFPE, _) => plain(Cause::FloatingPoint),
        (libc::SIGTRAP, libc::TRAP_TRACE) => plain(Cause::SingleStep),
        (libc::SIGTRAP, _) => plain(Cause::Breakpoint),
        _ => plain(Cause::Other),
    }
}

/// A page fault: the processor's own words, when the kernel wrote them down.
fn memory(raw: &RawStop, cause: Cause) -> Trap {
    let access = (raw.has_frame != 0).then(|| arch_access(raw));
    let signal = Some((raw.signal, raw.code));
    Trap { cause, access, address: Some(raw.address), signal }
}

#[cfg(target_arch = "x86_64")]
fn arch_access(raw: &RawStop) -> Access {
    if raw.error & ERROR_FETCH != 0 {
        Access::Fetch
    } else if raw.error & ERROR_WRITE != 0 {
        Access::Write
    } else {
        Access::Read
    }
}

/// On ARM64 the frame's word is `ESR`: its class says fetch, its bit 6 says write.
#[cfg(target_arch = "aarch64")]
fn arch_access(raw: &RawStop) -> Access {
    const INSTRUCTION_ABORT: u64 = 0x20;
    const WRITE: u64 = 1 << 6;
    if raw.error >> 26 & 0x3f == INSTRUCTION_ABORT {
        Access::Fetch
    } else if raw.error & WRITE != 0 {
        Access::Write
    } else {
        Access::Read
    }
}

/// AMD64 has one exception for many reasons and gives no address: the instruction tells.
fn general_protection(
    raw: &RawStop,
    registers: &X86_64,
    code: &[u8],
) -> (Cause, Option<Access>, Option<u64>) {
    let (signal, si_code) = (raw.signal, raw.code);
    let bases = raw.registers.segment_bases();
    if !is_canonical(registers.rip) {
        return (Cause::NonCanonical, Some(Access::Fetch), Some(registers.rip));
    }
    let instruction = Decoder::with_ip(64, code, registers.rip, DecoderOptions::NONE).decode();
    if instruction.is_invalid() {
        return (Cause::Other, None, None);
    }
    if let Some(target) = jump_target(&instruction, registers, raw).filter(|at| !is_canonical(*at))
    {
        return (Cause::NonCanonical, Some(Access::Fetch), Some(target));
    }
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(&instruction);
    for memory in info.used_memory() {
        let address =
            memory.virtual_address(0, |register, _, _| Some(value(registers, bases, register)));
        let Some(address) = address else { continue };
        let access = match memory.access() {
            OpAccess::Read | OpAccess::CondRead => Access::Read,
            _ => Access::Write, // what is read and written is fetched for writing
        };
        if !is_canonical(address) {
            return (Cause::NonCanonical, Some(access), Some(address));
        }
        if (signal, si_code) == (libc::SIGBUS, BUS_ADRALN) || is_misaligned(&instruction, address) {
            return (Cause::Misaligned, Some(access), Some(address));
        }
    }
    let cause = if instruction.is_privileged() || matches!(instruction.mnemonic(), Mnemonic::Int) {
        Cause::PrivilegedInstruction
    } else if si_code == SI_KERNEL {
        Cause::Other
    } else {
        Cause::Misaligned
    };
    (cause, None, None)
}

/// 48 bits, sign-extended: what processors without five levels of pages take for an address.
fn is_canonical(address: u64) -> bool {
    matches!(address >> 47, 0 | 0x1_ffff)
}

/// 16-byte accesses of SSE that trap when they are not aligned.
fn is_misaligned(instruction: &Instruction, address: u64) -> bool {
    let size = instruction.memory_size().size() as u64;
    let vector = (0..instruction.op_count()).any(|n| {
        instruction.op_kind(n) == OpKind::Register
            && instruction.op_register(n).is_vector_register()
    });
    let state = matches!(
        instruction.mnemonic(),
        Mnemonic::Fxsave | Mnemonic::Fxrstor | Mnemonic::Fxsave64 | Mnemonic::Fxrstor64
    );
    (vector || state) && size >= 16 && !address.is_multiple_of(size.min(16))
}

/// Where a jump or call through a register, or a return, would go.
fn jump_target(instruction: &Instruction, registers: &X86_64, raw: &RawStop) -> Option<u64> {
    if instruction.mnemonic() == Mnemonic::Ret {
        return raw.stack.first_chunk().map(|word| u64::from_le_bytes(*word));
    }
    let indirect = instruction.is_jmp_near_indirect() || instruction.is_call_near_indirect();
    (indirect && instruction.op0_kind() == OpKind::Register)
        .then(|| value(registers, [0; 2], instruction.op0_register()))
}

/// What a register holds, as the decoder asks for it to compute an address.
fn value(registers: &X86_64, [fs, gs]: [u64; 2], register: Register) -> u64 {
    let full = register.full_register();
    let number = full.number();
    let all = match full {
        Register::RIP => registers.rip,
        _ if full.is_gpr() => registers.general.get(number).copied().unwrap_or(0),
        Register::FS => fs,
        Register::GS => gs,
        _ => 0, // the other segments are flat
    };
    match register.size() {
        4 if full.is_gpr() => all & 0xffff_ffff,
        _ => all,
    }
}
