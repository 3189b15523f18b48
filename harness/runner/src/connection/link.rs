//! A process with pipes that never block: frames out, frames in, stderr drained.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use harness_protocol::{PROTOCOL_ENV, PROTOCOL_VERSION, frame};

use crate::limits::{
    FULL_LOOK, GLANCE, GOODBYE, MAX_REST, MAX_STDERR, MAX_UNREAD, READ_CHUNK, YIELDS,
};
use crate::sys::poll::{self, Interest, set_nonblocking};
use crate::sys::process::{self, Process};
use crate::sys::wait::Exit;

use super::incident::{Incident, crash};
use super::tail::Tail;

/// One running process that speaks frames.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) process: Process,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    /// Frames to be written, and how much of them has been.
    outgoing: Vec<u8>,
    written: usize,
    /// Bytes that were read, and how much of them has been taken.
    incoming: Vec<u8>,
    taken: usize,
    chunk: Box<[u8]>,
    stderr_tail: Tail,
    /// The process closed its stdin.
    deaf: bool,
    ended: bool,
    /// Exchanges so far, to drain stderr every so often.
    glances: usize,
}

/// The command with what every started program gets.
pub(crate) fn command(words: &[OsString]) -> io::Result<Command> {
    let missing = || io::Error::new(io::ErrorKind::InvalidInput, "no program to start");
    let (program, arguments) = words.split_first().ok_or_else(missing)?;
    let mut command = Command::new(program);
    command.args(arguments).env(PROTOCOL_ENV, PROTOCOL_VERSION.to_string());
    Ok(command)
}

impl Link {
    /// Starts a process.
    pub(crate) fn start(words: &[OsString]) -> io::Result<Self> {
        let mut command = command(words)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut spawned = process::spawn(&mut command)?;
        let (stdin, stdout) = (spawned.child.stdin.take(), spawned.child.stdout.take());
        let stderr = spawned.child.stderr.take();
        stdin.as_ref().map_or(Ok(()), set_nonblocking)?;
        stdout.as_ref().map_or(Ok(()), set_nonblocking)?;
        stderr.as_ref().map_or(Ok(()), set_nonblocking)?;
        Ok(Self {
            process: spawned.process,
            stdin,
            stdout,
            stderr,
            outgoing: Vec::new(),
            written: 0,
            incoming: Vec::new(),
            taken: 0,
            chunk: vec![0; READ_CHUNK].into_boxed_slice(),
            stderr_tail: Tail::new(MAX_STDERR),
            deaf: false,
            ended: false,
            glances: 0,
        })
    }

    /// The buffer to append frames to; [`exchange`](Self::exchange) writes them.
    pub(crate) fn outgoing(&mut self) -> &mut Vec<u8> {
        if self.written == self.outgoing.len() {
            self.outgoing.clear();
            self.written = 0;
        }
        &mut self.outgoing
    }

    /// Writes and reads what is possible, waiting at most `timeout` for something to happen.
    pub(crate) fn exchange(&mut self, timeout: Duration) -> io::Result<()> {
        self.write_some()?;
        if self.written == self.outgoing.len() && self.answers_at_once(timeout)? {
            return Ok(());
        }
        let pending = self.written < self.outgoing.len();
        let stdin = match &self.stdin {
            Some(stdin) if pending => Interest::Write(stdin.as_fd()),
            _ => Interest::None,
        };
        let interests = [
            Interest::read(self.stdout.as_ref()),
            Interest::read(self.stderr.as_ref()),
            self.process.interest(),
            stdin,
        ];
        let [out, err, end, room] = poll::wait(interests, self.process.patience(timeout))?;
        if room {
            self.write_some()?;
        }
        if err {
            self.drain_stderr()?;
        }
        if out {
            self.read_some()?;
        }
        if end || (self.stdout.is_none() && self.process.has_ended()) {
            self.take_the_rest()?;
        }
        Ok(())
    }

    /// Looks at nothing but stdout for a moment: nearly every answer comes within it, and each further
    /// descriptor makes the wait dearer. Now and then it says no, so that stderr is drained.
    fn answers_at_once(&mut self, timeout: Duration) -> io::Result<bool> {
        self.glances += 1;
        if self.stdout.is_none() || self.glances.is_multiple_of(FULL_LOOK) {
            return Ok(false);
        }
        if self.answers_while_yielding()? {
            return Ok(true);
        }
        let Some(stdout) = &self.stdout else { return Ok(false) };
        let readable = poll::readable(stdout.as_fd(), timeout.min(GLANCE))?;
        if readable {
            self.read_some()?;
        }
        Ok(readable)
    }

    /// Lets the loader run and looks again, a few times: going to sleep and being woken costs more than a
    /// quick answer takes.
    fn answers_while_yielding(&mut self) -> io::Result<bool> {
        for _ in 0..YIELDS {
            if self.read_some()? > 0 {
                return Ok(true);
            }
            std::thread::yield_now();
        }
        Ok(false)
    }

    fn drain_stderr(&mut self) -> io::Result<usize> {
        drain(&mut self.stderr, &mut self.chunk, |bytes| self.stderr_tail.push(bytes))
    }

