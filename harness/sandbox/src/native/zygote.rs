//! The zygote: a small process that forks for each case and watches it.
//!
//! It is this very program, started anew with one variable set, and takes over before `main`: so every program
//! that uses the library, be it a test or a fuzz target, has its zygote at hand. It starts with no memory of its
//! parent's, which is what keeps a fork cheap.

use std::ops::Range;
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Instant;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::mman::{MmapAdvise, madvise};
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};
use rustix::thread::futex;

use super::containment::{self, Containment};
use super::shared::{
    CONTEXTS, CONTEXTS_AT, CONTEXTS_SIZE, Command, FORK, FORK_AT, Failure, Parts, SCRATCH, SCRIPT,
    SCRIPT_AT, SIGNAL_STACK, SIGNAL_STACK_SIZE, SLICES_AT, STUB, STUB_AT, Shared, VALUES_AT,
    is_file,
};
use super::{filter, script, threads, watch};
use crate::limits::{ABOVE, ARENA_HIGH, IDLE_CHECK, MAX_THREADS, PAGE, ZYGOTE_SPINS};

/// Set in the environment of a program that is to be a zygote.
pub(super) const ZYGOTE_ENV: &str = "HARNESS_ZYGOTE";
/// The shared file, as the client passes it: standard input.
const DESCRIPTOR: u64 = 0;
/// Exit code of a zygote that could not start.
const FAILED: i32 = 70;

/// Takes over from `main` in a program that was started to be a zygote.
#[ctor::ctor(unsafe)]
fn take_over() {
    if std::env::var_os(ZYGOTE_ENV).is_some() {
        let code = match main() {
            Ok(()) => 0,
            Err(why) => {
                eprintln!("zygote: {why}");
                FAILED
            }
        };
        #[expect(
            unsafe_code,
            reason = "the program's own exit handlers would run in a process that is not it"
        )]
        // SAFETY: ends the process, at once.
        unsafe {
            libc::_exit(code)
        }
    }
}

fn main() -> Result<(), String> {
    #[expect(unsafe_code, reason = "the descriptor that the client passed")]
    // SAFETY: descriptor 0 is open (standard input) and nobody else in this process owns it.
    let file = unsafe { OwnedFd::from_raw_fd(DESCRIPTOR as i32) };
    if !is_file(&file) {
        return Err(format!("{ZYGOTE_ENV} is set, but standard input is not the harness's memory"));
    }
    let mappings = mappings().map_err(|e| format!("its own mappings: {e}"))?;
    let containment = containment::enter_namespaces();
    // SAFETY: there is one thread; both sides go on with ordinary code.
    #[expect(unsafe_code, reason = "only a child is inside the new process namespace")]
    match unsafe { fork() }.map_err(|errno| format!("cannot fork: {errno}"))? {
        ForkResult::Parent { child } => attend(child),
        ForkResult::Child => serve(&file, containment, &mappings),
    }
}

/// In the process that was started: ends with the zygote, or with the client, even in the middle of a case. The
/// zygote then ends with it.
fn attend(zygote: Pid) -> Result<(), String> {
    let descriptor = rustix::process::Pid::from_raw(zygote.as_raw())
        .ok_or(rustix::io::Errno::SRCH)
        .and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()))
        .map_err(|e| format!("a descriptor of the zygote: {e}"))?;
    let output = std::io::stdout();
    loop {
        let mut ends = [
            PollFd::new(output.as_fd(), PollFlags::empty()), // the client holds the other end
            PollFd::new(descriptor.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut ends, PollTimeout::NONE) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(format!("poll: {errno}")),
        }
    }
}

/// Answers requests until the client is gone.
fn serve(
    file: &OwnedFd,
    mut containment: Containment,
    mappings: &[Range<usize>],
) -> Result<(), String> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(|e| format!("prctl: {e}"))?;
    let mut shared = Shared::map(file, SLICES_AT).map_err(|e| format!("shared memory: {e}"))?;
    arena(file).map_err(|e| format!("the arena's pages: {e}"))?;
    signals().map_err(|e| format!("signal handlers: {e}"))?;
    containment::limit().map_err(|e| format!("limits: {e}"))?;
    nix::sys::prctl::set_no_new_privs().map_err(|e| format!("no_new_privs: {e}"))?;
    filter::install().map_err(|e| format!("the system call filter: {e}"))?;
    containment.no_new_privileges = true;
    containment.system_call_filter = true;
    keep_from_children();
    let control = shared.control();
    control.containment = containment.to_bits();
    control.zygote = std::process::id();
    let mut answered = 1;
    loop {
        control_done(&mut shared, answered);
        if !next(&mut shared, answered) {
            return Ok(());
        }
        answered += 1;
        answer(&mut shared, mappings).map_err(|errno| format!("a case: {errno}"))?;
    }
}

