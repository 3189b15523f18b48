//! What can go wrong with a process, apart from a wrong answer.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::limits::MAX_CRASH_STDERR;
use crate::sys::wait::Exit;
use crate::{Crash, Outcome};

use super::tail::Tail;

/// Why a process is of no use any more.
#[derive(Clone, Debug)]
pub(crate) enum Incident {
    /// It died.
    Died(Crash),
    /// It did not answer in time.
    Hung(Duration),
    /// It wrote something that is not an answer.
    Protocol(String),
}

impl Incident {
    /// How a case ends that this happened to.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Died(_) => Outcome::Crash,
            Self::Hung(_) => Outcome::Hang,
            Self::Protocol(_) => Outcome::Protocol,
        }
    }

    /// The crash record, when it died.
    pub(crate) fn crash(&self) -> Option<&Crash> {
        match self {
            Self::Died(crash) => Some(crash),
            Self::Hung(_) | Self::Protocol(_) => None,
        }
    }
}

impl std::fmt::Display for Incident {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Died(crash) => crash.fmt(f),
            Self::Hung(deadline) => write!(f, "no answer within {} ms", deadline.as_millis()),
            Self::Protocol(text) => f.write_str(text),
        }
    }
}

/// The record of a process that ended with `exit` after writing `stderr`.
pub(crate) fn crash(exit: &Exit, stderr: &Tail) -> Crash {
    use std::os::unix::process::ExitStatusExt;
    let signal = exit.status.signal().map(|number| {
        Signal::try_from(number)
            .map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
    });
    Crash { signal, exit_code: exit.status.code(), stderr: stderr.text(MAX_CRASH_STDERR) }
}
