//! The native machine: a zygote process that forks for each setup.
//!
//! A case lives in a process whose memory is the setup's regions and four small pages of the machine's: the rest
//! was unmapped before the first instruction, so there is nothing else to read, to write or to jump to. The
//! process may make no system call, has no open file and dies with its parent. What came of it is what the kernel
//! tells the tracer; `watch` never reads anything that the code could have written.

mod arch;
#[cfg(target_arch = "x86_64")]
mod batch;
mod containment;
mod explain;
mod filter;
mod script;
mod shared;
mod threads;
mod watch;
mod zygote;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command as Program, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::thread::futex;

pub use containment::Containment;

use crate::limits::{
    ARENA_HIGH, CLIENT_SPINS, GRACE, LANDING, MAX_NATIVE_BYTES, MAX_PIECES, MAX_THREADS, MAX_TRACE,
    PAGE, POISON, PUNCH, RETAINED, STACK_SIZE,
};
use crate::machine::{Fill, Machine, MachineError, Region, Report, Setup, Tracing};
use crate::{Architecture, Budget, Permissions};
use arch::Context;
use shared::{Command, FORK_AT, MACHINE_END, POISON_AT, Parts, Piece, SLICES_AT, STUB_AT, Shared};

const NAME: &str = "native";

/// Runs setups on this machine's processor.
#[derive(Debug)]
pub struct Native {
    file: OwnedFd,
    shared: Shared,
    zygote: Option<Zygote>,
    containment: Containment,
}

/// A running zygote.
#[derive(Debug)]
struct Zygote {
    process: Child,
    /// Its standard output: it ends when this is closed.
    _alive: UnixStream,
    /// Number of the last request.
    requests: u32,
}

impl Native {
    /// Starts the zygote.
    ///
    /// # Errors
    /// When this host refuses what it takes; the message says what.
    pub fn start() -> Result<Self, MachineError> {
        let (file, shared) = memory()?;
        let mut native = Self { file, shared, zygote: None, containment: Containment::default() };
        native.zygote()?;
        Ok(native)
    }

    /// What holds the cases besides their empty memory.
    #[must_use]
    pub fn containment(&self) -> Containment {
        self.containment
    }

    /// Forks so many times processes that end at once, for comparison, and says how long the zygote took.
    ///
    /// # Errors
    /// When the zygote is lost.
    pub fn bare_forks(&mut self, rounds: u64) -> Result<Duration, MachineError> {
        let control = self.shared.control();
        control.command = Command::Bare as u32;
        control.rounds = rounds;
        self.ask(GRACE + Duration::from_millis(rounds))?;
        Ok(Duration::from_nanos(self.shared.control().elapsed_ns))
    }

    /// How long the zygote took for the last request, without waking up for it.
    pub fn last_case(&mut self) -> Duration {
        Duration::from_nanos(self.shared.control().elapsed_ns)
    }

