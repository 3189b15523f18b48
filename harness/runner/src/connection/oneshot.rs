//! One process per case: `CMD FILE [FUNCTION RETURNS ARG…]`, answered by the exit code.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use harness_protocol::oneshot::words;
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::attempt::Attempt;
use crate::limits::{MAX_STDERR, MAX_STDOUT, READ_CHUNK, TICK, TRACE_TICK};
use crate::observe::{self, Asked, Sight};
use crate::sys::maps::{Mapping, mappings};
use crate::sys::poll::{self, Interest, set_nonblocking};
use crate::sys::process::{self, Process};
use crate::sys::trace::{self, Event, Tracer};
use crate::sys::wait::Exit;

use super::incident::Incident;
use super::link::{command, drain, take_rest};
use super::session::Question;
use super::tail::Tail;

pub(crate) mod answer;

/// How to run a one-shot loader.
pub(crate) struct OneShot<'a> {
    pub(crate) command: &'a [OsString],
    pub(crate) deadline: Duration,
    pub(crate) address_space: Option<u64>,
    pub(crate) is_stopped: &'a dyn Fn() -> bool,
}

impl OneShot<'_> {
    /// Runs one case; `None` when the run was stopped meanwhile.
    pub(crate) fn run(
        &self,
        question: &Question<'_>,
        asked: Option<&Asked<'_>>,
    ) -> io::Result<Option<Attempt>> {
        let folder = fresh_folder()?;
        let file = folder.path().join(format!("case.{}", question.format));
        fs::write(&file, &question.vector.bytes.0)?;
        let started = Instant::now();
        let (mut running, blind) = self.start(question, &file, asked.is_some())?;
        running.process.limit(self.address_space);
        let end = running.watch(started + self.deadline, self.is_stopped, asked)?;
        let exit = running.finish()?;
        if (self.is_stopped)() && !matches!(end, End::Exited) {
            return Ok(None);
        }
        let duration = started.elapsed();
        if let End::Late = end {
            return Ok(Some(Attempt::from_incident(Incident::Hung(self.deadline), duration)));
        }
        let told = answer::told(&exit, running.stdout.bytes(), &running.stderr);
        let max_rss_kib = Some(exit.max_rss_kib);
        let mut attempt =
            Attempt { told, sight: None, max_rss_kib, duration, answered_first: false };
        if let Some(asked) = asked.filter(|_| attempt.accepts()) {
            let images = answer::images(&attempt.told);
            attempt.sight = Some(match blind {
                Some(reason) => Sight::none(reason),
                None => observe::at_exit(&running.seen, asked, images, running.held),
            });
        }
        Ok(Some(attempt))
    }

    /// Starts the loader, traced when it is to be observed; the second part says why it is not.
    fn start(
        &self,
        question: &Question<'_>,
        file: &Path,
        observe: bool,
    ) -> io::Result<(Running, Option<String>)> {
        if !observe {
            return Ok((Running::start(&mut self.command(question, file)?, false)?, None));
        }
        let mut traced = self.command(question, file)?;
        trace::trace_me(&mut traced);
        match Running::start(&mut traced, true) {
            Ok(running) => Ok((running, None)),
            Err(error) => {
                let plain = Running::start(&mut self.command(question, file)?, false)?;
                Ok((plain, Some(format!("the process cannot be traced: {error}"))))
            }
        }
    }

    fn command(&self, question: &Question<'_>, file: &Path) -> io::Result<Command> {
        let mut command = command(self.command)?;
        command.arg(file);
        if let Some(call) = &question.vector.call {
            command.args(words(call));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }
}

/// Why a process is not watched any longer.
enum End {
    Exited,
    Late,
    Stopped,
}

/// A running one-shot process.
struct Running {
    process: Process,
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    chunk: Box<[u8]>,
    stdout: Tail,
    stderr: Tail,
    tracer: Option<Tracer>,
    /// Mappings of every process of the family at its exit.
    seen: Vec<Mapping>,
    /// What was found in the process that held the images it had reported, at its exit.
    held: Option<Sight>,
}

