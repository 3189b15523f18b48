//! Instructions of x86: doors to the operating system, what only the operating system may do, and what insists
//! on aligned or canonical addresses. The engine lets all of them pass.

use harness_protocol::trap::Access;
use harness_sandbox::{Architecture, SystemCall, SystemCallAbi};
use iced_x86::{
    Code, Decoder, DecoderError, DecoderOptions, EncodingKind, FlowControl, Instruction,
    InstructionInfoFactory, InstructionInfoOptions, MemorySize, Mnemonic, OpAccess, OpKind,
    Register,
};
use unicorn_engine::{RegisterX86, Unicorn};

use super::Inspected;
use crate::limits::MAX_INSTRUCTION;
use crate::memory::Memory;
use crate::observer::{Event, Observer};
use crate::registers::{X86_32_GENERAL, X86_64_GENERAL};
use crate::trap;

/// Instructions that need a look before they run.
#[derive(Clone, Copy)]
pub(crate) enum Special {
    /// `syscall` of AMD64.
    SystemCall64 {
        /// Address of the next instruction.
        next: u64,
    },
    /// `int 0x80`, `sysenter`, and `syscall` of 32-bit code.
    SystemCall32 {
        /// Address of the next instruction.
        next: u64,
    },
    /// A jump, call or return to an address that is read from somewhere.
    Branch(Instruction),
    /// An access that must be aligned to so many bytes.
    Aligned(Instruction, u64),
}

/// Looks at the instruction at `pc`.
pub(super) fn inspect(bitness: u32, memory: &Memory, pc: u64) -> Inspected {
    let instruction = decode(bitness, memory, pc);
    Inspected {
        length: instruction.len().max(1) as u64,
        branch: instruction.flow_control() != FlowControl::Next,
        special: special(bitness, &instruction),
    }
}

/// The instruction at `pc`; an invalid one if there is none.
pub(crate) fn decode(bitness: u32, memory: &Memory, pc: u64) -> Instruction {
    let bytes = memory.bytes(pc, MAX_INSTRUCTION);
    Decoder::with_ip(bitness, bytes, pc, DecoderOptions::NONE).decode()
}

/// Bytes of the instruction at `pc`; `None` when its region ends before it does.
pub(super) fn length(bitness: u32, memory: &Memory, pc: u64) -> Option<u64> {
    let bytes = memory.bytes(pc, MAX_INSTRUCTION);
    let mut decoder = Decoder::with_ip(bitness, bytes, pc, DecoderOptions::NONE);
    let instruction = decoder.decode();
    (decoder.last_error() != DecoderError::NoMoreBytes).then(|| instruction.len().max(1) as u64)
}

fn special(bitness: u32, instruction: &Instruction) -> Option<super::Special> {
    use super::Special as Any;
    let next = instruction.next_ip();
    let found = match instruction.mnemonic() {
        Mnemonic::Syscall if bitness == 64 => Special::SystemCall64 { next },
        Mnemonic::Syscall | Mnemonic::Sysenter => Special::SystemCall32 { next },
        Mnemonic::Int => match instruction.immediate8() {
            0x80 => Special::SystemCall32 { next },
            3 => return Some(Any::Trap(trap::breakpoint_x86())),
            4 => return Some(Any::Trap(trap::other_protection())),
            _ => return Some(Any::Trap(trap::privileged())),
        },
        Mnemonic::Int3 => return Some(Any::Trap(trap::breakpoint_x86())),
        Mnemonic::Int1 => return Some(Any::Trap(trap::breakpoint())),
        _ if is_privileged(instruction) => return Some(Any::Trap(trap::privileged())),
        _ => match instruction.flow_control() {
            FlowControl::IndirectBranch | FlowControl::IndirectCall | FlowControl::Return
                if bitness == 64 =>
            {
                Special::Branch(*instruction)
            }
            _ => Special::Aligned(*instruction, alignment(instruction)?),
        },
    };
    Some(Any::X86(found))
}

/// Whether the operating system would not let a process do it.
fn is_privileged(instruction: &Instruction) -> bool {
    use Mnemonic::{Cli, Hlt, In, Insb, Insd, Insw, Out, Outsb, Outsd, Outsw, Rdpmc, Sti};
    instruction.is_privileged()
        || matches!(
            instruction.mnemonic(),
            Cli | Hlt | In | Insb | Insd | Insw | Out | Outsb | Outsd | Outsw | Rdpmc | Sti
        )
}

/// The alignment that it insists on, in bytes.
fn alignment(instruction: &Instruction) -> Option<u64> {
    use Mnemonic::{
        Cmpxchg16b, Lddqu, Movdqu, Movupd, Movups, Pcmpestri, Pcmpestrm, Pcmpistri, Pcmpistrm,
    };
    match instruction.memory_size() {
        MemorySize::Unknown => None,
        MemorySize::Fxsave_512Byte | MemorySize::Fxsave64_512Byte => Some(16),
        MemorySize::Xsave | MemorySize::Xsave64 => Some(64),
        size => match instruction.mnemonic() {
            Movups | Movupd | Movdqu | Lddqu | Pcmpestri | Pcmpestrm | Pcmpistri | Pcmpistrm => {
                None
            }
            Cmpxchg16b => Some(16),
            _ => {
                let sse = size.size() == 16
                    && instruction.encoding() == EncodingKind::Legacy
                    && (0..instruction.op_count()).any(|n| instruction.op_register(n).is_xmm());
                sse.then_some(16)
            }
        },
    }
}