    /// Process id of the process that was started to be the zygote (which is its child).
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.zygote.as_ref().map(|zygote| zygote.process.id())
    }

    /// The zygote, started if there is none.
    fn zygote(&mut self) -> Result<&mut Zygote, MachineError> {
        if self.zygote.is_none() {
            let control = self.shared.control();
            control.request.store(0, Ordering::Release);
            control.done.store(0, Ordering::Release);
            let zygote = start(&self.file).map_err(|error| refused("no zygote", &error))?;
            self.zygote = Some(zygote);
            self.wait(1, GRACE)?;
            self.containment = Containment::from_bits(self.shared.control().containment);
        }
        self.zygote.as_mut().ok_or(MachineError::Lost { machine: NAME, why: "no zygote".into() })
    }

    /// Hands the turn over until the answer is there.
    fn ask(&mut self, patience: Duration) -> Result<(), MachineError> {
        let zygote = self.zygote()?;
        zygote.requests += 1;
        let number = zygote.requests;
        let control = self.shared.control();
        control.request.store(number, Ordering::Release);
        let _ = futex::wake(&control.request, futex::Flags::empty(), 1);
        self.wait(number + 1, patience)
    }

    fn wait(&mut self, number: u32, patience: Duration) -> Result<(), MachineError> {
        let deadline = Instant::now() + patience;
        let slice = rustix::time::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let spun = Instant::now() + CLIENT_SPINS;
        loop {
            let control = self.shared.control();
            let done = control.done.load(Ordering::Acquire);
            if done == number {
                return Ok(());
            }
            if Instant::now() < spun {
                std::thread::yield_now();
                continue;
            }
            let _ = futex::wait(&control.done, futex::Flags::empty(), done, Some(&slice));
            let ended = match &mut self.zygote {
                Some(zygote) => zygote.process.try_wait().ok().flatten(),
                None => None,
            };
            let arrived = self.shared.control().done.load(Ordering::Acquire) == number;
            if let Some(status) = ended.filter(|_| !arrived) {
                return Err(self.lose(format!("the zygote ended: {status}")));
            }
            if Instant::now() > deadline && !arrived {
                return Err(self.lose(format!("no answer within {} s", patience.as_secs())));
            }
        }
    }

    /// Ends the zygote, which ends its case. That may take the kernel a moment, and code under test may write as
    /// long as it runs: the next zygote has memory of its own.
    fn lose(&mut self, why: String) -> MachineError {
        self.zygote = None;
        match memory() {
            Ok((file, shared)) => {
                (self.file, self.shared) = (file, shared);
                lost(why)
            }
            Err(error) => error,
        }
    }

    /// Gives back the memory that a large case used.
    fn release(&mut self) {
        let used = self.end_of_slices() - SLICES_AT;
        if let Some(surplus) = used.checked_sub(RETAINED).filter(|surplus| *surplus > 0) {
            self.punch(SLICES_AT + RETAINED, surplus);
        }
    }

    /// Writes the question; the offsets in the file of the kept regions.
    fn write(&mut self, setup: &Setup) -> Result<Vec<(u64, usize)>, MachineError> {
        check(setup)?;
        let mut next = SLICES_AT;
        let mut pieces = Vec::new();
        let mut kept = Vec::new();
        for region in &setup.regions {
            let first = pieces.len();
            self.place(region, &mut next, &mut pieces);
            if region.kept {
                let at = pieces.get(first).map_or(SLICES_AT, |piece: &Piece| piece.at);
                kept.push((at, region.size as usize));
            }
        }
        if next > SLICES_AT + MAX_NATIVE_BYTES || pieces.len() > MAX_PIECES {
            return Err(unfit("its memory is larger than a native run may have".to_owned()));
        }
        let Parts { control, contexts, .. } = self.shared.parts();
        let traced = setup.tracing == Tracing::Instructions;
        for (context, call) in contexts[usize::from(traced)..].iter_mut().zip(&setup.calls) {
            *context = Context::of(&call.registers)
                .ok_or_else(|| unfit(format!("this processor is {}", arch::NATIVE)))?;
        }
        if traced {
            contexts[0] = contexts[1].gated();
        }
        control.piece[..pieces.len()].copy_from_slice(&pieces);
        control.pieces = pieces.len() as u32;
        control.calls = setup.calls.len() as u32;
        control.concurrent = u32::from(setup.concurrent && setup.calls.len() > 1);
        control.entry = setup.calls.first().map_or(0, |call| call.registers.pc());
        control.trace_limit =
            if setup.tracing == Tracing::Instructions { MAX_TRACE as u64 } else { 0 };
        let Budget { cpu, wall, .. } = setup.budget;
        control.cpu_us = microseconds(cpu);
        control.wall_us = microseconds(wall);
        Ok(kept)
    }

    /// Adds the mappings of one region, and writes what they hold.
    fn place(&mut self, region: &Region, next: &mut u64, pieces: &mut Vec<Piece>) {
        let size = region.size.max(1).next_multiple_of(PAGE);
        let protection = protection(region.permissions);
        let (from, to) = written(region);
        let piece = |start: u64, end: u64, at: u64, private: u32| Piece {
            address: region.address + start,
            size: end - start,
            at,
            protection,
            private,
        };
        if from > 0 {
            pieces.push(piece(0, from, POISON_AT, 1));
        }
        if from < to {
            self.write_slice(region, from, to, *next);
            pieces.push(piece(from, to, *next, 0));
            *next += to - from;
        }
        if to < size {
            pieces.push(piece(to.max(from), size, POISON_AT, 1));
        }
    }

    /// Writes bytes `from..to` of a region to the file.
    fn write_slice(&mut self, region: &Region, from: u64, to: u64, at: u64) {
        if at + (to - from) > shared::FILE_SIZE {
            return; // refused as a whole afterwards
        }
        let length = (to - from) as usize;
        let start = (region.offset - from) as usize;
        let end = start + region.bytes.len();
        if region.fill == Fill::Zero && length - end >= PUNCH {
            self.punch(at + end as u64, (length - end) as u64);
            self.shared.bytes(at, start).fill(0);
        } else {
            let slice = self.shared.bytes(at, length);
            match region.fill {
                Fill::Zero => {
                    slice[..start].fill(0);
                    slice[end..].fill(0);
                }
                Fill::Poison => {
                    let size = (region.size - from).min(length as u64) as usize;
                    fill(&mut slice[..size], 0);
                    slice[size..].fill(0);
                }
            }
        }
        self.shared.bytes(at, end)[start..].copy_from_slice(&region.bytes);
    }

    /// Gives pages of the file back, which makes them zero.
    fn punch(&mut self, at: u64, length: u64) {
        use nix::fcntl::{FallocateFlags, fallocate};
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        if fallocate(&self.file, flags, at.cast_signed(), length.cast_signed()).is_err() {
            self.shared.bytes(at, length as usize).fill(0);
        }
    }

    /// The first byte of the file that the setup which was written last does not use.
    fn end_of_slices(&mut self) -> u64 {
        let control = self.shared.control();
        let pieces = control.piece.iter().take(control.pieces as usize);
        let ends = pieces.filter(|piece| piece.at >= SLICES_AT).map(|piece| piece.at + piece.size);
        ends.max().unwrap_or(SLICES_AT)
    }

    /// Adds mappings to those of the setup which was written last.
    #[cfg(target_arch = "x86_64")]
    fn add_pieces(&mut self, pieces: &[Piece]) -> Result<(), MachineError> {
        let control = self.shared.control();
        for piece in pieces {
            let slot = control.piece.get_mut(control.pieces as usize);
            *slot.ok_or_else(|| unfit("it has too many parts".to_owned()))? = *piece;
            control.pieces += 1;
        }
        Ok(())
    }

    /// What kept a case from its first instruction, if something did.
    fn failure(&mut self) -> Result<(), MachineError> {
        let failure = self.shared.control().failure;
        if failure == shared::Failure::default() {
            return Ok(());
        }
        let step = script::STEPS.get((failure.step as usize).wrapping_sub(1)).copied();
        let error = io::Error::from_raw_os_error(failure.errno);
        Err(unfit(format!("{} ({}): {error}", step.unwrap_or("an unknown step"), failure.index)))
    }

    /// Reads the answer.
    fn report(&mut self, kept: &[(u64, usize)], tracing: Tracing) -> Result<Report, MachineError> {
        self.failure()?;
        let Parts { control, trace, .. } = self.shared.parts();
        let stops = control.stop.iter().take(control.stops as usize);
        let stops: Vec<_> = stops.map(explain::explain).collect();
        let counted = (control.traced as usize).min(trace.len());
        let traced = tracing == Tracing::Instructions;
        let report = Report {
            stops,
            memory: Vec::new(),
            cpu: Duration::from_nanos(control.cpu_ns),
            instructions: (traced && counted < trace.len()).then_some(control.traced),
            trace: trace[..counted].to_vec(),
        };
        let memory = kept.iter().map(|(at, size)| self.shared.bytes(*at, *size).to_vec()).collect();
        Ok(Report { memory, ..report })
    }
}

