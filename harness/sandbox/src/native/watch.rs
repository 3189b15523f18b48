//! The zygote's view of a case: it traces the process and takes down what the kernel says.
//!
//! Nothing that the code under test writes is ever read as a report. A call is over when the kernel stops its
//! thread for a signal; the registers, the signal and the frame that the kernel itself writes are all there is.

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::arch::{self, Context, RawRegisters};
use super::script::{self, TRACED, UNMAPPED};
use super::shared::{Control, FORK, Failure, Line, RawStop, why};
use crate::limits::{LANDING, PAGE, STACK_WINDOW};

/// Where no memory is: the handler of every signal that a trap raises. The kernel writes its frame and the
/// process dies at once.
pub(super) const NOWHERE: usize = 0x10;

/// What became of a traced thread.
pub(super) enum Change {
    /// It ended by itself, which only an unfinished preparation can.
    Exited,
    /// The kernel ended it.
    Killed(i32),
    /// It is stopped by this signal.
    Stopped(i32),
    /// It is stopped for the tracer's sake.
    Event,
}

/// Waits for a change of `thread`, or of any that is traced; says the processor time when one is gone.
pub(super) fn wait(thread: Option<Pid>, used: &mut libc::rusage) -> Result<(Pid, Change), Errno> {
    let mut status = 0;
    let which = thread.map_or(-1, Pid::as_raw);
    let pid = loop {
        #[expect(unsafe_code, reason = "nix has no wait4")]
        // SAFETY: the kernel writes to the two values that are borrowed for it.
        let pid = unsafe { libc::wait4(which, &raw mut status, libc::__WALL, used) };
        match Errno::result(pid) {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    };
    let change = if libc::WIFEXITED(status) {
        Change::Exited
    } else if libc::WIFSIGNALED(status) {
        Change::Killed(libc::WTERMSIG(status))
    } else if status >> 16 != 0 {
        Change::Event
    } else {
        Change::Stopped(libc::WSTOPSIG(status))
    };
    Ok((Pid::from_raw(pid), change))
}

/// Follows the calls of one thread, one after the other, and leaves no process behind.
pub(super) fn follow(
    pid: Pid,
    control: &mut Control,
    contexts: &[Context],
    lines: &[Line],
    trace: &mut [u64],
) -> Result<(), Errno> {
    let mut used = no_usage();
    let mut trace = Trace { addresses: trace, count: 0, limit: control.trace_limit };
    let calls = contexts.get(usize::from(trace.is_wanted())..).unwrap_or_default(); // after the gate
    loop {
        let (_, change) = wait(Some(pid), &mut used)?;
        let signal = match change {
            // Nobody traced it, so the first step failed.
            Change::Exited | Change::Killed(libc::SIGILL) => {
                control.failure = Failure { step: TRACED, errno: 0, index: 0 };
                break;
            }
            Change::Killed(signal) => {
                push(control, &RawStop { why: why::KILLED, signal, ..RawStop::none() });
                break;
            }
            Change::Event => {
                ptrace::cont(pid, None)?;
                continue;
            }
            Change::Stopped(signal) => signal,
        };
        if trace.has_stepped(pid, signal)? {
            trace.step(pid)?;
            continue;
        }
        let stop = stop(pid, signal, || Ok(()))?;
        if let Some(failure) = failure(pid, &stop, lines) {
            control.failure = failure;
            end(pid, &mut used)?;
            break;
        }
        #[cfg(target_arch = "x86_64")]
        if control.command == super::shared::Command::Batch as u32 {
            super::batch::stopped(pid, control, &stop);
            end(pid, &mut used)?;
            break;
        }
        // Before the first instruction it is the stub that stands at the gate; later it could be anybody.
        let begins = trace.is_wanted() && trace.count == 0 && stop.registers.at_the_gate(signal);
        if !begins {
            push(control, &stop);
        }
        let goes_on = begins || stop.landed();
        match calls.get(control.stops as usize) {
            Some(next) if goes_on && control.stops < control.calls => trace.begin(pid, next)?,
            _ => {
                end(pid, &mut used)?;
                break;
            }
        }
    }
    control.traced = trace.count as u64;
    control.cpu_ns = nanoseconds(&used);
    Ok(())
}

/// Addresses of instructions, by single steps.
struct Trace<'a> {
    addresses: &'a mut [u64],
    count: usize,
    limit: u64,
}

