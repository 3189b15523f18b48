//! One running emulator: the process, and two threads that keep its pipes moving, so that neither side waits
//! for the other to read.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::wire::{self, Answer, Hello};
use crate::limits::{EMULATOR_BUFFER, EMULATOR_START};

/// A running emulator that said the right version.
pub(super) struct Process {
    child: Child,
    /// Frames to write; the writer thread ends with it.
    frames: Sender<Vec<u8>>,
    /// What was read; closed when the emulator ends.
    answers: Receiver<io::Result<Answer>>,
}

/// Why there is no answer.
pub(super) enum Silence {
    /// The process ended or said nonsense.
    Ended(String),
    /// It said nothing for this long.
    Deadline(Duration),
}

impl Process {
    /// Starts `program` and exchanges versions with it.
    pub(super) fn start(program: &Path) -> Result<Self, String> {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|why| format!("{}: {why}", program.display()))?;
        let (frames, to_write) = channel();
        let (hello_sender, hello) = channel();
        let (answer_sender, answers) = channel();
        if let Some(stdin) = child.stdin.take() {
            thread::spawn(move || write_all(stdin, &to_write));
        }
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || read_all(stdout, &hello_sender, &answer_sender));
        }
        let process = Self { child, frames, answers };
        process.send(wire::encode(&Hello::OURS).map_err(|why| why.to_string())?);
        match hello.recv_timeout(EMULATOR_START) {
            Ok(Ok(Hello::OURS)) => Ok(process),
            Ok(Ok(other)) => Err(format!(
                "{} speaks version {} of the protocol, this program {}",
                program.display(),
                other.protocol,
                Hello::OURS.protocol
            )),
            Ok(Err(why)) => Err(format!("{} does not answer: {why}", program.display())),
            Err(_) => Err(format!("{} said nothing for {EMULATOR_START:?}", program.display())),
        }
    }

    /// Hands a frame to the writer. When the process is gone, so is the frame; [`Self::answer`] will tell.
    pub(super) fn send(&self, frame: Vec<u8>) {
        // An error says that the writer saw the pipe break.
        let _ = self.frames.send(frame);
    }

    /// The next answer, waiting no longer than `patience`.
    pub(super) fn answer(&self, patience: Duration) -> Result<Answer, Silence> {
        match self.answers.recv_timeout(patience) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(why)) => Err(Silence::Ended(format!("it said nonsense: {why}"))),
            Err(RecvTimeoutError::Timeout) => Err(Silence::Deadline(patience)),
            Err(RecvTimeoutError::Disconnected) => Err(Silence::Ended("it ended".into())),
        }
    }

    /// The process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    /// It holds nothing that must be saved.
    fn drop(&mut self) {
        // Errors say that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes frames until there are no more senders or the pipe breaks; flushes when nothing is waiting.
fn write_all(stdin: ChildStdin, frames: &Receiver<Vec<u8>>) {
    let mut stdin = BufWriter::with_capacity(EMULATOR_BUFFER, stdin);
    while let Ok(first) = frames.recv() {
        let mut all = std::iter::once(first).chain(frames.try_iter());
        let written = all.try_for_each(|frame| stdin.write_all(&frame));
        if written.and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

/// Reads a hello, then answers, until the stream ends, says nonsense or nobody listens.
fn read_all(
    stdout: ChildStdout,
    hello: &Sender<io::Result<Hello>>,
    answers: &Sender<io::Result<Answer>>,
) {
    let mut stdout = BufReader::with_capacity(EMULATOR_BUFFER, stdout);
    let first = read_one(&mut stdout);
    let good = first.is_ok();
    if hello.send(first).is_err() || !good {
        return;
    }
    loop {
        match wire::read(&mut stdout) {
            Ok(None) => return,
            Ok(Some(answer)) => {
                if answers.send(Ok(answer)).is_err() {
                    return;
                }
            }
            Err(why) => {
                // Nobody listens when the process was given up.
                let _ = answers.send(Err(why));
                return;
            }
        }
    }
}

fn read_one(stdout: &mut impl Read) -> io::Result<Hello> {
    wire::read(stdout)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