/// What happens instead of the instruction, if anything.
pub(super) fn check(special: Special, uc: &mut Unicorn<'_, Observer>) -> Option<Event> {
    match special {
        Special::SystemCall64 { next } => Some(system_call_64(uc, next)),
        Special::SystemCall32 { next } => Some(system_call_32(uc, next)),
        Special::Branch(instruction) => {
            let target = target(&instruction, uc)?;
            let trap = trap::non_canonical(Access::Fetch, target, false);
            (!is_canonical(target)).then_some(Event::Trapped(trap))
        }
        Special::Aligned(instruction, alignment) => {
            let (address, kind) = operand(&instruction, uc)?;
            let trap = trap::misaligned_x86(kind, address);
            (is_canonical(address) && address % alignment != 0).then_some(Event::Trapped(trap))
        }
    }
}

/// Whether AMD64 has this address, with four levels of page tables.
pub(crate) fn is_canonical(address: u64) -> bool {
    (address as i64) << 16 >> 16 == address as i64
}

/// Whether `instruction` reaches `address` through the stack segment.
pub(crate) fn is_stack_access(
    instruction: &Instruction,
    address: u64,
    uc: &Unicorn<'_, Observer>,
) -> bool {
    match operand(instruction, uc) {
        Some((at, _)) if at == address => instruction.memory_segment() == Register::SS,
        _ => instruction.is_stack_instruction(),
    }
}

/// Address of the memory operand, and what is done there.
fn operand(instruction: &Instruction, uc: &Unicorn<'_, Observer>) -> Option<(u64, Access)> {
    let number = (0..instruction.op_count()).find(|n| instruction.op_kind(*n) == OpKind::Memory)?;
    let address = instruction.virtual_address(number, 0, |register, _, _| value(register, uc))?;
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info_options(instruction, InstructionInfoOptions::NO_REGISTER_USAGE);
    let kind = match info.op_access(number) {
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite => {
            Access::Write
        }
        _ => Access::Read,
    };
    Some((address, kind))
}

/// Where a jump, call or return to an address that is read from somewhere leads, if it can be read.
fn target(instruction: &Instruction, uc: &Unicorn<'_, Observer>) -> Option<u64> {
    let memory = &uc.get_data().memory;
    if matches!(instruction.code(), Code::Retnq | Code::Retnq_imm16) {
        return memory.word(uc.reg_read(RegisterX86::RSP).ok()?);
    }
    match instruction.op0_kind() {
        OpKind::Register => value(instruction.op0_register(), uc),
        OpKind::Memory if instruction.memory_size() == MemorySize::QwordOffset => {
            memory.word(operand(instruction, uc)?.0)
        }
        _ => None,
    }
}

/// The value of a register that may be part of an address.
fn value(register: Register, uc: &Unicorn<'_, Observer>) -> Option<u64> {
    let is_32 = uc.get_data().architecture == Architecture::X86_32;
    let general: &[RegisterX86] = if is_32 { &X86_32_GENERAL } else { &X86_64_GENERAL };
    match register {
        Register::FS => uc.reg_read(RegisterX86::FS_BASE).ok(),
        Register::GS => uc.reg_read(RegisterX86::GS_BASE).ok(),
        Register::ES | Register::CS | Register::SS | Register::DS => Some(0),
        _ => {
            let whole = uc.reg_read(*general.get(register.number())?).ok()?;
            Some(if register.size() == 4 { whole & 0xffff_ffff } else { whole })
        }
    }
}

fn system_call_64(uc: &Unicorn<'_, Observer>, next: u64) -> Event {
    use RegisterX86::{R8, R9, R10, RAX, RDI, RDX, RSI};
    let read = |register: RegisterX86| uc.reg_read(register).unwrap_or_default();
    let call = SystemCall {
        abi: SystemCallAbi::X86_64,
        number: read(RAX),
        arguments: [RDI, RSI, RDX, R10, R8, R9].map(read),
    };
    Event::SystemCall { call, next }
}

/// The door of 32-bit code, which 64-bit code can use, too: it sees the low halves.
fn system_call_32(uc: &Unicorn<'_, Observer>, next: u64) -> Event {
    use RegisterX86::{EAX, EBP, EBX, ECX, EDI, EDX, ESI};
    let read = |register: RegisterX86| uc.reg_read(register).unwrap_or_default();
    let call = SystemCall {
        abi: SystemCallAbi::I386,
        number: read(EAX),
        arguments: [EBX, ECX, EDX, ESI, EDI, EBP].map(read),
    };
    Event::SystemCall { call, next }
}
