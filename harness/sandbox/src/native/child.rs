//! The forked process, from the fork to the function's first instruction.
//!
//! It allocates nothing, panics nowhere and returns never: after a fork nothing else is safe. What goes wrong is
//! told through [`Failure`].

use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::ptrace;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

use super::arch;
use super::shared::{Control, Failure, Piece};

/// What can go wrong, by [`Failure::step`] − 1.
pub(super) const STEPS: [&str; 8] = [
    "being traced",
    "ending together with its parent",
    "mapping memory",
    "closing files",
    "limiting resources",
    "setting timers",
    "starting threads",
    "unmapping all else",
];

pub(super) const TRACED: u32 = 1;
pub(super) const TOGETHER: u32 = 2;
pub(super) const MAPPED: u32 = 3;
pub(super) const CLOSED: u32 = 4;
pub(super) const LIMITED: u32 = 5;
pub(super) const TIMED: u32 = 6;
pub(super) const THREADS: u32 = 7;
pub(super) const UNMAPPED: u32 = 8;

/// Prepares this process and leaves for the function.
pub(super) fn start(control: &mut Control, file: BorrowedFd<'_>) -> ! {
    if let Err(failure) = prepare(control, file) {
        control.failure = failure;
        #[expect(
            unsafe_code,
            reason = "a forked process must not run what waits for its parent's exit"
        )]
        // SAFETY: ends the process, at once.
        unsafe {
            libc::_exit(1);
        }
    }
    #[cfg(target_arch = "x86_64")]
    if control.command == super::shared::Command::Batch as u32 {
        #[expect(unsafe_code, reason = "leaves for the code under test")]
        // SAFETY: as below, and the client filled the steps, which were just mapped.
        unsafe {
            arch::leave_for_batch(control.entry)
        }
    }
    #[expect(unsafe_code, reason = "leaves for the code under test")]
    // SAFETY: the zygote mapped stub and contexts and the client filled them; nothing here is needed any more.
    unsafe {
        arch::leave()
    }
}

fn prepare(control: &mut Control, file: BorrowedFd<'_>) -> Result<(), Failure> {
    let failed = |step: u32, index: usize| {
        move |errno: Errno| Failure { step, errno: errno as i32, index: index as u32 }
    };
    ptrace::traceme().map_err(failed(TRACED, 0))?;
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(failed(TOGETHER, 0))?;
    let pieces = control.piece.iter().take(control.pieces as usize);
    for (index, piece) in pieces.enumerate() {
        map(piece, file).map_err(failed(MAPPED, index))?;
    }
    timer(libc::ITIMER_PROF, control.cpu_us).map_err(failed(TIMED, 0))?;
    timer(libc::ITIMER_REAL, control.wall_us).map_err(failed(TIMED, 1))?;
    if control.concurrent != 0 {
        super::threads::start(control.calls).map_err(failed(THREADS, 0))?;
    }
    close_all().map_err(failed(CLOSED, 0))?;
    let seconds = control.cpu_us / 1_000_000 + 2; // the timer comes first; this is in case it does not
    setrlimit(Resource::RLIMIT_CPU, seconds, seconds).map_err(failed(LIMITED, 0))?;
    let none = [Resource::RLIMIT_NPROC, Resource::RLIMIT_NOFILE, Resource::RLIMIT_AS];
    for (index, resource) in none.into_iter().enumerate() {
        setrlimit(resource, 0, 0).map_err(failed(LIMITED, index + 1))?;
    }
    Ok(())
}

#[expect(unsafe_code, reason = "maps memory")]
fn map(piece: &Piece, file: BorrowedFd<'_>) -> Result<(), Errno> {
    let address = NonZeroUsize::new(piece.address as usize).ok_or(Errno::EINVAL)?;
    let size = NonZeroUsize::new(piece.size as usize).ok_or(Errno::EINVAL)?;
    let protection = ProtFlags::from_bits_truncate(piece.protection.cast_signed());
    let sharing = if piece.private == 0 { MapFlags::MAP_SHARED } else { MapFlags::MAP_PRIVATE };
    let flags = sharing | MapFlags::MAP_FIXED_NOREPLACE | MapFlags::MAP_NORESERVE;
    // SAFETY: NOREPLACE: nothing that exists is touched.
    unsafe { mmap(Some(address), size, protection, flags, file, piece.at.cast_signed()) }?;
    Ok(())
}

#[expect(unsafe_code, reason = "nix has no call for this")]
fn close_all() -> Result<(), Errno> {
    // SAFETY: nothing in this process uses a descriptor from here on.
    let status = unsafe { libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0) };
    Errno::result(status).map(drop)
}

#[expect(unsafe_code, reason = "nix has no call for this")]
fn timer(which: libc::c_int, us: u64) -> Result<(), Errno> {
    let none = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let value = libc::timeval {
        tv_sec: (us / 1_000_000).cast_signed(),
        tv_usec: (us % 1_000_000).cast_signed(),
    };
    let timer = libc::itimerval { it_interval: none, it_value: value };
    // SAFETY: the kernel reads `timer`; the old value is not asked for.
    let status = unsafe { libc::setitimer(which, &raw const timer, std::ptr::null_mut()) };
    Errno::result(status).map(drop)
}
