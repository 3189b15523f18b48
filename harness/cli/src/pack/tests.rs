//! Packs what real compilers write. A missing compiler is a failure that says what to install.
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

mod errors;
mod execution;
mod layout;
mod linker;
mod types;

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{PackError, PackOptions, Packed, PackedFunction, TypesFile, read_object};

/// What every object of these tests is compiled with.
const FLAGS: [&str; 4] =
    ["-ffreestanding", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-g"];

/// A compiler for one machine.
#[derive(Clone, Copy, Debug)]
struct Toolchain {
    prefix: &'static str,
    package: &'static str,
    flags: &'static [&'static str],
}

const X86_64: Toolchain = Toolchain {
    prefix: "x86_64-linux-gnu",
    package: "gcc-x86-64-linux-gnu",
    flags: &["-fPIC", "-fcf-protection=none"],
};
const ARM64: Toolchain =
    Toolchain { prefix: "aarch64-linux-gnu", package: "gcc-aarch64-linux-gnu", flags: &["-fPIC"] };
const X86_32: Toolchain = Toolchain {
    prefix: "i686-linux-gnu",
    package: "gcc-i686-linux-gnu",
    flags: &["-fno-pic", "-fcf-protection=none"],
};

impl Toolchain {
    /// Compiles C source with extra flags (later ones win) and gives the object file.
    fn compile(self, source: &str, extra: &[&str]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("source.c");
        std::fs::write(&file, source).unwrap();
        std::fs::read(self.compile_file(&folder, &file, extra)).unwrap()
    }

    fn compile_file(self, folder: &TempDir, source: &Path, extra: &[&str]) -> PathBuf {
        let object = folder.path().join("source.o");
        let mut command = self.command("gcc");
        command.args(FLAGS).args(self.flags);
        command.args(extra).arg("-c").arg(source).arg("-o").arg(&object);
        self.run(command);
        object
    }

    fn command(self, program: &str) -> Command {
        Command::new(format!("{}-{program}", self.prefix))
    }

    fn run(self, mut command: Command) {
        let output = command.output().unwrap_or_else(|error| {
            panic!("{command:?}: {error}. Install package {} (or gcc).", self.package)
        });
        assert!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// A file of `tests/real`.
fn real(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real").join(name)
}

fn compile_real(toolchain: Toolchain, name: &str, extra: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::read(toolchain.compile_file(&folder, &real(name), extra)).unwrap()
}

fn pack(object: &[u8]) -> Result<Packed, PackError> {
    read_object(object, &PackOptions::default())
}

fn pack_with(object: &[u8], types: &str) -> Result<Packed, PackError> {
    let types = Some(TypesFile::parse(types)?);
    read_object(object, &PackOptions { types })
}

fn function<'a>(packed: &'a Packed, name: &str) -> &'a PackedFunction {
    packed.functions.iter().find(|function| function.name == name).unwrap()
}
