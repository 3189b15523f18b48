//! What a case's process does before its first instruction: a list of system calls, written by the zygote.
//!
//! The child of a fork inherits none of the zygote's memory (all of it is marked so), hence no code of Rust's and no
//! stack. A few instructions in a page of their own fork, and in the child make the system calls of the list. That
//! page, like the list, lies right below the arena: the last step unmaps both along with everything else that is
//! outside the arena.

use nix::errno::Errno;
use nix::libc;

use super::arch::{self, Context};
use super::shared::{
    CONTEXTS, CPU, Control, Failure, Line, NONE, SCRATCH, SCRIPT, SCRIPT_LINES, SECONDS,
    SIGNAL_STACK, SIGNAL_STACK_SIZE, STUB, Values, WALL,
};
use super::threads::ARRIVED;
use crate::limits::PAGE;

/// What can go wrong, by [`Failure::step`] − 1.
pub(super) const STEPS: [&str; 9] = [
    "being traced",
    "ending together with its parent",
    "mapping memory",
    "closing files",
    "limiting resources",
    "setting timers",
    "starting threads",
    "unmapping all else",
    "turning system calls away",
];

pub(super) const TRACED: u32 = 1;
const TOGETHER: u32 = 2;
const MAPPED: u32 = 3;
const CLOSED: u32 = 4;
const LIMITED: u32 = 5;
const TIMED: u32 = 6;
const THREADS: u32 = 7;
pub(super) const UNMAPPED: u32 = 8;
const TURNED_AWAY: u32 = 9;

/// What a line does: a system call that must not fail.
const CALL: u32 = 0;
/// A system call that may fail.
const TRY: u32 = 1;
/// A system call that makes a thread, which goes on at the line that the tag names.
const CLONE: u32 = 2;
/// Leaves for an address with two numbers.
const LEAVE: u32 = 3;
/// Stops for the tracer.
const BREAK: u32 = 4;
/// Waits until a word has a value.
const AWAIT: u32 = 5;
/// Goes on at another line.
const GO_ON: u32 = 6;

/// Newer than libc's names.
const PR_SET_SYSCALL_USER_DISPATCH: u64 = 59;
const PR_SYS_DISPATCH_ON: u64 = 1;

/// The list under construction.
struct Script<'a> {
    lines: &'a mut [Line],
    next: usize,
}

impl Script<'_> {
    fn add(&mut self, kind: u32, number: libc::c_long, arguments: &[u64], tag: u64) {
        let mut all = [0; 6];
        all.iter_mut().zip(arguments).for_each(|(slot, argument)| *slot = *argument);
        if let Some(line) = self.lines.get_mut(self.next) {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            *line = Line { number, kind, arguments: all, tag };
        }
        self.next += 1;
    }

    /// A system call of which a failure says `step` and `index`.
    fn call(&mut self, step: u32, index: usize, number: libc::c_long, arguments: &[u64]) {
        self.add(CALL, number, arguments, u64::from(step) << 32 | index as u64);
    }
}

/// Writes the list for the case that `control` describes; `file` is the descriptor of the shared file.
///
/// # Errors
/// When there are more lines than room.
pub(super) fn write(
    control: &Control,
    lines: &mut [Line],
    values: &mut Values,
    file: u64,
) -> Result<(), Errno> {
    let mut script = Script { lines, next: 0 };
    script.call(TRACED, 0, libc::SYS_ptrace, &[u64::from(libc::PTRACE_TRACEME)]);
    let death = [libc::PR_SET_PDEATHSIG as u64, libc::SIGKILL as u64];
    script.call(TOGETHER, 0, libc::SYS_prctl, &death);
    pieces(&mut script, control, file);
    values.set(control);
    for (index, (which, at)) in
        [(libc::ITIMER_PROF, CPU), (libc::ITIMER_REAL, WALL)].into_iter().enumerate()
    {
        script.call(TIMED, index, libc::SYS_setitimer, &[which as u64, at, 0]);
    }
    if control.concurrent != 0 {
        threads(&mut script, control.calls, values);
    }
    script.call(CLOSED, 0, libc::SYS_close_range, &[0, u64::from(libc::c_uint::MAX), 0]);
    let limits = [
        (libc::RLIMIT_CPU, SECONDS),
        (libc::RLIMIT_NPROC, NONE),
        (libc::RLIMIT_NOFILE, NONE),
        (libc::RLIMIT_AS, NONE),
    ];
    for (index, (resource, at)) in limits.into_iter().enumerate() {
        script.call(LIMITED, index, libc::SYS_prlimit64, &[0, u64::from(resource), at, 0]);
    }
    close_doors(&mut script);
    let (batch, to) = match () {
        #[cfg(target_arch = "x86_64")]
        () if control.command == super::shared::Command::Batch as u32 => (1, control.entry),
        () => (0, CONTEXTS),
    };
    script.add(LEAVE, 0, &[STUB, batch, to], 0);
    if script.next > SCRIPT_LINES { Err(Errno::E2BIG) } else { Ok(()) }
}

