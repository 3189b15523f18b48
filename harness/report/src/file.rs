//! Writing a file entirely or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::ReportError;

/// Writes `content` to `name` in `folder`, which is created when it is missing. A reader sees the old file
/// or the new one, never a part.
///
/// # Errors
/// When the file system refuses.
pub fn write_atomically(folder: &Path, name: &str, content: &[u8]) -> Result<(), ReportError> {
    let path = folder.join(name);
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(content)?;
        make_readable(&file)?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|source| ReportError::File { path: path.clone(), source })
}

/// Temporary files are private; reports are for whoever may read the folder.
#[cfg(unix)]
fn make_readable(file: &NamedTempFile) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_: &NamedTempFile) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_replaces_the_last_one() {
        let folder = tempfile::tempdir().unwrap();
        let latest = folder.path().join("reports/latest");
        write_atomically(&latest, "report.json", b"old").unwrap();
        write_atomically(&latest, "report.json", b"new").unwrap();
        assert_eq!(fs::read(latest.join("report.json")).unwrap(), b"new");
        assert_eq!(fs::read_dir(&latest).unwrap().count(), 1);
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("reports"), b"").unwrap();
        let error = write_atomically(&folder.path().join("reports"), "a", b"").unwrap_err();
        assert!(error.to_string().contains("reports"), "{error}");
    }
}
