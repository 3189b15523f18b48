//! Registers between setups, reports and the engine.

use harness_sandbox::registers::{Arm64, X86_32, X86_64};
use harness_sandbox::{Architecture, Registers};
use unicorn_engine::RegisterX86::{
    EAX, EBP, EBX, ECX, EDI, EDX, EFLAGS, EIP, ESI, ESP, FPCW, MXCSR, R8, R9, R10, R11, R12, R13,
    R14, R15, RAX, RBP, RBX, RCX, RDI, RDX, RFLAGS, RIP, RSI, RSP, ST0, XMM0,
};
use unicorn_engine::{RegisterARM64, RegisterX86, Unicorn, uc_error};

/// The general registers of AMD64 by their numbers in instructions.
pub(crate) const X86_64_GENERAL: [RegisterX86; 16] =
    [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15];

/// The general registers of 32-bit x86, for which the engine does not take the names of their wider forms.
pub(crate) const X86_32_GENERAL: [RegisterX86; 8] = [EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI];

/// `x0 … x30`.
pub(crate) const ARM64_X: [RegisterARM64; 31] = {
    use RegisterARM64::{
        X0, X1, X2, X3, X4, X5, X6, X7, X8, X9, X10, X11, X12, X13, X14, X15, X16, X17, X18, X19,
        X20, X21, X22, X23, X24, X25, X26, X27, X28, X29, X30,
    };
    [
        X0, X1, X2, X3, X4, X5, X6, X7, X8, X9, X10, X11, X12, X13, X14, X15, X16, X17, X18, X19,
        X20, X21, X22, X23, X24, X25, X26, X27, X28, X29, X30,
    ]
};

/// Puts `registers` into the processor.
pub(crate) fn write<D>(uc: &mut Unicorn<'_, D>, registers: &Registers) -> Result<(), uc_error> {
    match registers {
        Registers::X86_64(it) => {
            for (register, value) in X86_64_GENERAL.into_iter().zip(it.general) {
                uc.reg_write(register, value)?;
            }
            uc.reg_write(RIP, it.rip)?;
            uc.reg_write(RFLAGS, it.rflags)?;
            write_float(uc, &it.xmm, it.mxcsr, it.fpu_control)
        }
        Registers::X86_32(it) => {
            for (register, value) in X86_32_GENERAL.into_iter().zip(it.general) {
                uc.reg_write(register, value.into())?;
            }
            uc.reg_write(EIP, it.eip.into())?;
            uc.reg_write(EFLAGS, it.eflags.into())?;
            write_float(uc, &it.xmm, it.mxcsr, it.fpu_control)
        }
        Registers::Arm64(it) => {
            for (register, value) in ARM64_X.into_iter().zip(it.x) {
                uc.reg_write(register, value)?;
            }
            uc.reg_write(RegisterARM64::SP, it.sp)?;
            uc.reg_write(RegisterARM64::PC, it.pc)?;
            uc.reg_write(RegisterARM64::NZCV, it.nzcv)?;
            uc.reg_write(RegisterARM64::FPCR, it.fpcr)?;
            for (number, value) in (RegisterARM64::V0 as i32..).zip(it.v) {
                uc.reg_write_long(number, &value.to_le_bytes())?;
            }
            Ok(())
        }
    }
}

fn write_float<D>(
    uc: &mut Unicorn<'_, D>,
    xmm: &[u128],
    mxcsr: u32,
    fpu_control: u16,
) -> Result<(), uc_error> {
    for (number, value) in (XMM0 as i32..).zip(xmm) {
        uc.reg_write_long(number, &value.to_le_bytes())?;
    }
    uc.reg_write(MXCSR, mxcsr.into())?;
    uc.reg_write(FPCW, fpu_control.into())
}

/// The registers of the processor.
pub(crate) fn read<D>(
    uc: &Unicorn<'_, D>,
    architecture: Architecture,
) -> Result<Registers, uc_error> {
    Ok(match architecture {
        Architecture::X86_64 => Registers::X86_64(Box::new(read_x86_64(uc)?)),
        Architecture::X86_32 => Registers::X86_32(Box::new(read_x86_32(uc)?)),
        Architecture::Arm64 => Registers::Arm64(Box::new(read_arm64(uc)?)),
    })
}

fn read_x86_64<D>(uc: &Unicorn<'_, D>) -> Result<X86_64, uc_error> {
    let mut it = X86_64 {
        rip: uc.reg_read(RIP)?,
        rflags: uc.reg_read(RFLAGS)?,
        mxcsr: uc.reg_read(MXCSR)? as u32,
        fpu_control: uc.reg_read(FPCW)? as u16,
        ..X86_64::default()
    };
    for (value, register) in it.general.iter_mut().zip(X86_64_GENERAL) {
        *value = uc.reg_read(register)?;
    }
    read_vectors(uc, XMM0 as i32, &mut it.xmm)?;
    Ok(it)
}

fn read_x86_32<D>(uc: &Unicorn<'_, D>) -> Result<X86_32, uc_error> {
    let mut it = X86_32 {
        eip: uc.reg_read(EIP)? as u32,
        eflags: uc.reg_read(EFLAGS)? as u32,
        mxcsr: uc.reg_read(MXCSR)? as u32,
        fpu_control: uc.reg_read(FPCW)? as u16,
        ..X86_32::default()
    };
    for (value, register) in it.general.iter_mut().zip(X86_32_GENERAL) {
        *value = uc.reg_read(register)? as u32;
    }
    read_vectors(uc, XMM0 as i32, &mut it.xmm)?;
    it.st0.copy_from_slice(&uc.reg_read_long(ST0)?);
    Ok(it)
}

fn read_arm64<D>(uc: &Unicorn<'_, D>) -> Result<Arm64, uc_error> {
    let mut it = Arm64 {
        sp: uc.reg_read(RegisterARM64::SP)?,
        pc: uc.reg_read(RegisterARM64::PC)?,
        nzcv: uc.reg_read(RegisterARM64::NZCV)?,
        fpcr: uc.reg_read(RegisterARM64::FPCR)?,
        ..Arm64::default()
    };
    for (value, register) in it.x.iter_mut().zip(ARM64_X) {
        *value = uc.reg_read(register)?;
    }
    read_vectors(uc, RegisterARM64::V0 as i32, &mut it.v)?;
    Ok(it)
}

fn read_vectors<D>(uc: &Unicorn<'_, D>, first: i32, values: &mut [u128]) -> Result<(), uc_error> {
    for (number, value) in (first..).zip(values) {
        let bytes = uc.reg_read_long(number)?;
        *value = bytes.as_ref().try_into().map_or(0, u128::from_le_bytes);
    }
    Ok(())
}
