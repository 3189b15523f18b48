//! The instruction that trapped, as text that does not depend on where it lies, and what it goes for.

use harness_sandbox::{Architecture, Permissions, Program, Registers};
use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Formatter as _, InstructionInfoFactory, IntelFormatter,
    OpAccess, OpKind, Register,
};
use yaxpeax_arch::{Decoder as _, U8Reader};
use yaxpeax_arm::armv8::a64::{InstDecoder, Opcode, Operand};

/// How an instruction hands over control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// To the next one, or to a place that stands in the instruction.
    Fixed,
    /// To an address from a register or memory.
    Branch,
    /// Likewise, to come back.
    Call,
    /// To where it was called from.
    Return,
}

/// An instruction of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    /// Mnemonic and operands; what depends on where the instruction lies is left out.
    pub(crate) text: String,
    /// How it hands over control.
    pub(crate) flow: Flow,
    /// Whether it writes memory that an operand names, where the decoder knows.
    pub(crate) writes: Option<bool>,
    /// The address of its memory operand, where registers tell.
    pub(crate) memory: Option<u64>,
    /// The address that it hands control to, where a register tells.
    pub(crate) branch: Option<u64>,
}

/// The instruction at the program counter; `None` when that is not in code.
pub(crate) fn at(program: &Program, registers: &Registers) -> Option<Instruction> {
    let pc = registers.pc();
    let code = program.segments.iter().filter(|it| it.permissions == Permissions::Rx);
    let bytes = code.filter_map(|it| {
        let offset = usize::try_from(pc.checked_sub(it.address)?).ok()?;
        it.bytes.get(offset..)
    });
    let bytes = bytes.into_iter().find(|bytes| !bytes.is_empty())?;
    match program.architecture {
        Architecture::X86_64 => x86(64, bytes, registers),
        Architecture::X86_32 => x86(32, bytes, registers),
        Architecture::Arm64 => arm64(bytes),
    }
}

fn x86(bits: u32, bytes: &[u8], registers: &Registers) -> Option<Instruction> {
    let mut it = Decoder::with_ip(bits, bytes, registers.pc(), DecoderOptions::NONE).decode();
    if it.is_invalid() {
        return None;
    }
    let value = |register| x86_register(registers, register);
    let branch = match it.op0_kind() {
        OpKind::Register if it.flow_control() != FlowControl::Next => value(it.op0_register()),
        _ => None,
    };
    let memory_operand = (0..it.op_count()).find(|&n| it.op_kind(n) == OpKind::Memory);
    let memory = memory_operand.and_then(|n| it.virtual_address(n, 0, |r, _, _| value(r)));
    let flow = match it.flow_control() {
        FlowControl::Return => Flow::Return,
        FlowControl::IndirectBranch => Flow::Branch,
        FlowControl::IndirectCall => Flow::Call,
        _ => Flow::Fixed,
    };
    let mut factory = InstructionInfoFactory::new();
    let used = factory.info(&it).used_memory();
    let writes = (!used.is_empty()).then(|| used.iter().any(|memory| writes(memory.access())));
    // What is relative to the instruction, or absolute, changes with the base.
    if it.is_ip_rel_memory_operand() {
        it.set_memory_displacement64(it.next_ip());
    } else if it.memory_base() == Register::None && it.memory_index() == Register::None {
        it.set_memory_displacement64(0);
    }
    let mut text = String::new();
    let mut formatter = IntelFormatter::new();
    formatter.options_mut().set_hex_prefix("0x");
    formatter.options_mut().set_hex_suffix("");
    formatter.options_mut().set_rip_relative_addresses(true);
    if matches!(it.op0_kind(), OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64) {
        formatter.format_mnemonic(&it, &mut text);
    } else {
        formatter.format(&it, &mut text);
    }
    Some(Instruction { text, flow, writes, memory, branch })
}

fn writes(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

/// The value of a register in addresses: general ones, and segments without a base.
fn x86_register(registers: &Registers, register: Register) -> Option<u64> {
    if register.is_segment_register() {
        return (!matches!(register, Register::FS | Register::GS)).then_some(0);
    }
    let (full, size) = (register.full_register(), register.size());
    let number = if full.is_gpr() { full.number() } else { return None };
    let value = match registers {
        Registers::X86_64(it) => *it.general.get(number)?,
        Registers::X86_32(it) => (*it.general.get(number)?).into(),
        Registers::Arm64(_) => return None,
    };
    (size >= 4).then(|| if size == 4 { value & u64::from(u32::MAX) } else { value })
}

fn arm64(bytes: &[u8]) -> Option<Instruction> {
    let word = bytes.get(..4)?;
    let it = InstDecoder::default().decode(&mut U8Reader::new(word)).ok()?;
    let fixed = it.operands.iter().any(|it| matches!(it, Operand::PCOffset(_)));
    let text = it.to_string();
    let mnemonic = text.split_whitespace().next().map(str::to_owned);
    let flow = match it.opcode {
        Opcode::BR => Flow::Branch,
        Opcode::BLR => Flow::Call,
        Opcode::RET => Flow::Return,
        _ => Flow::Fixed,
    };
    let text = if fixed { mnemonic? } else { text };
    Some(Instruction { text, flow, writes: None, memory: None, branch: None })
}
