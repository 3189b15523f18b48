//! Instructions as text.

use harness_sandbox::{Architecture, Program, Segment};
use iced_x86::{Decoder, DecoderOptions, Formatter as _, Instruction, IntelFormatter};
use yaxpeax_arch::{Decoder as _, U8Reader};
use yaxpeax_arm::armv8::a64::InstDecoder;

/// Longest instruction in bytes.
const LONGEST: usize = 15;

/// Instructions shown before and after the one in question.
const AROUND: usize = 5;

/// How far before an instruction its function may start for the instructions between to be decoded.
const FAR: u64 = 4096;

/// An instruction in memory.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Its address.
    pub(crate) address: u64,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Mnemonic and operands.
    pub(crate) text: String,
}

impl Line {
    /// The address after it.
    pub(crate) fn end(&self) -> u64 {
        self.address + self.bytes.len() as u64
    }
}

/// The instruction at `address`, if there is code.
pub(crate) fn line(program: &Program, address: u64) -> Option<Line> {
    let bytes = code_at(program, address)?;
    match program.architecture {
        Architecture::X86_64 => x86(64, address, bytes),
        Architecture::X86_32 => x86(32, address, bytes),
        Architecture::Arm64 => arm64(address, bytes),
    }
}

/// An instruction of a trace as one line: address, function, text.
pub(crate) fn trace_line(program: &Program, address: u64) -> String {
    let text = line(program, address).map_or_else(|| "(not in code)".to_owned(), |line| line.text);
    let symbol = function(program, address);
    let place = symbol.map_or_else(String::new, |symbol| {
        format!("{} + {:#x}", symbol.name, address - symbol.address)
    });
    format!("{address:#x}  {place:<24} {text}")
}

/// The instructions around `address`. Those before it are shown where decoding from the start of the function
/// arrives at it.
pub(super) fn around(program: &Program, address: u64) -> Vec<Line> {
    let mut lines = before(program, address);
    let mut at = address;
    for _ in 0..=AROUND {
        let Some(line) = line(program, at) else { break };
        at = line.end();
        lines.push(line);
    }
    lines
}

fn before(program: &Program, address: u64) -> Vec<Line> {
    let start = function(program, address).filter(|symbol| address - symbol.address <= FAR);
    let Some(start) = start else { return Vec::new() };
    let mut lines = Vec::new();
    let mut at = start.address;
    while at < address {
        let Some(line) = line(program, at) else { return Vec::new() };
        at = line.end();
        lines.push(line);
    }
    let arrived = at == address;
    let shown = lines.len().saturating_sub(AROUND);
    if arrived { lines.split_off(shown) } else { Vec::new() }
}

/// The symbol at or before an address in code.
fn function(program: &Program, address: u64) -> Option<&harness_sandbox::Symbol> {
    let segment = segment(program, address)?;
    let symbols = program.symbols.iter().rev();
    let mut symbols = symbols.skip_while(|symbol| symbol.address > address);
    symbols.next().filter(|symbol| symbol.address >= segment.address)
}

/// The code that holds `address`.
fn segment(program: &Program, address: u64) -> Option<&Segment> {
    let code = program.segments.iter().filter(|s| s.permissions.name() == "rx");
    let mut code = code.filter(|s| (s.address..s.address + s.size).contains(&address));
    code.next()
}

fn code_at(program: &Program, address: u64) -> Option<&[u8]> {
    let segment = segment(program, address)?;
    let start = usize::try_from(address - segment.address).ok()?;
    let bytes = segment.bytes.get(start..).filter(|bytes| !bytes.is_empty())?;
    bytes.get(..LONGEST.min(bytes.len()))
}

fn x86(bits: u32, address: u64, bytes: &[u8]) -> Option<Line> {
    let mut instruction = Instruction::default();
    Decoder::with_ip(bits, bytes, address, DecoderOptions::NONE).decode_out(&mut instruction);
    let mut text = String::new();
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_branch_leading_zeros(false);
    formatter.format(&instruction, &mut text);
    let length = instruction.len().clamp(1, bytes.len());
    Some(Line { address, bytes: bytes.get(..length)?.to_vec(), text })
}

fn arm64(address: u64, bytes: &[u8]) -> Option<Line> {
    let bytes = bytes.get(..4)?;
    let text = match InstDecoder::default().decode(&mut U8Reader::new(bytes)) {
        Ok(instruction) => instruction.to_string(),
        Err(_) => format!(".word {:#010x}", u32::from_le_bytes(bytes.try_into().ok()?)),
    };
    Some(Line { address, bytes: bytes.to_vec(), text })
}

#[cfg(test)]
mod tests {
    use harness_sandbox::{Permissions, Symbol};

    use super::*;

    fn program(architecture: Architecture, bytes: &[u8]) -> Program {
        let segment = Segment {
            name: "code".to_owned(),
            address: 0x1000,
            bytes: bytes.to_vec(),
            size: bytes.len() as u64,
            permissions: Permissions::Rx,
        };
        let symbol = Symbol { name: "f".to_owned(), address: 0x1000 };
        Program { architecture, segments: vec![segment], symbols: vec![symbol] }
    }

    #[test]
    fn instructions_of_each_architecture() {
        for (architecture, bytes, text) in [
            (Architecture::X86_64, &[0x48, 0x8b, 0x07, 0xc3][..], "mov rax,[rdi]"),
            (Architecture::X86_32, &[0x8b, 0x44, 0x24, 0x04], "mov eax,[esp+4]"),
            (Architecture::Arm64, &[0x00, 0x00, 0x40, 0xf9], "ldr x0, [x0]"),
        ] {
            assert_eq!(line(&program(architecture, bytes), 0x1000).unwrap().text, text);
        }
    }

    #[test]
    fn before_an_instruction_are_those_of_its_function_that_lead_to_it() {
        let code = program(Architecture::X86_64, &[0x55, 0x48, 0x89, 0xe5, 0x5d, 0xc3]);
        let text: Vec<String> = around(&code, 0x1004).into_iter().map(|line| line.text).collect();
        assert_eq!(text, ["push rbp", "mov rbp,rsp", "pop rbp", "ret"]);
        let inside = around(&code, 0x1002); // in the middle of an instruction
        assert_eq!(inside[0].address, 0x1002);
        assert!(around(&code, 0x2000).is_empty());
    }
}
