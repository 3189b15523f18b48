//! gdb, stopped before the first instruction of a function, with memory and registers as a sandbox has them.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::Command;

use blobspec::Format;
use harness_protocol::{Vector, Want, exit};
use harness_sandbox::job::plan;
use harness_sandbox::registers::X86_64_NAMES;
use harness_sandbox::{Architecture, Calls, Registers, Setup, module};

use super::super::cross_check::job;
use super::elf;
use crate::execution::{default_base, unloadable};
use crate::failure::{CommandResult, Failure};
use crate::machines;

/// Starts gdb on the call of `vector`, and waits for it.
pub(super) fn debug(format: &Format, vector: &Vector, args: &[OsString]) -> CommandResult {
    if vector.want != Want::Call {
        return Err(Failure::usage(format!(
            "{} calls nothing: there is nothing to debug",
            vector.id
        )));
    }
    let file = &vector.bytes.0;
    let interface =
        module::interface(format, file).map_err(|error| unloadable(&vector.id, &error))?;
    let architecture = interface.architecture;
    let here = machines::native_architecture();
    if architecture != Architecture::X86_64 || here != Some(architecture) {
        return Err(Failure::usage_with(
            format!("gdb runs no {architecture} code here"),
            "only x86_64 code on an x86_64 machine is debugged; --emulate shows what others do",
        ));
    }
    let base = default_base(architecture);
    let module = module::load(format, file, base, &vector.imports)
        .map_err(|error| unloadable(&vector.id, &error))?;
    let mut job = job(vector, &module).map_err(Failure::usage)?;
    job.calls = Calls::Once;
    let entry = job.entry;
    let plan = plan(&module.program, job).map_err(|error| Failure::usage(error.to_string()))?;
    let folder = tempfile::tempdir().map_err(cannot_write)?;
    let program = folder.path().join("call");
    let script = folder.path().join("commands.gdb");
    let image = elf::executable(&module.program, &plan.setup, entry);
    std::fs::write(&program, image).map_err(cannot_write)?;
    std::fs::write(&script, commands(&plan.setup)).map_err(cannot_write)?;
    executable(&program).map_err(cannot_write)?;
    // What is on the command line after the script comes after it.
    let status = Command::new("gdb")
        .arg("-q")
        .arg("-nx")
        .arg("-x")
        .arg(&script)
        .args(args)
        .arg(&program)
        .status();
    match status {
        Ok(status) if status.success() => Ok(exit::OK),
        Ok(status) => {
            Err(Failure::new(exit::NONCONFORMANT, format!("gdb ended with {status}"), None))
        }
        Err(error) => Err(Failure::usage_with(
            format!("gdb cannot be started: {error}"),
            "it is in the package gdb of most distributions",
        )),
    }
}

fn executable(program: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o700))
}

#[expect(clippy::needless_pass_by_value, reason = "errors are mapped by value")]
fn cannot_write(error: std::io::Error) -> Failure {
    Failure::usage(format!("a temporary folder cannot be written: {error}"))
}

/// What gdb does first: start the program, stop before its first instruction, set every register.
fn commands(setup: &Setup) -> String {
    let mut text = "set confirm off\nset pagination off\nset startup-with-shell off\n\
                    set disassembly-flavor intel\nset print asm-demangle off\nstarti\ncatch syscall\n"
        .to_owned();
    let Some(Registers::X86_64(registers)) = setup.calls.first().map(|call| &call.registers) else {
        return text;
    };
    let mut set = |name: &str, value: u64| {
        let _ = writeln!(text, "set ${name} = {value:#x}"); // a String takes everything
    };
    for (name, value) in X86_64_NAMES.iter().zip(registers.general) {
        set(name, value);
    }
    set("eflags", registers.rflags);
    set("mxcsr", registers.mxcsr.into());
    set("fctrl", registers.fpu_control.into());
    for (number, value) in registers.xmm.iter().enumerate() {
        let (low, high) = (*value as u64, (*value >> 64) as u64);
        set(&format!("xmm{number}.v2_int64[0]"), low);
        set(&format!("xmm{number}.v2_int64[1]"), high);
    }
    text
}
