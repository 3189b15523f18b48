//! Every cap of this crate and why it is what it is.

/// What fresh stacks and unused registers hold: recognisable in a dump and, as an address, non-canonical on
/// AMD64 and unmapped on ARM64, so that using it traps.
pub const POISON: u64 = 0xbad0_c0de_bad0_c0de;

/// Pages are this large on every host that is supported.
pub const PAGE: u64 = 4096;

/// Bytes of stack that a stop reports: enough for a call chain of some depth and for the words above it.
pub const STACK_WINDOW: usize = 512;

/// Most instruction addresses in a trace: 8 MiB of them.
pub const MAX_TRACE: usize = 1 << 20;

/// Bytes of a stack: code under test is not deep, and a stack overflow should be quick.
pub const STACK_SIZE: u64 = 256 << 10;

/// Most calls at once: each is a thread with a stack of its own.
pub const MAX_THREADS: usize = 64;

/// Lowest address of a native run. Nothing of the zygote lies in `ARENA_LOW..ARENA_HIGH`, with or without
/// AddressSanitizer, so that everything else can be unmapped in two steps with constant arguments.
pub const ARENA_LOW: u64 = 0x2000_0000_0000;

/// End of the addresses of a native run.
pub const ARENA_HIGH: u64 = 0x5000_0000_0000;
