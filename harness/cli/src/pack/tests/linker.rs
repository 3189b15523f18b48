//! A real linker, told to lay the sections out as pack does, writes the same bytes.

use std::path::Path;

use tempfile::TempDir;

use super::{ARM64, Toolchain, X86_32, X86_64, pack, real};

/// All in one section at address 0, gaps filled with zeros as in a blob.
const SCRIPT: &str = "SECTIONS {
  .blob 0 : { *(.text .text.*) *(.rodata .rodata.*) } =0
  /DISCARD/ : { *(.eh_frame) *(.comment) *(.note*) *(.debug*) }
}
";

/// What the linker makes of an object.
fn link(toolchain: Toolchain, folder: &TempDir, object: &Path) -> Vec<u8> {
    let [script, linked, binary] =
        ["blob.ld", "linked", "blob"].map(|name| folder.path().join(name));
    std::fs::write(&script, SCRIPT).unwrap();
    let mut linker = toolchain.command("ld");
    linker
        .args(["-pie", "--no-dynamic-linker", "-e", "0", "-T"])
        .arg(&script)
        .arg(object)
        .arg("-o")
        .arg(&linked);
    toolchain.run(linker);
    let mut extract = toolchain.command("objcopy");
    extract.args(["-O", "binary", "-j", ".blob"]).args([&linked, &binary]);
    toolchain.run(extract);
    std::fs::read(binary).unwrap()
}

fn compare(toolchain: Toolchain, name: &str, extra: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let object = toolchain.compile_file(&folder, &real(name), extra);
    let packed = pack(&std::fs::read(&object).unwrap()).unwrap();
    let linked = link(toolchain, &folder, &object);
    let first = packed.blob.iter().zip(&linked).position(|(ours, theirs)| ours != theirs);
    assert_eq!(first, None, "{toolchain:?} {name} {extra:?}: first difference");
    assert_eq!(packed.blob.len(), linked.len(), "{toolchain:?} {name} {extra:?}: length");
}

#[test]
fn functions_are_linked_alike() {
    for level in ["-O0", "-O2"] {
        compare(X86_64, "functions.c", &[level]);
        compare(ARM64, "functions.c", &[level]);
        compare(X86_32, "functions.c", &[level]);
    }
}

#[test]
fn tables_are_linked_alike() {
    for level in ["-O0", "-O2"] {
        compare(X86_64, "tables.c", &[level]);
        // Without tables of addresses, which GNU ld keeps on this machine and pack does not.
        compare(ARM64, "tables.c", &[level, "-fno-pic"]);
    }
}
