//! Reading what the command line names.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use harness_codec::limits::MAX_FILE;

use crate::failure::Failure;

/// The name that means standard input.
pub(crate) const STDIN: &str = "-";

/// How `path` is shown in messages.
pub(crate) fn display(path: &Path) -> String {
    if path == Path::new(STDIN) { "standard input".to_owned() } else { path.display().to_string() }
}

/// The whole content of `path`, at most [`MAX_FILE`] bytes; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    if path == Path::new(STDIN) {
        read_capped(&mut std::io::stdin().lock(), &mut bytes)
            .map_err(|error| unreadable(path, &error))?;
    } else {
        let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
        if metadata.is_dir() {
            return Err(Failure::usage(format!("{}: is a directory, not a file", path.display())));
        }
        // Sparse files claim any size without having it: refuse before reading.
        if metadata.len() > MAX_FILE as u64 {
            return Err(too_large(path, Some(metadata.len())));
        }
        read_capped(&mut file, &mut bytes).map_err(|error| unreadable(path, &error))?;
    }
    if bytes.len() > MAX_FILE { Err(too_large(path, None)) } else { Ok(bytes) }
}

fn read_capped(stream: &mut impl std::io::Read, bytes: &mut Vec<u8>) -> std::io::Result<usize> {
    stream.take(MAX_FILE as u64 + 1).read_to_end(bytes)
}

fn too_large(path: &Path, size: Option<u64>) -> Failure {
    let size = size.map_or_else(|| "larger".to_owned(), |size| format!("{size} bytes"));
    Failure::usage(format!("{}: is {size}, at most {MAX_FILE} bytes are read", display(path)))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let why = match error.kind() {
        ErrorKind::NotFound => "no such file".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "is a directory, not a file".to_owned(),
        _ => error.to_string(),
    };
    Failure::usage(format!("{}: {why}", display(path)))
}

/// Writes `bytes` to `path`; `-` is standard output. A regular file is replaced whole or not at all, with the
/// permissions that a new file gets; anything else that is there (a device, a pipe) is written to.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if path == Path::new(STDIN) {
        crate::output::bytes(bytes);
        return Ok(());
    }
    let fail = |error: std::io::Error| {
        Failure::usage(format!("{}: cannot be written: {error}", path.display()))
    };
    // A link is followed: what it points to is the file that is meant.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if std::fs::metadata(&target).is_ok_and(|metadata| !metadata.is_file()) {
        return std::fs::write(&target, bytes).map_err(fail);
    }
    let folder =
        target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(fail)?;
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let fresh = folder.join(format!(".{name}.{}.part", std::process::id()));
    let written = std::fs::write(&fresh, bytes).and_then(|()| std::fs::rename(&fresh, &target));
    written.map_err(|error| {
        // Best effort: it may never have come to be.
        let _ = std::fs::remove_file(&fresh);
        fail(error)
    })
}