impl Trace<'_> {
    fn is_wanted(&self) -> bool {
        self.limit != 0
    }

    /// Begins a call: with its first instruction alone if a trace is wanted.
    fn begin(&mut self, pid: Pid, context: &Context) -> Result<(), Errno> {
        RawRegisters::begin(pid, context)?;
        if self.is_wanted() { self.step(pid) } else { ptrace::cont(pid, None) }
    }

    /// Notes where the thread stands and lets it run one instruction; all, if there is no more room.
    fn step(&mut self, pid: Pid) -> Result<(), Errno> {
        let pc = RawRegisters::of(pid)?.pc();
        if self.count as u64 >= self.limit || pc == LANDING {
            return ptrace::cont(pid, None);
        }
        if let Some(slot) = self.addresses.get_mut(self.count) {
            *slot = pc;
        }
        self.count += 1;
        ptrace::step(pid, None)
    }

    /// Whether a thread was stopped after one instruction, as it was meant to be.
    fn has_stepped(&self, pid: Pid, signal: i32) -> Result<bool, Errno> {
        if !self.is_wanted() || signal != libc::SIGTRAP {
            return Ok(false);
        }
        Ok(ptrace::getsiginfo(pid)?.si_code == libc::TRAP_TRACE)
    }
}

/// Adds what is known of one call.
pub(super) fn push(control: &mut Control, stop: &RawStop) {
    if let Some(slot) = control.stop.get_mut(control.stops as usize) {
        *slot = *stop;
        control.stops += 1;
    }
}

/// All that the kernel says about a thread that a signal stopped. Other threads of the case, if there are any, are
/// to be stopped by `alone` where they could change that.
pub(super) fn stop(
    thread: Pid,
    signal: i32,
    alone: impl FnOnce() -> Result<(), Errno>,
) -> Result<RawStop, Errno> {
    let registers = RawRegisters::of(thread)?;
    let mut stop = RawStop { why: why::SIGNAL, signal, registers, ..RawStop::none() };
    stop.stack_length = read(thread, registers.sp(), &mut stop.stack);
    let info = ptrace::getsiginfo(thread)?;
    stop.code = info.si_code;
    if stop.landed() {
        return Ok(stop);
    }
    stop.code_length = read(thread, registers.pc(), &mut stop.code_bytes);
    if signal == libc::SIGTRAP {
        let mut before = [0; 2];
        read(thread, registers.pc().wrapping_sub(2), &mut before);
        stop.back = arch::breakpoint(stop.code, before);
    }
    match signal {
        libc::SIGSYS => system_call(&info, &mut stop),
        libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP => {
            #[expect(unsafe_code, reason = "a union of the kernel's")]
            // SAFETY: these signals carry an address, and any content is one.
            let address = unsafe { info.si_addr() };
            stop.address = address.addr() as u64;
            if matches!(signal, libc::SIGSEGV | libc::SIGBUS) {
                alone()?;
                frame(thread, signal, &mut stop)?;
            }
        }
        _ => {}
    }
    Ok(stop)
}

/// What kept a case from its first instruction, if it is that. Code can jump to where the stub says that it gave up
/// unmapping the rest, but then the page that forks is no longer there.
pub(super) fn failure(thread: Pid, stop: &RawStop, lines: &[Line]) -> Option<Failure> {
    if let Some((line, result)) = stop.registers.stopped_at_line(stop.signal) {
        return Some(script::failure(lines, line, result));
    }
    let still_there = || read(thread, FORK, &mut [0]) == 1;
    (stop.registers.failed(stop.signal) && still_there()).then_some(Failure {
        step: UNMAPPED,
        errno: 0,
        index: 0,
    })
}

