//! Names of signals, their codes, and system calls.

use harness_sandbox::{SystemCall, SystemCallAbi};
use nix::libc;
use nix::sys::signal::Signal;

/// `SIGSEGV`.
pub(super) fn signal(number: i32) -> String {
    Signal::try_from(number)
        .map_or_else(|_| format!("signal {number}"), |it| it.as_str().to_owned())
}

/// `SEGV_MAPERR`, where the code has a name.
pub(super) fn code(signal: i32, code: i32) -> Option<&'static str> {
    const KERNEL: i32 = 0x80; // SI_KERNEL, for every signal
    Some(match (signal, code) {
        (_, KERNEL) => "SI_KERNEL",
        (libc::SIGSEGV, 1) => "SEGV_MAPERR",
        (libc::SIGSEGV, 2) => "SEGV_ACCERR",
        (libc::SIGBUS, 1) => "BUS_ADRALN",
        (libc::SIGBUS, 2) => "BUS_ADRERR",
        (libc::SIGFPE, 1) => "FPE_INTDIV",
        (libc::SIGFPE, 2) => "FPE_INTOVF",
        (libc::SIGFPE, 3) => "FPE_FLTDIV",
        (libc::SIGFPE, 4) => "FPE_FLTOVF",
        (libc::SIGFPE, 5) => "FPE_FLTUND",
        (libc::SIGFPE, 6) => "FPE_FLTRES",
        (libc::SIGFPE, 7) => "FPE_FLTINV",
        (libc::SIGILL, 1) => "ILL_ILLOPC",
        (libc::SIGILL, 2) => "ILL_ILLOPN",
        (libc::SIGILL, 5) => "ILL_PRVOPC",
        (libc::SIGTRAP, 1) => "TRAP_BRKPT",
        (libc::SIGTRAP, 2) => "TRAP_TRACE",
        _ => return None,
    })
}

/// The name of a system call, where its number has one.
pub(crate) fn system_call(call: &SystemCall) -> Option<&'static str> {
    let number = usize::try_from(call.number).ok()?;
    match call.abi {
        SystemCallAbi::X86_64 => syscalls::x86_64::Sysno::new(number).map(|it| it.name()),
        SystemCallAbi::I386 => syscalls::x86::Sysno::new(number).map(|it| it.name()),
        SystemCallAbi::Arm64 => syscalls::aarch64::Sysno::new(number).map(|it| it.name()),
    }
}

/// What a system call is made with.
pub(super) fn door(abi: SystemCallAbi) -> &'static str {
    match abi {
        SystemCallAbi::X86_64 => "syscall",
        SystemCallAbi::I386 => "int 0x80 or sysenter",
        SystemCallAbi::Arm64 => "svc",
    }
}
