//! The memory that client and zygote share, and whose turn it is to write to it.
//!
//! One file without a name holds everything: what the client asks, the code and data of the case, the answer.
//! The client writes while no request is open; the zygote (and through it the case) while one is. `request` and
//! `done` pass the turn on.

use std::io;
use std::mem::{offset_of, size_of};
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use super::arch::{Context, RawRegisters};
use crate::limits::{
    ARENA_LOW, MAX_NATIVE_BYTES, MAX_PIECES, MAX_THREADS, MAX_TRACE, PAGE, STACK_SIZE, STACK_WINDOW,
};

/// The page of code that starts and ends cases.
pub(super) const STUB_AT: u64 = 0;
/// The registers of each call, for the stub to load.
pub(super) const CONTEXTS_AT: u64 = PAGE;
/// [`Control`].
pub(super) const CONTROL_AT: u64 = 0x4_0000;
/// The list of what a case's process does first.
pub(super) const SCRIPT_AT: u64 = 0x8_0000;
/// [`Values`].
pub(super) const VALUES_AT: u64 = SCRIPT_AT + (SCRIPT_LINES * size_of::<Line>()) as u64;
/// The page of code that forks and works through the list.
pub(super) const FORK_AT: u64 = 0xa_0000;
/// Addresses of traced instructions.
pub(super) const TRACE_AT: u64 = 0x10_0000;
/// Poison, as large as a stack.
pub(super) const POISON_AT: u64 = TRACE_AT + 8 * MAX_TRACE as u64;
/// What the regions of a case hold.
pub(super) const SLICES_AT: u64 = 0x200_0000;
/// Size of the file; only what is written takes memory.
pub(super) const FILE_SIZE: u64 = SLICES_AT + MAX_NATIVE_BYTES;

/// Lines that the list may have: mappings, five for each thread, and a dozen more.
pub(super) const SCRIPT_LINES: usize = 1536;
const _: () = assert!(SCRIPT_LINES >= MAX_PIECES + 5 * MAX_THREADS + 32);
/// Where the list is found, and behind it the values, in the zygote and until the process is emptied.
pub(super) const SCRIPT: u64 = ARENA_LOW - 0x10_0000;
/// Where the values are found.
pub(super) const VALUES: u64 = SCRIPT + VALUES_AT - SCRIPT_AT;
/// Where the page is that forks.
pub(super) const FORK: u64 = ARENA_LOW - PAGE;

/// Where a case finds the stub page.
pub(super) const STUB: u64 = ARENA_LOW;
/// Where a case finds the contexts, readable only.
pub(super) const CONTEXTS: u64 = ARENA_LOW + CONTEXTS_AT;
/// Bytes of all contexts.
pub(super) const CONTEXTS_SIZE: u64 = (MAX_THREADS * size_of::<Context>()) as u64;
/// Where a case finds a page that it may write: the stub's own variables.
pub(super) const SCRATCH: u64 = ARENA_LOW + 0x5_0000;
/// Where the kernel writes what trapped.
pub(super) const SIGNAL_STACK: u64 = ARENA_LOW + 0x6_0000;
/// Bytes of that stack, one for each thread: a frame with AVX-512 takes 3.5 KiB (with AMX, which a process must ask
/// for, 11 KiB).
pub(super) const SIGNAL_STACK_SIZE: u64 = 0x2000;
/// Everything below this belongs to the machine.
pub(super) const MACHINE_END: u64 = ARENA_LOW + 0x10_0000;

const _: () =
    assert!(CONTEXTS_AT + CONTEXTS_SIZE <= CONTROL_AT && CONTEXTS + CONTEXTS_SIZE <= SCRATCH);
const _: () = assert!(CONTROL_AT + (size_of::<Control>() as u64) <= SCRIPT_AT);
const _: () = assert!(VALUES_AT + PAGE <= FORK_AT && FORK_AT + PAGE <= TRACE_AT);
const _: () = assert!(size_of::<Values>() as u64 <= PAGE && VALUES + PAGE <= FORK);
const _: () = assert!(SIGNAL_STACK + SIGNAL_STACK_SIZE * MAX_THREADS as u64 <= MACHINE_END);
const _: () = assert!(POISON_AT + STACK_SIZE <= SLICES_AT);

/// What the zygote is asked for.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// One case in a process of its own.
    Run = 1,
    /// [`Control::rounds`] times: fork, exit, wait, and nothing else. What a case is measured against.
    Bare = 2,
    /// Several cases in one process, as long as they return.
    Batch = 3,
}

/// Memory to map for a case.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Piece {
    pub(super) address: u64,
    pub(super) size: u64,
    /// Offset in the file.
    pub(super) at: u64,
    /// `PROT_…`.
    pub(super) protection: u32,
    /// Whether what the case writes stays its own.
    pub(super) private: u32,
}

/// One step of the list.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Line {
    pub(super) number: u32,
    pub(super) kind: u32,
    pub(super) arguments: [u64; 6],
    pub(super) tag: u64,
}