/// What a filter refused: after the three numbers of every `siginfo`, the address, the number, the door.
fn system_call(info: &libc::siginfo_t, stop: &mut RawStop) {
    #[expect(unsafe_code, reason = "libc has no names for these fields")]
    // SAFETY: `siginfo_t` is 128 bytes without padding that matters: the kernel fills all of it.
    let words = unsafe { &*std::ptr::from_ref(info).cast::<[u32; 32]>() };
    stop.system_call = words[6];
    stop.audit = words[7];
}

/// Lets the kernel write its signal frame, and reads from it what no register shows: why there was a fault.
fn frame(thread: Pid, signal: i32, stop: &mut RawStop) -> Result<(), Errno> {
    RawRegisters::off_the_signal_stack(thread)?;
    let mut signal = Signal::try_from(signal).ok();
    let mut used = no_usage();
    loop {
        ptrace::cont(thread, signal)?;
        match wait(Some(thread), &mut used)?.1 {
            Change::Stopped(libc::SIGSEGV) => break,
            Change::Stopped(_) | Change::Event => signal = None, // a timer; the signal is still to come
            Change::Exited | Change::Killed(_) => return Err(Errno::ESRCH),
        }
    }
    // The code itself may have stood there, but not with this stack pointer: only the kernel moves it from zero.
    let handler = RawRegisters::of(thread)?;
    if handler.pc() != NOWHERE as u64 || handler.sp() == 0 {
        return Ok(());
    }
    let context = arch::handler_context(thread)?;
    let mut words = [[0; 8]; 3];
    for (word, offset) in words.iter_mut().zip(arch::frame_words()) {
        if read(thread, context + offset as u64, word) != 8 {
            return Ok(());
        }
    }
    [stop.trap, stop.error, stop.fault] = words.map(u64::from_le_bytes);
    stop.has_frame = 1;
    Ok(())
}

/// Reads as much of a stopped process as there is, up to the end of the second page; how much it was.
#[expect(unsafe_code, reason = "nix wants a slice for each remote part")]
pub(super) fn read(thread: Pid, address: u64, into: &mut [u8]) -> u32 {
    let first = into.len().min((PAGE - address % PAGE) as usize);
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let part = |start: u64, length: usize| libc::iovec {
        iov_base: std::ptr::without_provenance_mut(start as usize),
        iov_len: length,
    };
    let second = into.len() - first;
    let remote = [part(address, first), part(address.wrapping_add(first as u64), second)];
    let parts = if second == 0 { 1 } else { 2 };
    // SAFETY: the kernel writes at most `into.len()` bytes to `into` and checks the remote side itself.
    let count = unsafe {
        libc::process_vm_readv(thread.as_raw(), &raw const local, 1, remote.as_ptr(), parts, 0)
    };
    u32::try_from(count).unwrap_or(0)
}

/// Ends a stopped process and waits until it is gone.
pub(super) fn end(pid: Pid, used: &mut libc::rusage) -> Result<(), Errno> {
    kill(pid, Signal::SIGKILL)?;
    loop {
        match wait(Some(pid), used) {
            Ok((_, Change::Exited | Change::Killed(_))) | Err(Errno::ECHILD) => return Ok(()),
            Ok(_) => {}
            Err(errno) => return Err(errno),
        }
    }
}

pub(super) fn no_usage() -> libc::rusage {
    #[expect(unsafe_code, reason = "a struct of numbers without a constructor")]
    // SAFETY: all its fields are numbers.
    unsafe {
        std::mem::zeroed()
    }
}

pub(super) fn nanoseconds(used: &libc::rusage) -> u64 {
    let time = |value: libc::timeval| {
        value.tv_sec.cast_unsigned() * 1_000_000_000 + value.tv_usec.cast_unsigned() * 1000
    };
    time(used.ru_utime) + time(used.ru_stime)
}

impl RawStop {
    /// Whether this is a return.
    pub(super) fn landed(&self) -> bool {
        self.why == why::SIGNAL && self.registers.landed(self.signal, self.code)
    }

    /// Nothing known.
    pub(super) fn none() -> Self {
        #[expect(unsafe_code, reason = "a struct of numbers without a constructor")]
        // SAFETY: all its fields are numbers.
        unsafe {
            std::mem::zeroed()
        }
    }
}

const _: () = assert!(STACK_WINDOW <= PAGE as usize); // `read` takes two pages at most