    /// Writes what the pipe takes.
    pub(crate) fn write_some(&mut self) -> io::Result<()> {
        while let (Some(stdin), Some(rest)) = (&mut self.stdin, self.outgoing.get(self.written..)) {
            if rest.is_empty() {
                break;
            }
            match stdin.write(rest) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.stdin = None;
                    self.deaf = true;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// One read: what comes after it makes the next wait return at once.
    fn read_some(&mut self) -> io::Result<usize> {
        if self.leftover() > MAX_UNREAD {
            let text = format!("more than {MAX_UNREAD} bytes wait unread on its stdout");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        self.read_chunk()
    }

    fn read_chunk(&mut self) -> io::Result<usize> {
        self.forget_taken();
        drain(&mut self.stdout, &mut self.chunk, |bytes| self.incoming.extend_from_slice(bytes))
    }

    fn forget_taken(&mut self) {
        self.incoming.drain(..self.taken);
        self.taken = 0;
    }

    /// After the end: whatever is still in the pipes. The group goes first, so that a grandchild which
    /// holds them open can add nothing; one that left the group can, so the rest has a bound.
    fn take_the_rest(&mut self) -> io::Result<()> {
        self.process.finish()?;
        self.ended = true;
        take_rest(|| self.read_chunk())?;
        take_rest(|| self.drain_stderr())
    }

    /// The next complete frame's body.
    pub(crate) fn next_frame(&mut self) -> Result<Option<&[u8]>, Incident> {
        let rest = self.incoming.get(self.taken..).unwrap_or_default();
        let Some((prefix, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let length = frame::body_length(*prefix).map_err(|error| {
            let seen = [prefix, rest.get(..rest.len().min(60)).unwrap_or_default()].concat();
            let seen = String::from_utf8_lossy(&seen).escape_debug().to_string();
            Incident::Protocol(format!("{error}; stdout goes on with \"{seen}\""))
        })?;
        if rest.len() < length {
            return Ok(None);
        }
        let start = self.taken + 4;
        self.taken = start + length;
        Ok(self.incoming.get(start..start + length))
    }

    /// Bytes that were read and are no complete frame.
    pub(crate) fn leftover(&self) -> usize {
        self.incoming.len() - self.taken
    }

    /// Whether there will be no more frames.
    pub(crate) fn is_finished(&self) -> bool {
        self.ended || self.stdout.is_none()
    }

    /// Whether the process closed its stdin.
    pub(crate) fn is_deaf(&self) -> bool {
        self.deaf
    }

    /// What it means that there will be no more frames while some are owed.
    pub(crate) fn end(&mut self) -> Incident {
        if !self.ended && !self.process.ends_within(GOODBYE) {
            return Incident::Protocol("it closed its stdout and went on running".into());
        }
        match self.take_the_rest().and_then(|()| self.process.finish()) {
            Ok(exit) if self.leftover() > 0 && exit.status.success() => {
                Incident::Protocol("stdout ended inside a frame".into())
            }
            Ok(exit) => Incident::Died(crash(&exit, &self.stderr_tail)),
            Err(error) => Incident::Protocol(format!("its end was not seen: {error}")),
        }
    }

    /// Closes stdin once everything is written and waits for the end, at most [`GOODBYE`]. `None` when it
    /// had to be killed. Nothing is owed any more, so the first bytes that arrive end it: they can still be
    /// taken, and no more are read.
    pub(crate) fn close(&mut self) -> io::Result<Option<Exit>> {
        let deadline = Instant::now() + GOODBYE;
        while !self.ended {
            if self.leftover() > 0 {
                self.process.finish()?;
                return Ok(None);
            }
            if self.written == self.outgoing.len() {
                self.stdin = None;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.process.finish()?;
                return Ok(None);
            }
            self.exchange(left)?;
        }
        self.process.finish().map(Some)
    }

    /// The end of stderr.
    pub(crate) fn stderr(&self) -> &Tail {
        &self.stderr_tail
    }
}

/// Calls `read` until nothing is left, or more has come than a pipe holds.
pub(crate) fn take_rest(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<()> {
    let mut taken = 0;
    while taken < MAX_REST {
        match read()? {
            0 => break,
            count => taken += count,
        }
    }
    Ok(())
}

/// One read from `source` into `chunk`, handed to `take`; the bytes read. The source is gone at its end.
pub(crate) fn drain(
    source: &mut Option<impl Read>,
    chunk: &mut [u8],
    mut take: impl FnMut(&[u8]),
) -> io::Result<usize> {
    let Some(stream) = source else { return Ok(0) };
    match stream.read(chunk) {
        Ok(0) => {
            *source = None;
            Ok(0)
        }
        Ok(count) => {
            take(chunk.get(..count).unwrap_or_default());
            Ok(count)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> Link {
        Link::start(&["sh".into(), "-c".into(), script.into()]).expect("sh is there")
    }

    #[test]
    fn a_flood_after_the_end_of_stdin_is_not_read() {
        let mut link = start("exec yes");
        assert!(link.close().unwrap().is_none());
        assert!((1..=READ_CHUNK).contains(&link.leftover()), "{}", link.leftover());
    }

    #[test]
    fn who_leaves_the_group_and_floods_is_not_read_for_ever() {
        // The loader ends only when the flood has begun, which then comes from outside of its group.
        let mut link = start("setsid sh -c 'echo begun >&3; exec yes' 3>&2 & read line; exit 7");
        while link.stderr_tail.bytes().is_empty() {
            let interests = [
                Interest::read(link.stderr.as_ref()),
                link.process.interest(),
                Interest::None,
                Interest::None,
            ];
            poll::wait(interests, GOODBYE).unwrap();
            link.drain_stderr().unwrap();
        }
        link.stdin = None;
        let incident = link.end();
        assert!(matches!(incident, Incident::Protocol(_) | Incident::Died(_)), "{incident:?}");
        assert!(link.leftover() <= MAX_REST + READ_CHUNK, "{}", link.leftover());
    }

    #[test]
    fn what_waits_unread_has_a_bound() {
        let mut link = start("exec yes");
        let error = loop {
            if let Err(error) = link.exchange(GOODBYE) {
                break error;
            }
            assert!(link.leftover() <= MAX_UNREAD + READ_CHUNK);
        };
        assert!(error.to_string().contains("wait unread"), "{error}");
    }
}