impl Machine for Native {
    fn run(&mut self, setup: &Setup) -> Result<Report, MachineError> {
        self.zygote()?;
        let kept = self.write(setup)?;
        self.shared.control().command = Command::Run as u32;
        self.ask(setup.budget.wall + GRACE)?;
        let report = self.report(&kept, setup.tracing);
        self.release();
        report.map(|report| explain::by_the_map(report, &setup.regions))
    }

    #[cfg(target_arch = "x86_64")]
    fn run_batch(&mut self, setups: &[Setup]) -> Result<Vec<Report>, MachineError> {
        batch::run(self, setups)
    }

    fn name(&self) -> &'static str {
        NAME
    }

    fn runs(&self, architecture: Architecture) -> bool {
        architecture == arch::NATIVE
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        // Its child, and every case, die with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The memory that a zygote and its client share.
fn memory() -> Result<(OwnedFd, Shared), MachineError> {
    let file = shared::file().map_err(|error| refused("no shared memory", &error))?;
    let mut shared = Shared::map(&file, shared::FILE_SIZE)
        .map_err(|error| refused("shared memory cannot be mapped", &error))?;
    for (at, page) in [STUB_AT, FORK_AT].into_iter().zip(arch::pages()) {
        shared.bytes(at, PAGE as usize).copy_from_slice(page);
    }
    fill(shared.bytes(POISON_AT, STACK_SIZE as usize), 0);
    Ok((file, shared))
}

/// Starts this very program as a zygote.
fn start(file: &OwnedFd) -> io::Result<Zygote> {
    let (alive, theirs) = UnixStream::pair()?;
    let mut program = Program::new("/proc/self/exe");
    // The kernel would go on writing to the C library's restartable sequence area after it is unmapped.
    let tunables = std::env::var("GLIBC_TUNABLES").map_or(String::new(), |own| own + ":");
    let process = program
        .env(zygote::ZYGOTE_ENV, "1")
        .env("GLIBC_TUNABLES", tunables + "glibc.pthread.rseq=0")
        .stdin(Stdio::from(file.try_clone()?))
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    Ok(Zygote { process, _alive: alive, requests: 0 })
}

/// Whether a native run can look like this.
fn check(setup: &Setup) -> Result<(), MachineError> {
    if setup.architecture != arch::NATIVE {
        return Err(unfit(format!("this processor is {}", arch::NATIVE)));
    }
    if setup.calls.is_empty() || setup.calls.len() > MAX_THREADS || setup.landing != LANDING {
        return Err(unfit(format!("it makes {} calls", setup.calls.len())));
    }
    if setup.tracing == Tracing::Instructions
        && (setup.concurrent || setup.calls.len() == MAX_THREADS)
    {
        return Err(unfit("only calls one after the other can be traced".to_owned()));
    }
    let mut last = MACHINE_END;
    for region in &setup.regions {
        let end = region.address.checked_add(region.size).filter(|end| *end <= ARENA_HIGH);
        let Some(end) =
            end.filter(|_| region.address >= last && region.address.is_multiple_of(PAGE))
        else {
            return Err(unfit(format!(
                "`{}` lies at {:#x}, natively memory lies between {MACHINE_END:#x} and {ARENA_HIGH:#x}, in order",
                region.name, region.address,
            )));
        };
        if region.offset + region.bytes.len() as u64 > region.size {
            return Err(unfit(format!("`{}` is larger than its size", region.name)));
        }
        last = end.next_multiple_of(PAGE);
    }
    Ok(())
}

/// Which pages of a region are written for each case: all, but of a poisoned stack only those of the arguments.
fn written(region: &Region) -> (u64, u64) {
    let size = region.size.max(1).next_multiple_of(PAGE);
    if region.fill == Fill::Poison && !region.kept && size <= STACK_SIZE {
        let end = region.offset + region.bytes.len() as u64;
        (region.offset / PAGE * PAGE, end.next_multiple_of(PAGE).min(size))
    } else {
        (0, size)
    }
}

fn protection(permissions: Permissions) -> u32 {
    use nix::libc::{PROT_EXEC, PROT_READ, PROT_WRITE};
    let bits = match permissions {
        Permissions::R => PROT_READ,
        Permissions::Rw => PROT_READ | PROT_WRITE,
        Permissions::Rx => PROT_READ | PROT_EXEC,
    };
    bits.cast_unsigned()
}

/// Fills memory that starts `offset` bytes into a region with poison.
fn fill(bytes: &mut [u8], offset: usize) {
    let poison = POISON.to_le_bytes();
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = poison[(offset + index) % poison.len()];
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1)
}

fn refused(what: &str, error: &io::Error) -> MachineError {
    MachineError::Start { machine: NAME, why: format!("{what}: {error}") }
}

fn unfit(why: String) -> MachineError {
    MachineError::Setup { machine: NAME, why }
}

fn lost(why: String) -> MachineError {
    MachineError::Lost { machine: NAME, why }
}
