//! Setups for little pieces of code, and the machine that runs them.

use std::time::Duration;

use harness_protocol::trap::{Access, Cause};
use harness_sandbox::emulated::Emulated;
use harness_sandbox::limits::POISON;
use harness_sandbox::machine::Trap;
use harness_sandbox::registers::{Arm64, X86_32, X86_64};
use harness_sandbox::{
    Architecture, Budget, Fill, Machine, MachineCall, Permissions, Region, Registers, Setup,
    StopReason, Tracing,
};

/// Where things lie, above this much for each: low enough for 32 bits.
pub(crate) const CODE: u64 = 0x1000_0000;
pub(crate) const CONSTANTS: u64 = 0x1010_0000;
pub(crate) const DATA: u64 = 0x1020_0000;
pub(crate) const STACK: u64 = 0x1030_0000;
pub(crate) const STACK_SIZE: u64 = 0x4000;
pub(crate) const SP: u64 = STACK + STACK_SIZE - 0x200;
pub(crate) const LANDING: u64 = 0x1050_0f00;

/// Bytes of the data region: the last page is not whole.
pub(crate) const DATA_SIZE: u64 = 0x1f00;

fn region(name: &str, address: u64, size: u64, permissions: Permissions, bytes: &[u8]) -> Region {
    Region {
        name: name.into(),
        address,
        size,
        permissions,
        fill: Fill::Zero,
        offset: 0,
        bytes: bytes.to_vec(),
        kept: false,
    }
}

/// A setup that calls `code`.
pub(crate) fn setup(architecture: Architecture, code: &[u8]) -> Setup {
    let mut stack = region("stack", STACK, STACK_SIZE, Permissions::Rw, &[]);
    stack.fill = Fill::Poison;
    if architecture != Architecture::Arm64 {
        stack.offset = SP - STACK;
        stack.bytes = LANDING.to_le_bytes()[..architecture.pointer_size() as usize].to_vec();
    }
    let mut data = region("data", DATA, DATA_SIZE, Permissions::Rw, &[]);
    data.kept = true;
    data.fill = Fill::Poison;
    Setup {
        architecture,
        regions: vec![
            region("code", CODE, 0x1000, Permissions::Rx, code),
            region("constants", CONSTANTS, 0x1000, Permissions::R, b"constant"),
            data,
            stack,
        ],
        calls: vec![MachineCall { registers: registers(architecture) }],
        concurrent: false,
        landing: LANDING,
        budget: Budget {
            cpu: Duration::from_secs(60),
            wall: Duration::from_secs(60),
            instructions: Some(1_000_000),
        },
        tracing: Tracing::None,
        byte_bounds: false,
    }
}

/// Every register poisoned but those that a call needs.
pub(crate) fn registers(architecture: Architecture) -> Registers {
    match architecture {
        Architecture::X86_64 => {
            let mut it = X86_64 {
                rip: CODE,
                rflags: 0x202,
                mxcsr: 0x1f80,
                fpu_control: 0x37f,
                ..X86_64::default()
            };
            it.general = std::array::from_fn(|n| POISON + n as u64);
            it.xmm = std::array::from_fn(|n| u128::from(POISON) << 32 | n as u128);
            it.general[4] = SP;
            Registers::X86_64(Box::new(it))
        }
        Architecture::X86_32 => {
            let mut it = X86_32 {
                eip: CODE as u32,
                eflags: 0x202,
                mxcsr: 0x1f80,
                fpu_control: 0x37f,
                ..X86_32::default()
            };
            it.general = std::array::from_fn(|n| POISON as u32 + n as u32);
            it.xmm = std::array::from_fn(|n| u128::from(POISON) << 32 | n as u128);
            it.general[4] = SP as u32;
            Registers::X86_32(Box::new(it))
        }
        Architecture::Arm64 => {
            let mut it = Arm64 { pc: CODE, sp: SP, nzcv: 0, fpcr: 0, ..Arm64::default() };
            it.x = std::array::from_fn(|n| POISON + n as u64);
            it.v = std::array::from_fn(|n| u128::from(POISON) << 32 | n as u128);
            it.x[30] = LANDING;
            Registers::Arm64(Box::new(it))
        }
    }
}

/// The words of ARM64 code.
pub(crate) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// What a trap should say.
pub(crate) type Expected = (Cause, Option<(Access, u64)>, Option<(i32, i32)>);

/// Runs `code` and holds it to a trap, to where it is, and to the instructions before it.
#[track_caller]
pub(crate) fn traps(
    machine: &mut Emulated,
    name: &str,
    setup: &Setup,
    (cause, memory, signal): Expected,
    offset: u64,
    instructions: u64,
) {
    let report = machine.run(setup).expect("the emulator runs");
    let expected = Trap {
        cause,
        access: memory.map(|(access, _)| access),
        address: memory.map(|(_, address)| address),
        signal,
    };
    let stop = &report.stops[0];
    assert_eq!(stop.reason, StopReason::Trapped(expected), "{name}: {:x?}", stop.registers.pc());
    assert_eq!(stop.registers.pc(), CODE + offset, "{name}: where");
    assert_eq!(report.instructions, Some(instructions), "{name}: instructions");
}

/// Bytes of memory that a process has in use.
pub(crate) fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says it");
    1024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
}
