//! An implementation under test: what it is and how to reach it.

use std::ffi::OsString;
use std::path::PathBuf;

use harness_protocol::{Describe, PROTOCOL_VERSION};

/// An implementation that was found and answered (or is one-shot and cannot be asked).
#[derive(Clone, Debug)]
pub struct Implementation {
    /// What the user wrote.
    pub text: String,
    /// What it says about itself. A one-shot loader says nothing: its name is that of the program, no
    /// format or architecture is declared (which means any), and it is asked for everything.
    pub describe: Describe,
    /// How to reach it.
    pub connection: Connection,
    /// Built with a sanitizer, whose shadow memory is far larger than any cap on the address space.
    pub sanitized: bool,
}

/// A way to reach an implementation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Connection {
    /// One process answers many cases.
    Pipe {
        /// Program and arguments.
        command: Vec<OsString>,
    },
    /// One process per case.
    OneShot {
        /// Program and arguments; the file comes after them.
        command: Vec<OsString>,
    },
    /// A shared library in a host process that speaks the pipe protocol.
    Dylib {
        /// The library.
        path: PathBuf,
        /// The host with its arguments; the last one is the library.
        command: Vec<OsString>,
    },
}

impl Connection {
    /// The word before the colon in `--impl`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Pipe { .. } => "pipe",
            Self::OneShot { .. } => "oneshot",
            Self::Dylib { .. } => "dylib",
        }
    }

    /// Program and arguments of the process that is started.
    #[must_use]
    pub fn command(&self) -> &[OsString] {
        match self {
            Self::Pipe { command } | Self::OneShot { command } | Self::Dylib { command, .. } => {
                command
            }
        }
    }
}

/// Why an implementation cannot be used. Every text is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The text names no program.
    #[error("no program is named")]
    Empty,
    /// The text has an unclosed quote.
    #[error("`{text}` cannot be split into words: {source}")]
    Words {
        /// What the user wrote.
        text: String,
        /// What is wrong with it.
        source: shell_words::ParseError,
    },
    /// There is no such file, here or in PATH.
    #[error("{}: no such file, here or in PATH", path.display())]
    NotFound {
        /// The program.
        path: PathBuf,
    },
    /// It is a directory.
    #[error("{}: is a directory, not a program", path.display())]
    Directory {
        /// The path.
        path: PathBuf,
    },
    /// The file may not be executed.
    #[error("{}: is not executable (chmod +x?)", path.display())]
    NotExecutable {
        /// The program.
        path: PathBuf,
    },
    /// The file is not a shared library with the four functions.
    #[error("{}: {reason}", path.display())]
    NotLibrary {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// No host program was given for shared libraries.
    #[error("{}: no host program for shared libraries was given", path.display())]
    NoHost {
        /// The library.
        path: PathBuf,
    },
    /// The operating system did not start it.
    #[error("{program}: cannot be started: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It was started and did not answer hello.
    #[error("{program}: no hello: {cause}")]
    Handshake {
        /// The program.
        program: String,
        /// What it did instead.
        cause: String,
    },
    /// It speaks another version of the protocol.
    #[error("{program}: speaks protocol version {theirs}, this harness speaks {PROTOCOL_VERSION}")]
    Version {
        /// The program.
        program: String,
        /// The version it named.
        theirs: u32,
    },
}
