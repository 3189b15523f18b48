//! What calls came back with: results by type, buffers from memory.

use harness_protocol::value::Address;
use harness_protocol::{HexBytes, Returned, TypeName};

use crate::machine::{Region, Setup, Stop};
use crate::{Plan, Program, Registers};

use super::Answer;
use super::extended;

/// The kept regions and their content after the run.
pub(super) struct Memory<'a> {
    kept: Vec<(&'a Region, &'a [u8])>,
}

impl<'a> Memory<'a> {
    pub(super) fn new(setup: &'a Setup, after: &'a [Vec<u8>]) -> Self {
        let regions = setup.regions.iter().filter(|region| region.kept);
        Self { kept: regions.zip(after.iter().map(Vec::as_slice)).collect() }
    }

    /// The kept regions with their content.
    pub(super) fn regions(&self) -> impl Iterator<Item = (&'a Region, &'a [u8])> {
        self.kept.iter().copied()
    }

    /// The kept region that holds a buffer; an empty one may stand at the region's end.
    pub(super) fn around(&self, address: u64) -> Option<(&'a Region, &'a [u8])> {
        self.regions()
            .find(|(region, _)| (region.address..=region.address + region.size).contains(&address))
    }

    /// The bytes of a buffer. They are missing only when the machine did not give them.
    fn buffer(&self, (address, len): (u64, usize)) -> Vec<u8> {
        let bytes = self.around(address).and_then(|(region, bytes)| {
            let start = (address - region.address) as usize;
            bytes.get(start..start + len)
        });
        bytes.unwrap_or_default().to_vec()
    }
}

/// What each call came back with. All of them landed.
pub(super) fn answers(
    program: &Program,
    plan: &Plan,
    stops: &[Stop],
    memory: &Memory<'_>,
) -> Vec<Answer> {
    let answer = |(stop, buffers): (&Stop, &Vec<(u64, usize)>)| Answer {
        value: value(program, buffers, plan.job.returns, &stop.registers),
        buffers: buffers.iter().map(|&buffer| HexBytes(memory.buffer(buffer))).collect(),
    };
    stops.iter().zip(&plan.buffers).map(answer).collect()
}

/// The result in the registers where conventions put results of its type: on each processor all
/// conventions agree.
fn value(
    program: &Program,
    buffers: &[(u64, usize)],
    returns: TypeName,
    registers: &Registers,
) -> Returned {
    let integer = integer(registers);
    match returns {
        TypeName::Void => Returned::Void,
        TypeName::Int8 => Returned::Int8 { value: integer as i8 },
        TypeName::Int16 => Returned::Int16 { value: integer as i16 },
        TypeName::Int32 => Returned::Int32 { value: integer as i32 },
        TypeName::Int64 => Returned::Int64 { value: integer.cast_signed() },
        TypeName::Float32 => Returned::Float32 { bits: float32(registers) },
        TypeName::Float64 => Returned::Float64 { bits: float64(registers) },
        TypeName::Pointer => Returned::Pointer(address(program, buffers, pointer(registers))),
        TypeName::StructRef => Returned::StructRef(address(program, buffers, pointer(registers))),
    }
}

fn integer(registers: &Registers) -> u64 {
    match registers {
        Registers::X86_64(it) => it.general[0],
        Registers::Arm64(it) => it.x[0],
        Registers::X86_32(it) => u64::from(it.general[2]) << 32 | u64::from(it.general[0]),
    }
}

fn pointer(registers: &Registers) -> u64 {
    match registers {
        Registers::X86_32(it) => it.general[0].into(),
        other => integer(other),
    }
}

fn float32(registers: &Registers) -> u32 {
    match registers {
        Registers::X86_64(it) => it.xmm[0] as u32,
        Registers::Arm64(it) => it.v[0] as u32,
        Registers::X86_32(it) => extended::to_f32(it.st0),
    }
}

fn float64(registers: &Registers) -> u64 {
    match registers {
        Registers::X86_64(it) => it.xmm[0] as u64,
        Registers::Arm64(it) => it.v[0] as u64,
        Registers::X86_32(it) => extended::to_f64(it.st0),
    }
}

/// An address in terms that both sides know.
fn address(program: &Program, buffers: &[(u64, usize)], address: u64) -> Address {
    if address == 0 {
        return Address::Null;
    }
    let into = |&(start, len): &(u64, usize)| (start..=start + len as u64).contains(&address);
    if let Some(index) = buffers.iter().position(into) {
        return Address::Buffer { index, offset: address - buffers[index].0 };
    }
    let mut segments = program.segments.iter();
    let base = program.segments.first().map_or(0, |first| first.address);
    if segments.any(|it| (it.address..it.address + it.size).contains(&address)) {
        return Address::Image { offset: address - base };
    }
    Address::Other { address }
}
