//! Runs the built program the way a user does.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// What a call of the program gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Checks the exit code, showing everything when it is another.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// The JSON on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// What went wrong, on one line.
    pub(crate) fn cause(&self) -> String {
        self.stderr
            .split_whitespace()
            .filter(|word| *word != "│" && *word != "|")
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// The program in a folder, with arguments.
pub(crate) fn harness_in(folder: &Path, args: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    Ran::of(command.current_dir(folder).args(args).output().unwrap())
}

/// The program with input on stdin.
pub(crate) fn harness_with_input(args: &[&str], input: &[u8]) -> Ran {
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_harness"))
        .args(args)
        .write_stdin(input)
        .output()
        .unwrap();
    Ran::of(output)
}

/// The program in the repository's root.
pub(crate) fn harness(args: &[&str]) -> Ran {
    harness_in(&root(), args)
}

/// A file of this content in a folder of its own.
pub(crate) fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

/// An executable script.
pub(crate) fn script(text: &str) -> (tempfile::TempDir, String) {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, path) = file("loader.sh", text.as_bytes());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    (folder, path)
}

/// The bytes of a vector of the built-in format.
pub(crate) fn vector(id: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vector.bin");
    harness(&["replay", id, "--save", path.to_str().unwrap()]);
    std::fs::read(&path).unwrap()
}

/// The sample loaders that are written in C, built once for each test program.
pub(crate) fn c_loaders() -> &'static Path {
    static BUILT: std::sync::LazyLock<PathBuf> = std::sync::LazyLock::new(|| {
        let out =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("adapters-{}", std::process::id()));
        let out_arg = format!("OUT={}", out.display());
        let built = Command::new("make")
            .arg("-s")
            .arg("-C")
            .arg(root().join("harness/adapters"))
            .arg(out_arg)
            .output();
        let built = built.expect("make builds the C loaders (Debian: make gcc)");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        out
    });
    &BUILT
}

/// `--impl` of the Python loader.
pub(crate) fn python_loader() -> String {
    format!("python3 {}", root().join("harness/adapters/python/scp_loader.py").display())
}
