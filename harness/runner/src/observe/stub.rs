//! Following a stub: code that does nothing but jump to where the place could not reach.
//!
//! Understood is what linkers and loaders write: `jmp`, `jmp [rip+…]`, and `mov` of the target into r10, r11
//! or rax before `jmp` to it (no calling convention passes an argument in these), each also behind `endbr64`.

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use crate::limits::MAX_STUB_INSTRUCTIONS;
use crate::sys::maps;

use super::memory::{Absent, Memory};

/// Longest instruction of the architecture, in bytes.
const LONGEST: u64 = 15;

/// Why the code at `start` does not lead to `target`; `None` when it does, or when nobody can look.
pub(crate) fn follow(memory: &dyn Memory, start: u64, target: u64) -> Option<String> {
    memory.mappings()?;
    let mut walk = Walk { memory, target, at: start, registers: Vec::new() };
    for _ in 0..MAX_STUB_INSTRUCTIONS {
        match walk.step() {
            Ok(Step::Arrived) => return None,
            Ok(Step::On) => {}
            Err(cause) => return Some(cause),
        }
    }
    Some(format!("{MAX_STUB_INSTRUCTIONS} instructions from {start:#x} do not reach {target:#x}"))
}

enum Step {
    On,
    Arrived,
}

struct Walk<'a> {
    memory: &'a dyn Memory,
    target: u64,
    at: u64,
    registers: Vec<(Register, u64)>,
}

impl Walk<'_> {
    fn step(&mut self) -> Result<Step, String> {
        let instruction = self.decode()?;
        match instruction.mnemonic() {
            Mnemonic::Endbr64 | Mnemonic::Nop => {}
            Mnemonic::Mov => self.load(&instruction)?,
            Mnemonic::Jmp => return self.jump(&instruction),
            other => {
                let other = format!("{other:?}").to_lowercase();
                return Err(format!("`{other}` stands at {:#x}", self.at));
            }
        }
        self.at = instruction.next_ip();
        Ok(Step::On)
    }

    fn decode(&self) -> Result<Instruction, String> {
        let at = self.at;
        let mapped = maps::at(self.memory.mappings().unwrap_or_default(), at)
            .ok_or_else(|| format!("nothing is mapped at {at:#x}"))?;
        if !mapped.executable || mapped.writable {
            return Err(format!(
                "{at:#x} is not in memory that is only executable: {}",
                mapped.line
            ));
        }
        let length = mapped.addresses.end.saturating_sub(at).min(LONGEST);
        let mut bytes = [0; LONGEST as usize];
        let bytes = bytes.get_mut(..usize::try_from(length).unwrap_or(0)).unwrap_or_default();
        self.read(at, bytes)?;
        let instruction = Decoder::with_ip(64, bytes, at, DecoderOptions::NONE).decode();
        if instruction.is_invalid() {
            return Err(format!("no instruction stands at {at:#x}"));
        }
        Ok(instruction)
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Result<(), String> {
        self.memory.read(at, into).map_err(|absent| match absent {
            Absent::Unreadable(at) => format!("{at:#x} cannot be read"),
            Absent::Unknown => format!("what stands at {at:#x} is unknown"),
        })
    }

    /// `mov` of a number, or of eight bytes beside the code, into a register that carries no argument.
    fn load(&mut self, instruction: &Instruction) -> Result<(), String> {
        let register = instruction.op0_register();
        let wide = free_register(register).ok_or_else(|| self.strange("mov"))?;
        let value = match instruction.op1_kind() {
            OpKind::Immediate64 => instruction.immediate64(),
            OpKind::Immediate32to64 => instruction.immediate32to64().cast_unsigned(),
            OpKind::Immediate32 => u64::from(instruction.immediate32()),
            OpKind::Memory if instruction.is_ip_rel_memory_operand() && wide == register => {
                self.quad(instruction.ip_rel_memory_address())?
            }
            _ => return Err(self.strange("mov")),
        };
        self.registers.push((wide, value));
        Ok(())
    }

    fn jump(&mut self, instruction: &Instruction) -> Result<Step, String> {
        let to = match instruction.op0_kind() {
            OpKind::NearBranch64 => instruction.near_branch_target(),
            OpKind::Memory if instruction.is_ip_rel_memory_operand() => {
                self.quad(instruction.ip_rel_memory_address())?
            }
            OpKind::Register => {
                let register = instruction.op0_register();
                let known = self.registers.iter().rev().find(|(name, _)| *name == register);
                known.map(|(_, value)| *value).ok_or_else(|| self.strange("jmp"))?
            }
            _ => return Err(self.strange("jmp")),
        };
        self.at = to;
        Ok(if to == self.target { Step::Arrived } else { Step::On })
    }

    fn quad(&self, at: u64) -> Result<u64, String> {
        let mut bytes = [0; 8];
        self.read(at, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn strange(&self, mnemonic: &str) -> String {
        format!("the `{mnemonic}` at {:#x} is none of a stub", self.at)
    }
}

/// The whole of a register that carries no argument; writing its lower half clears the upper one.
fn free_register(register: Register) -> Option<Register> {
    Some(match register {
        Register::R10 | Register::R10D => Register::R10,
        Register::R11 | Register::R11D => Register::R11,
        Register::RAX | Register::EAX => Register::RAX,
        _ => return None,
    })
}