fn control_done(shared: &mut Shared, number: u32) {
    let control = shared.control();
    control.done.store(number, Ordering::Release);
    let _ = futex::wake(&control.done, futex::Flags::empty(), 1);
}

/// Waits for the request after number `last`; whether there is one.
fn next(shared: &mut Shared, last: u32) -> bool {
    let control = shared.control();
    loop {
        let start = Instant::now();
        while start.elapsed() < ZYGOTE_SPINS {
            if control.request.load(Ordering::Acquire) != last - 1 {
                return true;
            }
            std::thread::yield_now();
        }
        let wait =
            futex::wait(&control.request, futex::Flags::empty(), last - 1, Some(&IDLE_CHECK));
        if wait == Err(rustix::io::Errno::TIMEDOUT) && client_is_gone() {
            return false;
        }
    }
}

/// The client holds the other end of standard output.
fn client_is_gone() -> bool {
    let output = std::io::stdout();
    let mut ends = [PollFd::new(output.as_fd(), PollFlags::empty())];
    let gone = PollFlags::POLLHUP | PollFlags::POLLERR;
    poll(&mut ends, PollTimeout::ZERO).is_err()
        || ends[0].revents().is_none_or(|events| events.intersects(gone))
}

fn answer(shared: &mut Shared, mappings: &[Range<usize>]) -> Result<(), Errno> {
    let control = shared.control();
    control.failure = Failure::default();
    control.stops = 0;
    control.traced = 0;
    control.batch_ended = 0;
    let start = Instant::now();
    if control.command == Command::Bare as u32 {
        let rounds = control.rounds;
        let elapsed = bare(rounds, mappings)?;
        shared.control().elapsed_ns = elapsed;
        return Ok(());
    }
    case(shared)?;
    let elapsed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    shared.control().elapsed_ns = elapsed;
    Ok(())
}

/// What a process of this size costs to fork, to end and to wait for; ns for all rounds.
fn bare(rounds: u64, mappings: &[Range<usize>]) -> Result<u64, Errno> {
    for mapping in mappings {
        advise(mapping.clone(), MmapAdvise::MADV_DOFORK); // not those of the kernel's own, which nobody misses
    }
    let start = Instant::now();
    for _ in 0..rounds {
        #[expect(unsafe_code, reason = "forks")]
        // SAFETY: this process has one thread, and the child does nothing but end.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => drop(waitpid(child, None)?),
            #[expect(unsafe_code, reason = "ends without running what the zygote registered")]
            // SAFETY: ends the process, at once.
            ForkResult::Child => unsafe { libc::_exit(0) },
        }
    }
    let elapsed = start.elapsed();
    keep_from_children();
    Ok(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
}

fn case(shared: &mut Shared) -> Result<(), Errno> {
    let Parts { control, contexts, lines, values, trace } = shared.parts();
    script::write(control, lines, values, DESCRIPTOR)?;
    let pid = child()?;
    if control.concurrent != 0 {
        threads::follow(pid, control, lines)
    } else {
        watch::follow(pid, control, contexts, lines, trace)
    }
}

/// Forks a process that works through the list.
fn child() -> Result<Pid, Errno> {
    let page = std::ptr::without_provenance::<()>(FORK as usize);
    #[expect(unsafe_code, reason = "calls the page that forks")]
    // SAFETY: `arena` mapped the page, which starts with a function of this type.
    let fork = unsafe { std::mem::transmute::<*const (), extern "C" fn(u64) -> i64>(page) };
    let result = fork(SCRIPT);
    if result < 0 {
        return Err(Errno::from_raw(i32::try_from(-result).unwrap_or(0)));
    }
    Ok(Pid::from_raw(i32::try_from(result).unwrap_or(0)))
}