fn pieces(script: &mut Script<'_>, control: &Control, file: u64) {
    for (index, piece) in control.piece.iter().take(control.pieces as usize).enumerate() {
        let sharing = if piece.private == 0 { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
        let flags = sharing | libc::MAP_FIXED_NOREPLACE | libc::MAP_NORESERVE;
        let flags = u64::from(flags.cast_unsigned());
        let arguments = [piece.address, piece.size, piece.protection.into(), flags, file, piece.at];
        script.call(MAPPED, index, libc::SYS_mmap, &arguments);
    }
}

/// All threads but the first: each goes on with a list of its own, gets a signal stack and waits in the stub.
fn threads(script: &mut Script<'_>, calls: u32, values: &mut Values) {
    script.add(BREAK, 0, &[], 0); // the tracer asks to be told of threads
    let shared = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM;
    let first = script.next + calls as usize + 1; // behind the calls below and a jump over the lists
    let each = 2 + DOORS;
    let list = |index: usize| SCRIPT + ((first + (index - 1) * each) * size_of::<Line>()) as u64;
    for index in 1..calls as usize {
        let flags = u64::from(shared.cast_unsigned());
        script.add(CLONE, libc::SYS_clone, &[flags], list(index));
    }
    script.add(AWAIT, 0, &[SCRATCH + ARRIVED, u64::from(calls - 1)], 0);
    let over = first + (calls as usize - 1) * each;
    script.add(GO_ON, 0, &[SCRIPT + (over * size_of::<Line>()) as u64], 0);
    for index in 1..calls as usize {
        let start = SIGNAL_STACK + index as u64 * SIGNAL_STACK_SIZE;
        let at = values.signal_stack(index, start);
        script.call(THREADS, index, libc::SYS_sigaltstack, &[at, 0]);
        close_doors(script);
        let context = CONTEXTS + (index * size_of::<Context>()) as u64;
        script.add(LEAVE, 0, &[STUB + arch::WAIT, 0, context], 0);
    }
    debug_assert_eq!(script.next, over);
}

/// Lines of [`close_doors`].
const DOORS: usize = if cfg!(target_arch = "x86_64") { 2 } else { 1 };

/// Forgets where thread-local storage is, which would tell cases where the zygote's memory lies and be another each
/// time; and tells the kernel to hand back every system call that is not made from the stub. The filter says the
/// same, but kernels from 6.14 on let `uretprobe` and `uprobe` pass by any filter. Kernels that cannot hand back are
/// older than that, so that its failure is none.
fn close_doors(script: &mut Script<'_>) {
    #[cfg(target_arch = "x86_64")]
    script.call(TURNED_AWAY, 0, libc::SYS_arch_prctl, &[arch::ARCH_SET_FS, 0]);
    let dispatch = [PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, STUB, PAGE, 0];
    script.add(TRY, libc::SYS_prctl, &dispatch, 0);
}

/// What went wrong where the list stopped: at which line, with which result.
pub(super) fn failure(lines: &[Line], at: u64, result: u64) -> Failure {
    let index = at.wrapping_sub(SCRIPT) / size_of::<Line>() as u64;
    let line = usize::try_from(index).ok().and_then(|index| lines.get(index));
    let tag = line.map_or(0, |line| line.tag);
    let errno = i32::try_from(result.wrapping_neg()).unwrap_or(0);
    Failure { step: (tag >> 32) as u32, errno, index: (tag & 0xffff_ffff) as u32 }
}
