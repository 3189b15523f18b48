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

/// End of the addresses of programs on 64-bit processors: half of what has 48 bits belongs to kernels.
pub const USER_END: u64 = 1 << 47;

/// Where control arrives when a call in a 64-bit program returns: in the first MiB of the arena, which the
/// native machine keeps for itself.
pub const LANDING: u64 = ARENA_LOW + 0xf00;

/// Lowest address of stacks and buffers of 64-bit programs. They lie close together so that a child needs few
/// page tables.
pub const WORK_LOW: u64 = ARENA_LOW + (1 << 20);

/// Where control arrives when a call in a 32-bit program returns: above what modules are usually linked to.
pub const LANDING_32: u64 = 0xc000_0f00;

/// Lowest address of stacks and buffers of 32-bit programs.
pub const WORK_LOW_32: u64 = 0xc010_0000;

/// Bytes of addresses from `WORK_LOW` (`WORK_LOW_32`) that stacks and buffers may take: the most threads with
/// the largest buffers fit, and modules know where not to lie.
pub const WORK_SIZE: u64 = 0x3000_0000;

/// Addresses left free around every stack and buffer: an index that is a little off, or a stack frame of some
/// size, meets no other memory.
pub const GUARD: u64 = 16 * PAGE;

/// Bytes above a call's arguments that belong to the caller and are checked afterwards: all that a stop
/// reports, so that the window never ends early.
pub const CALLER_AREA: u64 = STACK_WINDOW as u64;

/// Most arguments of a call. With the largest of them on the stack there is still room for words of the caller
/// in what a stop reports.
pub const MAX_ARGUMENTS: usize = 48;

/// Most bytes of one buffer: more than any case needs, and every one is copied for each call.
pub const MAX_BUFFER: usize = 1 << 20;

/// Most bytes of memory in segments: a mutated file may ask for gigabytes.
pub const MAX_IMAGE: u64 = 256 << 20;

/// An address that is no further than this from a region is named by that region.
pub const NEAR: u64 = 1 << 20;

/// Most bytes of a message from or to the emulator: a program of [`MAX_IMAGE`] and all buffers of a call.
pub const MAX_EMULATOR_FRAME: usize = 512 << 20;

/// Most setups that the emulator is sent before it answered: enough that it never waits, and their reports do
/// not fill memory.
pub const EMULATOR_WINDOW: usize = 64;

/// Bytes of the buffers on both ends of the emulator's pipes: a pipe takes no more at once on Linux.
pub const EMULATOR_BUFFER: usize = 64 << 10;

/// How long a starting emulator may take to say its version: it does nothing before.
pub const EMULATOR_START: std::time::Duration = std::time::Duration::from_secs(20);

/// How much longer than its budget of wall time a run may take until the emulator counts as hung: it also copies
/// memory, translates code, and may have to wait for a processor.
pub const EMULATOR_GRACE: std::time::Duration = std::time::Duration::from_secs(20);

/// End of the addresses that processors with four levels of pages give to programs.
pub const ABOVE: u64 = 0x7fff_ffff_f000;

/// Most bytes that all regions of a native run may hold together: the largest image and many buffers.
pub const MAX_NATIVE_BYTES: u64 = 0x3000_0000;

/// Most mappings of a native run. The kernel allows 65,530 for a process.
pub const MAX_PIECES: usize = 1024;

/// How often a zygote without work looks whether its client is still there.
#[cfg(target_os = "linux")]
pub(crate) const IDLE_CHECK: rustix::time::Timespec =
    rustix::time::Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

/// How long a zygote looks for the next request before it sleeps: waking it costs tens of microseconds, and a client
/// that has many cases asks again at once.
pub(crate) const ZYGOTE_SPINS: std::time::Duration = std::time::Duration::from_micros(100);

/// How long a client looks for the answer before it sleeps: a little longer than a short case takes. It lets others
/// have the processor between two looks.
pub(crate) const CLIENT_SPINS: std::time::Duration = std::time::Duration::from_micros(150);

/// How much longer than its own budgets a case may take before the zygote is taken for lost.
pub(crate) const GRACE: std::time::Duration = std::time::Duration::from_secs(10);

/// Most bytes of a native run's memory that are kept for the next one: those of ordinary cases, so that only large
/// ones pay for giving pages back.
pub(crate) const RETAINED: u64 = 8 << 20;

/// Zero bytes at the end of a slice from which on giving the pages back is cheaper than writing zeros.
pub(crate) const PUNCH: usize = 1 << 20;

/// Most cases that share a process in a batch: what spoils one costs at most so many that are run again.
pub const MAX_BATCH: usize = 1024;

/// From here on, up to the end of the arena, a batch keeps what its cases find and leave.
pub const BATCH_LOW: u64 = 0x4f00_0000_0000;
