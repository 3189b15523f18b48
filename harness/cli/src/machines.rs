//! Which machine runs a call: the native one where the processor is the module's, else the emulator.

use harness_protocol::exit;
use harness_sandbox::emulated::Emulated;
use harness_sandbox::native::Native;
use harness_sandbox::{Architecture, Machine, MachineError};

use crate::failure::Failure;

/// How the emulator is built, since it is a program of its own.
const BUILD: &str = "build it with `cargo build --release --manifest-path harness/emulator/Cargo.toml --target-dir target` \
                     (needs cmake and libclang-dev), or name it in HARNESS_EMULATOR";

/// Whose instructions the processor here runs natively.
pub(crate) fn native_architecture() -> Option<Architecture> {
    match std::env::consts::ARCH {
        "x86_64" => Some(Architecture::X86_64),
        "aarch64" => Some(Architecture::Arm64),
        _ => None,
    }
}

/// Whether the emulator is built.
pub(crate) fn has_emulator() -> bool {
    Emulated::find().is_some()
}

/// The machine for a module: the native one where there is one, unless emulation is asked for.
pub(crate) fn start(
    architecture: Architecture,
    emulate: bool,
) -> Result<Box<dyn Machine>, Failure> {
    if !emulate && native_architecture() == Some(architecture) {
        return native();
    }
    if !has_emulator() {
        let message = if emulate {
            "the emulator is not built".to_owned()
        } else {
            format!("only the emulator runs {architecture} code here, and it is not built")
        };
        return Err(Failure::new(exit::IMPLEMENTATION, message, Some(BUILD.to_owned())));
    }
    emulated()
}

/// The native machine.
pub(crate) fn native() -> Result<Box<dyn Machine>, Failure> {
    Native::start()
        .map(|machine| Box::new(machine) as Box<dyn Machine>)
        .map_err(|error| failure(&error))
}

/// The emulator.
pub(crate) fn emulated() -> Result<Box<dyn Machine>, Failure> {
    let path = Emulated::find().ok_or_else(|| {
        Failure::new(exit::IMPLEMENTATION, "the emulator is not built", Some(BUILD.to_owned()))
    })?;
    Emulated::start(path)
        .map(|machine| Box::new(machine) as Box<dyn Machine>)
        .map_err(|error| failure(&error))
}

/// A machine that does not do what it is there for, or is asked for what it does not have.
pub(crate) fn failure(error: &MachineError) -> Failure {
    let (code, help) = match error {
        MachineError::Setup { machine: "native", .. } => {
            (exit::USAGE, Some("the emulator has other limits: --emulate".to_owned()))
        }
        MachineError::Setup { .. } => (exit::USAGE, None),
        MachineError::Start { machine: "emulated", .. } => {
            let named = std::env::var_os("HARNESS_EMULATOR").is_some();
            let help = named.then(|| "HARNESS_EMULATOR names this program".to_owned());
            (exit::IMPLEMENTATION, help)
        }
        _ => (exit::IMPLEMENTATION, None),
    };
    Failure::new(code, error.to_string(), help)
}
