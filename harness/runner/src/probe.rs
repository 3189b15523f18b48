//! From the text of `--impl` to an implementation.
//!
//! `pipe:CMD`, `oneshot:CMD` and `dylib:PATH` say what they are. A plain text is probed: a shared object
//! that exports `blob_describe` is a library; a program that answers hello is a pipe; anything else that
//! can be started is one-shot.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use harness_protocol::{Describe, PROTOCOL_VERSION, Want};

use crate::connection::session::{Greeting, Session};
use crate::limits::HANDSHAKE;
use crate::text::cut;
use crate::{Connection, Implementation, StartError};

mod library;

/// How to look for an implementation.
#[derive(Clone, Debug)]
pub struct ProbeOptions {
    /// Program and arguments that host a shared library; its path is appended.
    pub host_command: Vec<OsString>,
    /// How long hello may take.
    pub handshake: Duration,
    /// Version of the harness, told to the loader.
    pub harness_version: String,
    /// Set when the user wants to stop.
    pub stop: Option<Arc<AtomicBool>>,
}

impl Default for ProbeOptions {
    fn default() -> Self {
        Self {
            host_command: Vec::new(),
            handshake: HANDSHAKE,
            harness_version: env!("CARGO_PKG_VERSION").into(),
            stop: None,
        }
    }
}

/// The text of `--impl`.
#[derive(Clone, Copy, Debug)]
pub struct Target;

impl Target {
    /// Finds the implementation that `text` names, starting it once where it must be asked.
    ///
    /// # Errors
    /// When there is nothing to start, or when what was started does not answer as its kind demands.
    pub fn parse(text: &str, options: &ProbeOptions) -> Result<Implementation, StartError> {
        if let Some(command) = text.strip_prefix("pipe:") {
            return pipe(text, words(command)?, options);
        }
        if let Some(command) = text.strip_prefix("oneshot:") {
            return Ok(one_shot(text, words(command)?));
        }
        if let Some(path) = text.strip_prefix("dylib:") {
            return dylib(text, Path::new(path), options);
        }
        let path = Path::new(text);
        if path.is_file() && library::exports_describe(path).unwrap_or(false) {
            return dylib(text, path, options);
        }
        let command = words(text)?;
        match greet(&command, options) {
            Ok(describe) => Ok(piped(text, command, describe)),
            Err(StartError::Handshake { .. }) => Ok(one_shot(text, command)),
            Err(error) => Err(error),
        }
    }
}

fn pipe(
    text: &str,
    command: Vec<OsString>,
    options: &ProbeOptions,
) -> Result<Implementation, StartError> {
    let describe = greet(&command, options)?;
    Ok(piped(text, command, describe))
}

fn piped(text: &str, command: Vec<OsString>, describe: Describe) -> Implementation {
    let connection = Connection::Pipe { command };
    // The cap on the address space of a pipe counts from hello, when shadow memory is already mapped.
    Implementation { text: text.into(), describe, connection, sanitized: false }
}

fn one_shot(text: &str, command: Vec<OsString>) -> Implementation {
    let program = command.first().map(PathBuf::from).unwrap_or_default();
    // `python3 check.py` is the loader check.py.
    let named = command.iter().map(Path::new).rfind(|word| word.is_file());
    let name = named.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let describe = Describe {
        protocol: PROTOCOL_VERSION,
        name: name.unwrap_or_default(),
        wants: vec![Want::Validate, Want::Load, Want::Call],
        ..Describe::default()
    };
    let sanitized = library::is_sanitized(&program);
    Implementation {
        text: text.into(),
        describe,
        connection: Connection::OneShot { command },
        sanitized,
    }
}

fn dylib(text: &str, path: &Path, options: &ProbeOptions) -> Result<Implementation, StartError> {
    let path = existing(path)?;
    match library::exports_describe(&path) {
        Ok(true) => {}
        Ok(false) => {
            let reason = "is a shared object, but exports no `blob_describe`".into();
            return Err(StartError::NotLibrary { path, reason });
        }
        Err(reason) => return Err(StartError::NotLibrary { path, reason }),
    }
    if options.host_command.is_empty() {
        return Err(StartError::NoHost { path });
    }
    let mut command = options.host_command.clone();
    command.push(path.clone().into_os_string());
    let describe = greet(&command, options)?;
    let connection = Connection::Dylib { path, command };
    Ok(Implementation { text: text.into(), describe, connection, sanitized: false })
}

/// Starts `command` once and asks for its description.
fn greet(command: &[OsString], options: &ProbeOptions) -> Result<Describe, StartError> {
    let program = program_name(command);
    let greeting = Greeting {
        harness_version: options.harness_version.clone(),
        handshake: options.handshake,
        case_deadline: options.handshake,
        address_space: None,
        stop: options.stop.clone(),
    };
    let session = match Session::open(command, &greeting) {
        Ok(Ok(session)) => session,
        Ok(Err(incident)) => {
            let cause = cut(&incident.to_string().replace('\n', " "));
            return Err(StartError::Handshake { program, cause });
        }
        Err(source) => return Err(StartError::Spawn { program, source }),
    };
    let describe = session.describe().clone();
    if describe.protocol != PROTOCOL_VERSION {
        return Err(StartError::Version { program, theirs: describe.protocol });
    }
    Ok(describe)
}

pub(crate) fn program_name(command: &[OsString]) -> String {
    command.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Program and arguments: the file of that name when there is one, else words as a shell splits them.
fn words(text: &str) -> Result<Vec<OsString>, StartError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(StartError::Empty);
    }
    if Path::new(text).exists() {
        return Ok(vec![program(Path::new(text))?.into_os_string()]);
    }
    let words = shell_words::split(text)
        .map_err(|source| StartError::Words { text: text.into(), source })?;
    let (first, arguments) = words.split_first().ok_or(StartError::Empty)?;
    let mut command = vec![program(Path::new(first))?.into_os_string()];
    command.extend(arguments.iter().map(OsString::from));
    Ok(command)
}

/// The executable that `name` means: the file of that name, else the first one in PATH.
fn program(name: &Path) -> Result<PathBuf, StartError> {
    let in_path = || {
        let folders = env::var_os("PATH")?;
        let mut found = env::split_paths(&folders).map(|folder| folder.join(name));
        found.find(|path| path.is_file() && is_executable(path).unwrap_or(false))
    };
    let bare = name.components().count() == 1 && !name.exists();
    if bare && let Some(path) = in_path() {
        return Ok(path);
    }
    let path = existing(name)?;
    match is_executable(&path) {
        Ok(true) => Ok(path),
        _ => Err(StartError::NotExecutable { path }),
    }
}

/// The absolute path of an existing file.
fn existing(path: &Path) -> Result<PathBuf, StartError> {
    if path.is_dir() {
        return Err(StartError::Directory { path: path.into() });
    }
    if !path.exists() {
        return Err(StartError::NotFound { path: path.into() });
    }
    std::path::absolute(path).map_err(|_| StartError::NotFound { path: path.into() })
}

fn is_executable(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o111 != 0)
}