impl Running {
    fn start(command: &mut Command, traced: bool) -> io::Result<Self> {
        let mut spawned = process::spawn(command)?;
        let (out, err) = (spawned.child.stdout.take(), spawned.child.stderr.take());
        out.as_ref().map_or(Ok(()), set_nonblocking)?;
        err.as_ref().map_or(Ok(()), set_nonblocking)?;
        let tracer = traced.then(|| Tracer::arm(spawned.process.pid())).transpose()?;
        Ok(Self {
            process: spawned.process,
            out,
            err,
            chunk: vec![0; READ_CHUNK].into_boxed_slice(),
            stdout: Tail::new(MAX_STDOUT),
            stderr: Tail::new(MAX_STDERR),
            tracer,
            seen: Vec::new(),
            held: None,
        })
    }

    fn watch(
        &mut self,
        deadline: Instant,
        is_stopped: &dyn Fn() -> bool,
        asked: Option<&Asked<'_>>,
    ) -> io::Result<End> {
        loop {
            if self.has_ended(asked)? {
                return Ok(End::Exited);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(End::Late);
            }
            if is_stopped() {
                return Ok(End::Stopped);
            }
            let tick = if self.tracer.is_some() { TRACE_TICK } else { TICK };
            let interests = [
                Interest::read(self.out.as_ref()),
                Interest::read(self.err.as_ref()),
                self.process.interest(),
                Interest::None,
            ];
            let ready = poll::wait(interests, self.process.patience(left.min(tick)))?;
            self.read_some()?;
            if ready[2] && self.tracer.is_none() {
                return Ok(End::Exited);
            }
        }
    }

    /// Whether the end is known without waiting. Untraced processes tell through their descriptor.
    fn has_ended(&mut self, asked: Option<&Asked<'_>>) -> io::Result<bool> {
        loop {
            let Some(tracer) = &mut self.tracer else {
                let unseen = matches!(self.process.interest(), Interest::None);
                return Ok(unseen && self.process.has_ended());
            };
            match tracer.poll()? {
                Event::Ended => return Ok(true),
                Event::Exiting(pid) => {
                    self.look(pid, asked)?;
                    Tracer::resume(pid)?;
                }
                Event::Running => return Ok(false),
            }
        }
    }

    /// Looks at a process that stopped at its exit. All that it wrote is in the pipe by now, so where its
    /// images lie is known if it is told at all before the end.
    fn look(&mut self, pid: Pid, asked: Option<&Asked<'_>>) -> io::Result<()> {
        let mappings = mappings(pid).unwrap_or_default();
        take_rest(|| self.read_some())?;
        if let (Some(asked), Ok(Some(reply))) = (asked, answer::last_reply(self.stdout.bytes()))
            && self.held.is_none()
            && !reply.images.is_empty()
        {
            self.held = asked.in_process(pid, &mappings, &reply.images);
        }
        self.seen.extend(mappings);
        Ok(())
    }

    fn read_some(&mut self) -> io::Result<usize> {
        let out = drain(&mut self.out, &mut self.chunk, |bytes| self.stdout.push(bytes))?;
        let err = drain(&mut self.err, &mut self.chunk, |bytes| self.stderr.push(bytes))?;
        Ok(out + err)
    }

    /// Kills what is left of the group, reaps the process and takes what it wrote last,
    /// which is bounded: a descendant that left the group may go on writing.
    fn finish(&mut self) -> io::Result<Exit> {
        let exit = self.process.finish()?;
        if let Some(tracer) = &mut self.tracer {
            tracer.release();
        }
        take_rest(|| self.read_some())?;
        Ok(exit)
    }
}

/// A fresh folder for one case, in memory where the machine has a place for that.
fn fresh_folder() -> io::Result<TempDir> {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    let root = ROOT.get_or_init(|| {
        let shared = PathBuf::from("/dev/shm");
        let writable = tempfile::tempdir_in(&shared).is_ok();
        if writable { shared } else { std::env::temp_dir() }
    });
    tempfile::Builder::new().prefix("blob-").tempdir_in(root)
}
