//! Reading and replacing a deviations file, whoever wrote it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc::O_NONBLOCK;

use crate::limits::{MAX_DEVIATIONS_DEPTH, MAX_DEVIATIONS_FILE};

/// Most names that are tried for the file that is to replace another.
const MAX_NAMES: u32 = 100;

/// The text of the file at `path`.
pub(super) fn read(path: &Path) -> io::Result<String> {
    // Opening a named pipe would wait for a writer.
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let mut text = String::new();
    let taken = file.take(MAX_DEVIATIONS_FILE + 1).read_to_string(&mut text);
    if matches!(taken, Ok(count) if count as u64 <= MAX_DEVIATIONS_FILE) {
        return Ok(text);
    }
    let too_large = fs::metadata(path)?.len() > MAX_DEVIATIONS_FILE;
    match taken {
        Err(error) if !too_large => Err(error),
        _ => {
            let text = format!("it is longer than {MAX_DEVIATIONS_FILE} bytes");
            Err(io::Error::new(io::ErrorKind::FileTooLarge, text))
        }
    }
}

/// Line and column, from 1, at which flow collections are nested too deep. Brackets in quotes and comments
/// count as well: a glob closes what it opens. Nothing but a closing bracket lowers the count, since a
/// collection may go on at the left edge.
pub(super) fn too_deep(text: &str) -> Option<(usize, usize)> {
    let (mut depth, mut line, mut column) = (0_usize, 1, 0);
    for character in text.chars() {
        column += 1;
        match character {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            '\n' => (line, column) = (line + 1, 0),
            _ => {}
        }
        if depth > MAX_DEVIATIONS_DEPTH {
            return Some((line, column));
        }
    }
    None
}

/// Replaces the file at `path`, entirely or not at all. Its mode stays; that of a new one is up to the umask.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let (mut file, fresh) = create_beside(path)?;
    let mut write = || {
        if let Ok(old) = fs::metadata(path) {
            file.set_permissions(old.permissions())?;
        }
        file.write_all(content)?;
        fs::rename(&fresh, path)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&fresh);
    })
}

fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let mut taken = io::Error::from(io::ErrorKind::AlreadyExists);
    for number in 0..MAX_NAMES {
        let fresh = path.with_file_name(format!(".{name}.{}-{number}", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&fresh) {
            Ok(file) => return Ok((file, fresh)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken = error,
            Err(error) => return Err(error),
        }
    }
    Err(taken)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rstest::rstest;

    use super::*;
    use crate::Deviations;

    fn refusal(path: &Path) -> String {
        Deviations::load(path).unwrap_err().to_string()
    }

    #[test]
    fn only_a_regular_file_of_some_size_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [&pipe, folder.path(), Path::new("/dev/zero")] {
            assert!(refusal(path).ends_with("it is no regular file"), "{}", refusal(path));
        }
        let large = folder.path().join("large.yaml");
        let most = usize::try_from(MAX_DEVIATIONS_FILE).unwrap();
        fs::write(&large, "#".repeat(most)).unwrap();
        assert_eq!(Deviations::load(&large).unwrap(), Deviations::default());
        for content in ["#".repeat(most + 1), format!("{}é", "#".repeat(most))] {
            fs::write(&large, content).unwrap();
            assert!(refusal(&large).ends_with("is longer than 1048576 bytes"));
        }
        fs::write(&large, b"\xff").unwrap();
        assert!(refusal(&large).contains("UTF-8"));
    }

    #[rstest]
    #[case::list("a: ", "[", "d.yaml:1:68: ")]
    #[case::at_the_left_edge("", "[\na,", "d.yaml:65:3: ")]
    #[case::map("b: 1\na:\n  ", "{a: ", "d.yaml:3:259: ")]
    fn deep_nesting_is_refused_at_once(#[case] start: &str, #[case] open: &str, #[case] at: &str) {
        let text = format!("{start}{}", open.repeat(200_000));
        let error = Deviations::parse(&text, Path::new("d.yaml")).unwrap_err().to_string();
        assert_eq!(error, format!("{at}collections are nested more than 64 deep"));
    }

    #[test]
    fn shallow_nesting_is_not() {
        assert_eq!(too_deep(&format!("a: {}", "[".repeat(MAX_DEVIATIONS_DEPTH))), None);
        assert_eq!(too_deep(&"- {a: [b]}\n".repeat(1000)), None);
    }

    #[test]
    fn the_mode_stays_and_a_new_file_is_as_any_other() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (kept, new, any) =
            (folder.path().join("kept"), folder.path().join("new"), folder.path().join("any"));
        fs::write(&kept, "").unwrap();
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o664)).unwrap();
        fs::write(&any, "").unwrap();
        Deviations::default().save(&kept).unwrap();
        Deviations::default().save(&new).unwrap();
        assert_eq!((mode(&kept), mode(&new)), (0o664, mode(&any)));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
        assert!(Deviations::default().save(&folder.path().join("no/folder")).is_err());
    }
}
