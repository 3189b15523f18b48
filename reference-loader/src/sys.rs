//! Everything that is asked of the operating system: anonymous memory, its protection, whole files.

pub(crate) mod pages;

use std::io;
use std::path::Path;

use memmap2::{Mmap, MmapMut};

/// `length` bytes of zeroed, private, writable memory that is not executable.
///
/// # Errors
/// When the system has no such memory to give.
pub(crate) fn map_writable(length: usize) -> io::Result<MmapMut> {
    MmapMut::map_anon(length)
}

/// Makes `memory` readable and executable and no longer writable, in one step.
///
/// x86 keeps its instruction cache coherent. On ARM64 Linux does so when a fresh page first becomes
/// executable, which is what happens here; another system on ARM64 would need an explicit flush.
///
/// # Errors
/// When a policy of the system forbids memory that was written to become executable. The memory is
/// unmapped then.
pub(crate) fn protect_executable(memory: MmapMut) -> io::Result<Mmap> {
    memory.make_exec()
}

/// The content of the file at `path`.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path)
}