/// Lets children inherit nothing but the arena and what lies right below it. This makes forks cheap; what holds
/// cases is that everything outside the arena is unmapped in them, whatever was inherited.
fn keep_from_children() {
    advise(PAGE as usize..SCRIPT as usize, MmapAdvise::MADV_DONTFORK);
    advise(ARENA_HIGH as usize..ABOVE as usize, MmapAdvise::MADV_DONTFORK);
}

/// Gives the kernel advice about all memory in a range.
fn advise(range: Range<usize>, advice: MmapAdvise) {
    let start = std::ptr::without_provenance_mut(range.start);
    let Some(start) = std::ptr::NonNull::new(start) else { return };
    #[expect(unsafe_code, reason = "nix asks for it, since some advice changes what memory holds")]
    // SAFETY: whether children inherit memory changes nothing in this process.
    let _ = unsafe { madvise(start, range.len(), advice) }; // an error for the holes, which have no memory
}

/// What this process has mapped.
fn mappings() -> std::io::Result<Vec<Range<usize>>> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let address = |text: &str| usize::from_str_radix(text, 16).ok();
    let range = |line: &str| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        Some(address(start)?..address(end)?)
    };
    Ok(maps.lines().filter_map(range).collect())
}

/// The pages that every case has: the stub, the registers to load, a page to note things, signal stacks.
fn arena(file: &OwnedFd) -> Result<(), Errno> {
    use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous};
    use std::num::NonZeroUsize;
    let at = |address: u64| NonZeroUsize::new(address as usize);
    let size = |size: u64| NonZeroUsize::new(size as usize).ok_or(Errno::EINVAL);
    let fixed = MapFlags::MAP_FIXED_NOREPLACE;
    let (execute, read) = (ProtFlags::PROT_READ | ProtFlags::PROT_EXEC, ProtFlags::PROT_READ);
    for (address, offset, bytes, protection) in [
        (STUB, STUB_AT, PAGE, execute),
        (FORK, FORK_AT, PAGE, execute),
        (CONTEXTS, CONTEXTS_AT, CONTEXTS_SIZE, read),
        (SCRIPT, SCRIPT_AT, VALUES_AT + PAGE - SCRIPT_AT, read),
    ] {
        let flags = MapFlags::MAP_SHARED | fixed;
        #[expect(unsafe_code, reason = "maps memory")]
        // SAFETY: NOREPLACE: nothing that exists is touched.
        unsafe { mmap(at(address), size(bytes)?, protection, flags, file, offset.cast_signed()) }?;
    }
    let both = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let stacks = SIGNAL_STACK_SIZE * MAX_THREADS as u64;
    for (address, bytes) in [(SCRATCH, PAGE), (SIGNAL_STACK, stacks)] {
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE | fixed;
        #[expect(unsafe_code, reason = "maps memory")]
        // SAFETY: NOREPLACE: nothing that exists is touched.
        unsafe { mmap_anonymous(at(address), size(bytes)?, both, flags) }?;
    }
    Ok(())
}

/// Lets the kernel write what trapped to the signal stack; its handlers are nowhere, so that nothing runs then.
fn signals() -> Result<(), Errno> {
    signal_stack()?;
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        let mut action = libc::sigaction {
            sa_sigaction: watch::NOWHERE,
            sa_mask: no_signals(),
            sa_flags: libc::SA_SIGINFO | libc::SA_ONSTACK,
            sa_restorer: None,
        };
        #[expect(unsafe_code, reason = "nix takes functions only as handlers")]
        // SAFETY: a trap of this process ends it either way.
        let status = unsafe { libc::sigaction(signal, &raw mut action, std::ptr::null_mut()) };
        Errno::result(status)?;
    }
    Ok(())
}

fn no_signals() -> libc::sigset_t {
    *nix::sys::signal::SigSet::empty().as_ref()
}

/// Gives this thread the signal stack of call 0, which the first thread of every case inherits.
fn signal_stack() -> Result<(), Errno> {
    let stack = libc::stack_t {
        ss_sp: std::ptr::without_provenance_mut(SIGNAL_STACK as usize),
        ss_flags: 0,
        ss_size: SIGNAL_STACK_SIZE as usize,
    };
    #[expect(unsafe_code, reason = "nix has no call for this")]
    // SAFETY: the pages of the arena are mapped, and only the kernel writes there.
    let status = unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
    Errno::result(status).map(drop)
}