/// What the system calls of the list point to.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Values {
    cpu: libc::itimerval,
    wall: libc::itimerval,
    seconds: libc::rlimit,
    none: libc::rlimit,
    stacks: [libc::stack_t; MAX_THREADS],
}

impl Values {
    /// Those of a case, but for the signal stacks.
    pub(super) fn set(&mut self, control: &Control) {
        let seconds = control.cpu_us / 1_000_000 + 2; // the timer comes first; this is in case it does not
        self.cpu = timer(control.cpu_us);
        self.wall = timer(control.wall_us);
        self.seconds = libc::rlimit { rlim_cur: seconds, rlim_max: seconds };
        self.none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    }

    /// Describes the signal stack of a call; the description's address.
    pub(super) fn signal_stack(&mut self, index: usize, start: u64) -> u64 {
        if let Some(stack) = self.stacks.get_mut(index) {
            *stack = libc::stack_t {
                ss_sp: std::ptr::without_provenance_mut(start as usize),
                ss_flags: 0,
                ss_size: SIGNAL_STACK_SIZE as usize,
            };
        }
        VALUES + (offset_of!(Self, stacks) + index * size_of::<libc::stack_t>()) as u64
    }
}

/// Addresses of the values.
pub(super) const CPU: u64 = VALUES + offset_of!(Values, cpu) as u64;
pub(super) const WALL: u64 = VALUES + offset_of!(Values, wall) as u64;
pub(super) const SECONDS: u64 = VALUES + offset_of!(Values, seconds) as u64;
pub(super) const NONE: u64 = VALUES + offset_of!(Values, none) as u64;

/// A timer that ends once.
fn timer(us: u64) -> libc::itimerval {
    let value = libc::timeval {
        tv_sec: (us / 1_000_000).cast_signed(),
        tv_usec: (us % 1_000_000).cast_signed(),
    };
    libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: value }
}

/// Why a setup did not get as far as its first instruction; all zero if it did.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Failure {
    /// Which step, see [`super::script::STEPS`].
    pub(super) step: u32,
    pub(super) errno: i32,
    /// Which piece or call.
    pub(super) index: u32,
}

/// How a call ended, as the kernel says it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct RawStop {
    pub(super) why: u32,
    pub(super) signal: i32,
    pub(super) code: i32,
    /// Whether `trap`, `error` and `fault` were found.
    pub(super) has_frame: u32,
    /// `si_addr`; for a system call, its number and the audit architecture.
    pub(super) address: u64,
    pub(super) system_call: u32,
    pub(super) audit: u32,
    pub(super) trap: u64,
    pub(super) error: u64,
    pub(super) fault: u64,
    /// How many bytes before its program counter the instruction lies: breakpoints are told of afterwards.
    pub(super) back: u64,
    pub(super) registers: RawRegisters,
    pub(super) stack_length: u32,
    pub(super) code_length: u32,
    pub(super) stack: [u8; STACK_WINDOW],
    pub(super) code_bytes: [u8; CODE_WINDOW],
}

/// The longest instruction.
pub(super) const CODE_WINDOW: usize = 16;

/// [`RawStop::why`].
pub(super) mod why {
    pub(in crate::native) const SIGNAL: u32 = 1;
    pub(in crate::native) const KILLED: u32 = 2;
    pub(in crate::native) const ABANDONED: u32 = 3;
}

/// Question and answer. Plain numbers, so that any content is a value.
#[repr(C)]
pub(super) struct Control {
    /// Number of the open request; the client adds one.
    pub(super) request: AtomicU32,
    /// Number of the last request that was answered; the zygote sets it. 1 is the answer to having started.
    pub(super) done: AtomicU32,
    /// [`super::containment`] in force.
    pub(super) containment: u32,
    /// Process id of the zygote, for those who look at its descriptors.
    pub(super) zygote: u32,
    /// `Command`.
    pub(super) command: u32,
    pub(super) pieces: u32,
    pub(super) calls: u32,
    pub(super) concurrent: u32,
    pub(super) rounds: u64,
    pub(super) entry: u64,
    pub(super) trace_limit: u64,
    pub(super) cpu_us: u64,
    pub(super) wall_us: u64,
    pub(super) piece: [Piece; MAX_PIECES],
    pub(super) failure: Failure,
    pub(super) stops: u32,
    pub(super) traced: u64,
    pub(super) trace_cut: u32,
    pub(super) cpu_ns: u64,
    pub(super) elapsed_ns: u64,
    /// Whether a batch came to its end.
    pub(super) batch_ended: u32,
    /// Address of the step under way when a batch was stopped before; written by the case.
    pub(super) batch_at: u64,
    pub(super) stop: [RawStop; MAX_THREADS],
}

