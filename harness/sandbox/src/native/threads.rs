//! Several calls at once: threads of one case, each with its registers, its stack and its signal stack.

use std::num::NonZeroUsize;

use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::arch;
use super::child::{TRACED, UNMAPPED};
use super::shared::{Control, Failure, RawStop, SCRATCH, why};
use super::watch::{self, Change};
use super::zygote::signal_stack;

/// Bytes of the stack on which a thread finds its way to the stub.
const START_STACK: usize = 64 << 10;

/// In the child: starts all threads but the calling one, which stand in the stub when this returns.
pub(super) fn start(calls: u32) -> Result<(), Errno> {
    nix::sys::signal::raise(Signal::SIGSTOP)?; // the tracer asks to be told of threads
    for index in 1..calls {
        spawn(index)?;
    }
    let arrived = || {
        #[expect(unsafe_code, reason = "a variable of the stub's")]
        // SAFETY: the page is mapped, and aligned words are read whole.
        unsafe {
            std::ptr::without_provenance::<u32>(SCRATCH as usize + 4).read_volatile()
        }
    };
    while arrived() < calls - 1 {
        std::thread::yield_now();
    }
    Ok(())
}

#[expect(unsafe_code, reason = "a thread without a thread library: all of it is unmapped soon")]
fn spawn(index: u32) -> Result<(), Errno> {
    let size = NonZeroUsize::new(START_STACK).ok_or(Errno::EINVAL)?;
    let both = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
    // SAFETY: a new mapping at an address that the kernel chooses.
    let stack = unsafe { mmap_anonymous(None, size, both, flags) }?;
    // SAFETY: inside the mapping, or its end.
    let top = unsafe { stack.as_ptr().byte_add(START_STACK) };
    let shared = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM;
    let argument = std::ptr::without_provenance_mut(index as usize);
    // SAFETY: the stack is the thread's own and large enough for `begin`, which uses nothing of this thread's.
    let status = unsafe { libc::clone(begin, top, shared, argument) };
    Errno::result(status).map(drop)
}

/// Where a thread begins. It shares the thread-local storage of the one that made it, so it touches none.
extern "C" fn begin(index: *mut libc::c_void) -> libc::c_int {
    let index = index.addr() as u64;
    let _ = signal_stack(index); // without one, an access kind stays unknown
    #[expect(unsafe_code, reason = "leaves for the stub")]
    // SAFETY: the zygote mapped stub and contexts and the client filled one for each call.
    unsafe {
        arch::wait_and_leave(index)
    }
}

/// In the zygote: follows all threads until each has landed, or one has not.
pub(super) fn follow(leader: Pid, control: &mut Control) -> Result<(), Errno> {
    let mut used = watch::no_usage();
    let mut stops: Vec<Option<RawStop>> = vec![None; control.calls as usize];
    let mut threads = vec![leader];
    while stops.iter().any(Option::is_none) {
        let (thread, change) = watch::wait(None, &mut used)?;
        let signal = match change {
            Change::Exited | Change::Killed(_) if thread != leader => continue,
            Change::Exited => {
                if control.failure == Failure::default() {
                    control.failure = Failure { step: TRACED, errno: 0, index: 0 };
                }
                return end(leader, &mut used);
            }
            Change::Killed(signal) => {
                watch::push(control, &RawStop { why: why::KILLED, signal, ..RawStop::none() });
                return end(leader, &mut used);
            }
            Change::Event => {
                // The leader made a thread. New threads may be heard of before this, in any order.
                threads.push(Pid::from_raw(ptrace::getevent(thread)? as i32));
                ptrace::cont(thread, None)?;
                continue;
            }
            Change::Stopped(libc::SIGSTOP) => {
                if thread == leader {
                    ptrace::setoptions(leader, ptrace::Options::PTRACE_O_TRACECLONE)?;
                }
                ptrace::cont(thread, None)?;
                continue;
            }
            Change::Stopped(signal) => signal,
        };
        let others =
            threads.iter().zip(&stops).filter(|(other, stop)| **other != thread && stop.is_none());
        let others: Vec<Pid> = others.map(|(other, _)| *other).collect();
        let stop = watch::stop(thread, signal, || halt(leader, &others))?;
        if watch::has_failed(thread, &stop) {
            control.failure = Failure { step: UNMAPPED, errno: 0, index: 0 };
            break;
        }
        let landed = stop.landed();
        let number = threads.iter().position(|known| *known == thread).unwrap_or(0);
        if let Some(slot) = stops.get_mut(number) {
            *slot = Some(stop);
        }
        if !landed {
            break;
        }
    }
    let abandoned = RawStop { why: why::ABANDONED, ..RawStop::none() };
    for stop in &stops {
        watch::push(control, stop.as_ref().unwrap_or(&abandoned));
    }
    end(leader, &mut used)?;
    control.cpu_ns = watch::nanoseconds(&used);
    Ok(())
}

/// Stops threads that run, so that none of them writes to what the kernel is about to say of another.
fn halt(leader: Pid, threads: &[Pid]) -> Result<(), Errno> {
    let mut used = watch::no_usage();
    for thread in threads {
        #[expect(unsafe_code, reason = "nix has no call for this")]
        // SAFETY: sends a signal, to a thread that this process traces.
        let status = unsafe {
            libc::syscall(libc::SYS_tgkill, leader.as_raw(), thread.as_raw(), libc::SIGSTOP)
        };
        match Errno::result(status) {
            Ok(_) => {}
            Err(Errno::ESRCH) => continue, // the kernel ended all of them
            Err(errno) => return Err(errno),
        }
        watch::wait(Some(*thread), &mut used)?; // whatever it stopped for, or ended of
    }
    Ok(())
}

/// Ends all threads. A leader is gone for its tracer only once each of the others was waited for.
fn end(leader: Pid, used: &mut libc::rusage) -> Result<(), Errno> {
    match kill(leader, Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => return Err(errno),
    }
    loop {
        match watch::wait(None, used) {
            Ok(_) => {}
            Err(Errno::ECHILD) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
}
