//! The call in a process of its own: whatever it does ends with that process.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use harness_protocol::{Case, FromLoader, Reply, ToLoader, exit, frame};

use super::super::conformance::SERVE_BUILT_IN;
use crate::failure::Failure;

/// How a call ended.
pub(super) enum Answer {
    Reply(Box<Reply>),
    Died(ExitStatus),
    Nonsense,
    Late(Duration),
}

/// Has the built-in loader answer `case` in a process of its own.
pub(super) fn in_child(case: Case, timeout: Duration) -> Result<Answer, Failure> {
    let program =
        std::env::current_exe().map_err(|error| Failure::bug(format!("own path: {error}")))?;
    let mut child = Command::new(program)
        .arg(SERVE_BUILT_IN)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| {
            Failure::new(
                exit::IMPLEMENTATION,
                format!("the child process cannot be started: {error}"),
                None,
            )
        })?;
    let (Some(mut to), Some(mut from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Failure::bug("a piped child has no pipes"));
    };
    let (sender, receiver) = mpsc::channel();
    // Writing may block until the child reads, reading until it answers: neither may outlast the deadline.
    std::thread::spawn(move || {
        let written = frame::write(&mut to, &ToLoader::Case(case));
        let reply = written.and_then(|()| frame::read::<FromLoader>(&mut from));
        let _ = sender.send(reply); // nobody listens any more when the deadline has passed
    });
    match receiver.recv_timeout(timeout) {
        Ok(Ok(Some(FromLoader::Result(reply)))) => {
            end(&mut child);
            Ok(Answer::Reply(Box::new(reply)))
        }
        Ok(_) => {
            // No answer: it has died, or something else came out of its stdout.
            let ended = ended_soon(&mut child);
            end(&mut child);
            Ok(ended.map_or(Answer::Nonsense, Answer::Died))
        }
        Err(_) => {
            end(&mut child);
            Ok(Answer::Late(timeout))
        }
    }
}

/// How long a process may take from closing its pipes to being gone. The kernel does the one before the
/// other; what is still there after this has only closed its stdout.
const GONE: Duration = Duration::from_secs(1);

/// How the process ended, if it does within [`GONE`].
fn ended_soon(child: &mut Child) -> Option<ExitStatus> {
    let start = Instant::now();
    loop {
        let ended = child.try_wait().ok().flatten();
        if ended.is_some() || start.elapsed() > GONE {
            return ended;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn end(child: &mut Child) {
    // It may be gone already, which is what is wanted.
    let _ = child.kill();
    let _ = child.wait();
}