/// The parts of the file but the slices.
pub(super) struct Parts<'a> {
    /// Question and answer.
    pub(super) control: &'a mut Control,
    /// The registers of the calls.
    pub(super) contexts: &'a mut [Context; MAX_THREADS],
    /// The list of what the process does first.
    pub(super) lines: &'a mut [Line; SCRIPT_LINES],
    /// What the list points to.
    pub(super) values: &'a mut Values,
    /// Room for the addresses of traced instructions.
    pub(super) trace: &'a mut [u64],
}

/// A mapping of the file, or of its first part.
pub(super) struct Shared {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping is only reached through this value, whoever holds it.
#[expect(unsafe_code, reason = "memory shared with another process")]
unsafe impl Send for Shared {}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("length", &self.length).finish()
    }
}

/// Makes the file.
///
/// # Errors
/// When the system has none to give.
pub(super) fn file() -> io::Result<OwnedFd> {
    let sealing = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let executable = MFdFlags::from_bits_retain(nix::libc::MFD_EXEC);
    let fd = memfd_create(c"harness-case", sealing | executable)
        .or_else(|_| memfd_create(c"harness-case", sealing))?; // kernels before 6.3 do not know the flag
    nix::unistd::ftruncate(&fd, FILE_SIZE.cast_signed())?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&fd, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(fd)
}

/// Whether this descriptor is such a file.
pub(super) fn is_file(fd: &OwnedFd) -> bool {
    let size = nix::sys::stat::fstat(fd).map(|stat| stat.st_size);
    let seals = fcntl(fd, FcntlArg::F_GET_SEALS).map(SealFlag::from_bits_truncate);
    size == Ok(FILE_SIZE.cast_signed()) && seals.is_ok_and(|s| s.contains(SealFlag::F_SEAL_SHRINK))
}

#[expect(unsafe_code, reason = "memory shared with another process")]
impl Shared {
    /// Maps `length` bytes from the file's start.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn map(fd: &OwnedFd, length: u64) -> io::Result<Self> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let size = length.try_into().map_err(io::Error::other)?;
        let both = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE;
        // SAFETY: a new mapping at an address that the kernel chooses touches nothing that exists.
        let start = unsafe { mmap(None, size, both, flags, fd, 0) }?;
        Ok(Self { start: start.cast(), length })
    }

    /// Question and answer. To be used for one turn at a time: see the module's text.
    pub(super) fn control(&mut self) -> &mut Control {
        self.parts().control
    }

    /// `length` bytes at `at`.
    pub(super) fn bytes(&mut self, at: u64, length: usize) -> &mut [u8] {
        let at = at as usize;
        assert!(at.checked_add(length).is_some_and(|end| end <= self.length), "mapped too little");
        // SAFETY: the assertion says that it lies inside the mapping.
        let place = unsafe { self.start.add(at) };
        // SAFETY: inside the mapping, valid for any content, ours during our turn.
        unsafe { std::slice::from_raw_parts_mut(place.as_ptr(), length) }
    }

    /// Writes a context anywhere in the file.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn write_context(&mut self, at: u64, context: &Context) {
        let size = size_of::<Context>();
        // SAFETY: a struct of numbers without padding, borrowed for as long as the slice is.
        let bytes = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(context).cast(), size) };
        self.bytes(at, size).copy_from_slice(bytes);
    }

    /// Reads what the stub saved of the registers.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn saved(&mut self, at: u64) -> super::arch::Saved {
        let bytes = self.bytes(at, size_of::<super::arch::Saved>());
        // SAFETY: as many bytes as it has, which may be any numbers.
        unsafe { bytes.as_ptr().cast::<super::arch::Saved>().read_unaligned() }
    }

    /// All parts but the slices.
    pub(super) fn parts(&mut self) -> Parts<'_> {
        assert!(POISON_AT as usize <= self.length, "mapped too little");
        let at = |offset: u64| {
            // SAFETY: the assertion says that all of them lie inside the mapping.
            unsafe { self.start.add(offset as usize) }
        };
        let [control, contexts, lines, values, trace] =
            [CONTROL_AT, CONTEXTS_AT, SCRIPT_AT, VALUES_AT, TRACE_AT].map(at);
        Parts {
            // SAFETY: aligned (a page), inside the mapping, valid for any content; ours during our turn.
            control: unsafe { control.cast::<Control>().as_mut() },
            // SAFETY: as above; no two overlap (asserted where their places are named).
            contexts: unsafe { contexts.cast::<[Context; MAX_THREADS]>().as_mut() },
            // SAFETY: as above.
            lines: unsafe { lines.cast::<[Line; SCRIPT_LINES]>().as_mut() },
            // SAFETY: as above.
            values: unsafe { values.cast::<Values>().as_mut() },
            // SAFETY: as above.
            trace: unsafe { std::slice::from_raw_parts_mut(trace.as_ptr().cast(), MAX_TRACE) },
        }
    }
}

#[expect(unsafe_code, reason = "memory shared with another process")]
impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: this value's own mapping, of that length; nobody can hold a reference any more.
        let _ = unsafe { munmap(self.start.cast(), self.length) };
    }
}
