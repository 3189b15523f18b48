//! Several calls at once: threads of one case, each with its registers, its stack and its signal stack.

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::arch::RawRegisters;
use super::script::TRACED;
use super::shared::{Control, Failure, Line, RawStop, why};
use super::watch::{self, Change};

/// Offset in the stub's variables of the number of threads that wait for the first.
pub(super) const ARRIVED: u64 = 4;

/// In the zygote: follows all threads until each has landed, or one has not.
pub(super) fn follow(leader: Pid, control: &mut Control, lines: &[Line]) -> Result<(), Errno> {
    let mut used = watch::no_usage();
    let mut stops: Vec<Option<RawStop>> = vec![None; control.calls as usize];
    let mut threads = vec![leader];
    while stops.iter().any(Option::is_none) {
        let (thread, change) = watch::wait(None, &mut used)?;
        let signal = match change {
            Change::Exited | Change::Killed(_) if thread != leader => continue,
            // Nobody traced it, so the first step failed.
            Change::Exited | Change::Killed(libc::SIGILL) => {
                control.failure = Failure { step: TRACED, errno: 0, index: 0 };
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
                ptrace::cont(thread, None)?;
                continue;
            }
            Change::Stopped(signal) => signal,
        };
        let registers = RawRegisters::of(thread)?;
        if registers.at_the_break(signal) {
            registers.pass_the_break(thread)?;
            ptrace::setoptions(leader, ptrace::Options::PTRACE_O_TRACECLONE)?;
            ptrace::cont(thread, None)?;
            continue;
        }
        let others =
            threads.iter().zip(&stops).filter(|(other, stop)| **other != thread && stop.is_none());
        let others: Vec<Pid> = others.map(|(other, _)| *other).collect();
        let stop = watch::stop(thread, signal, || halt(leader, &others))?;
        if let Some(failure) = watch::failure(thread, &stop, lines) {
            control.failure = failure;
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
