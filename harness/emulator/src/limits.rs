//! Every cap of this program and why it is what it is.

/// Instructions between two looks at the clocks: at tens of millions a second, a budget of time is kept to about
/// a millisecond, and looking costs nothing that can be measured.
pub(crate) const CLOCK_INTERVAL: u64 = 1 << 16;

/// Most bytes of memory of one setup: four times the largest program, so that a mistake is refused before it
/// fills the machine.
pub(crate) const MAX_MEMORY: u64 = 1 << 30;

/// Runs after which the buffer of translated code is emptied: translations of old code are only unlinked when new
/// code arrives, and would fill a gigabyte before Unicorn empties it by itself.
pub(crate) const RUNS_PER_FLUSH: u32 = 512;

/// Longest instruction of x86, in bytes.
pub(crate) const MAX_INSTRUCTION: usize = 15;

/// Times that emulation may stop without having run an instruction, for no reason that is known.
pub(crate) const MAX_STALLS: u32 = 4;
