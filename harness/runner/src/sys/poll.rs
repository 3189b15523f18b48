//! Waiting for file descriptors.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Most descriptors that are waited for at once: stdin, stdout, stderr and the process itself.
const MOST: usize = 4;

/// One thing to wait for.
#[derive(Clone, Copy)]
pub(crate) enum Interest<'a> {
    /// Nothing; never ready.
    None,
    /// There is something to read, or the other side closed.
    Read(BorrowedFd<'a>),
    /// There is room to write, or the other side closed.
    Write(BorrowedFd<'a>),
}

impl<'a> Interest<'a> {
    /// Reading from `source`, while there is one.
    pub(crate) fn read(source: Option<&'a impl AsFd>) -> Self {
        source.map_or(Self::None, |source| Self::Read(source.as_fd()))
    }
}

/// Waits until one of `interests` is ready or `timeout` is over; says which are ready.
pub(crate) fn wait(interests: [Interest<'_>; MOST], timeout: Duration) -> io::Result<[bool; MOST]> {
    let mut places = [None; MOST];
    let mut descriptors = Vec::with_capacity(MOST);
    for (place, interest) in places.iter_mut().zip(interests) {
        let descriptor = match interest {
            Interest::None => continue,
            Interest::Read(fd) => PollFd::new(fd, PollFlags::POLLIN),
            Interest::Write(fd) => PollFd::new(fd, PollFlags::POLLOUT),
        };
        *place = Some(descriptors.len());
        descriptors.push(descriptor);
    }
    match poll(&mut descriptors, milliseconds(timeout)) {
        Ok(_) => {}
        Err(nix::errno::Errno::EINTR) => return Ok([false; MOST]),
        Err(error) => return Err(error.into()),
    }
    let ready = |place: usize| {
        descriptors.get(place).and_then(PollFd::revents).is_some_and(|events| !events.is_empty())
    };
    Ok(places.map(|place| place.is_some_and(ready)))
}

/// Waits until there is something to read from `source` or `timeout` is over; whether there is.
pub(crate) fn readable(source: BorrowedFd<'_>, timeout: Duration) -> io::Result<bool> {
    match poll(&mut [PollFd::new(source, PollFlags::POLLIN)], milliseconds(timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(nix::errno::Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Rounded up: a wait that is cut to 0 ms would spin until the deadline.
fn milliseconds(timeout: Duration) -> PollTimeout {
    let rounded = timeout.as_nanos().div_ceil(1_000_000);
    PollTimeout::try_from(rounded).unwrap_or(PollTimeout::MAX)
}

/// Makes reads and writes on `fd` return instead of waiting.
pub(crate) fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd.as_fd(), FcntlArg::F_GETFL)?);
    fcntl(fd.as_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}
