//! What differs between processors: one file each, with the same names.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(super) use aarch64::*;
#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::*;

use super::shared::STUB;

#[expect(unsafe_code, reason = "code that is copied, never called where it lies")]
unsafe extern "C" {
    static harness_sandbox_stub: [[u8; 4096]; 2];
}

/// The code of the stub page, and that of the page that forks.
#[expect(unsafe_code, reason = "bytes of this program")]
pub(super) fn pages() -> &'static [[u8; 4096]; 2] {
    // SAFETY: the assembler fills exactly this many bytes, in a part of the program that is never written.
    unsafe { &harness_sandbox_stub }
}

/// Addresses after the two system calls of the stub, as seccomp sees them.
pub(super) fn sites() -> [u64; 2] {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&pages()[0][SITES as usize..SITES as usize + 4]);
    let [a, b, c, d] = bytes;
    [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])].map(|at| STUB + u64::from(at))
}
