//! Leaves the operating system's side of the processor, where an engine starts, so that code has no more rights
//! than in a process under Linux.
//!
//! The engine refuses to load the segments of user mode, so it is entered as an operating system would:
//! by returning from a system call or an exception.

use harness_sandbox::Architecture;
use unicorn_engine::{Prot, RegisterARM64, RegisterARM64CP, RegisterX86, Unicorn, uc_error};

/// Where the instruction that enters user mode lies, for a moment.
const PAGE: u64 = 0x1000;
const SIZE: u64 = 0x1000;

/// Where it leads: nothing runs there.
const EXIT: u64 = PAGE + 0x800;

/// Model-specific registers of x86.
const IA32_SYSENTER_CS: u32 = 0x174;
const IA32_EFER: u32 = 0xc000_0080;
const IA32_STAR: u32 = 0xc000_0081;

/// Bits of `IA32_EFER`: system calls, long mode, long mode active.
const EFER: u64 = 1 | 1 << 8 | 1 << 10;

/// `sysret` adds 16 and 8 to this: the selectors of Linux for 64-bit code (0x33) and data (0x2b).
const SYSRET_BASE: u64 = 0x23 << 48;

/// `sysexit` adds 16 and 24 to this: the selectors of Linux for 32-bit code (0x23) and data (0x2b).
const SYSENTER_CS: u64 = 0x10;

/// The bit of `CR0` for it.
const CR0_NE: u64 = 1 << 5;

/// Bits of `SCTLR_EL1` that Linux sets for processes: they may use `dc zva`, read `ctr_el0`, wait for interrupts and
/// events, and clean caches.
const SCTLR_EL1: u64 = 1 << 14 | 1 << 15 | 1 << 16 | 1 << 18 | 1 << 26;

/// The flag that is always set.
const FLAGS: u64 = 2;

/// Puts the processor into user mode.
pub(super) fn enter<D>(
    uc: &mut Unicorn<'_, D>,
    architecture: Architecture,
) -> Result<(), uc_error> {
    match architecture {
        Architecture::X86_64 => {
            write_msr(uc, IA32_EFER, EFER)?;
            write_msr(uc, IA32_STAR, SYSRET_BASE)?;
            uc.reg_write(RegisterX86::RCX, EXIT)?;
            uc.reg_write(RegisterX86::R11, FLAGS)?;
            float_exceptions(uc)?;
            run(uc, b"\x48\x0f\x07") // sysretq
        }
        Architecture::X86_32 => {
            write_msr(uc, IA32_SYSENTER_CS, SYSENTER_CS)?;
            uc.reg_write(RegisterX86::EDX, EXIT)?;
            uc.reg_write(RegisterX86::ECX, EXIT)?;
            float_exceptions(uc)?;
            run(uc, b"\x0f\x35") // sysexit
        }
        Architecture::Arm64 => {
            let mut control = RegisterARM64CP { crn: 1, crm: 0, op0: 3, op1: 0, op2: 0, val: 0 };
            uc.reg_read_arm64_coproc(&mut control)?;
            control.val |= SCTLR_EL1;
            uc.reg_write_arm64_coproc(&control)?;
            uc.reg_write(RegisterARM64::X0, EXIT)?;
            uc.reg_write(RegisterARM64::X1, 0)?; // EL0, in 64 bits
            // msr elr_el1, x0; msr spsr_el1, x1; eret
            run(uc, b"\x20\x40\x18\xd5\x01\x40\x18\xd5\xe0\x03\x9f\xd6")
        }
    }
}

/// Has exceptions of the x87 unit reported as exceptions, and not as interrupts of a device that is not there.
fn float_exceptions<D>(uc: &mut Unicorn<'_, D>) -> Result<(), uc_error> {
    let control = uc.reg_read(RegisterX86::CR0)?;
    uc.reg_write(RegisterX86::CR0, control | CR0_NE)
}

fn write_msr<D>(uc: &mut Unicorn<'_, D>, number: u32, value: u64) -> Result<(), uc_error> {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_ne_bytes());
    bytes[8..].copy_from_slice(&value.to_ne_bytes());
    uc.reg_write_long(RegisterX86::MSR, &bytes)
}

fn run<D>(uc: &mut Unicorn<'_, D>, code: &[u8]) -> Result<(), uc_error> {
    uc.mem_map(PAGE, SIZE, Prot::ALL)?;
    uc.mem_write(PAGE, code)?;
    uc.emu_start(PAGE, EXIT, 0, 0)?;
    uc.ctl_flush_tb()?;
    uc.mem_unmap(PAGE, SIZE)
}
