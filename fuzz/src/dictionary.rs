//! The dictionary without a flag: libFuzzer knows one only from its command line, so a target that was
//! started without one starts itself again with it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Replaces this process by the same program with `-dict=` of the committed dictionary of `format`. Returns
/// when the command line already names a dictionary or there is none to name, such as on another machine.
pub fn start_with_dictionary(format: &str) {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/dict"));
    let dictionary = folder.join(format).with_extension("dict");
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (Some(flag), Ok(program)) =
        (missing_flag(&arguments, &dictionary), std::env::current_exe())
    else {
        return;
    };
    let error = Command::new(program).arg(flag).args(arguments).exec();
    eprintln!("fuzzing without {}: {error}", dictionary.display());
}

/// The flag that is to be added to `arguments`.
fn missing_flag(arguments: &[OsString], dictionary: &Path) -> Option<OsString> {
    let named = arguments.iter().any(|argument| argument.as_encoded_bytes().starts_with(b"-dict="));
    let mut flag = OsString::from("-dict=");
    flag.push(dictionary);
    (!named && dictionary.is_file()).then_some(flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(arguments: &[&str], dictionary: &Path) -> Option<OsString> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        missing_flag(&arguments, dictionary)
    }

    #[test]
    fn the_flag_is_added_once() {
        let dictionary = Path::new(env!("CARGO_MANIFEST_DIR")).join("dict/scp.dict");
        let added = flag(&["-runs=1"], &dictionary).unwrap();
        assert!(added.to_string_lossy().ends_with("/dict/scp.dict"), "{added:?}");
        assert_eq!(flag(&["-runs=1", &added.to_string_lossy()], &dictionary), None);
        assert_eq!(flag(&["-dict=/another"], &dictionary), None);
    }

    #[test]
    fn no_dictionary_no_flag() {
        assert_eq!(flag(&[], Path::new("/no/such/file")), None);
    }
}
