//! The emulator as the emulated machine sees it: each test starts the built program.

mod arm64;
mod cases;
mod runs;
mod x86_32;
mod x86_64;

use harness_sandbox::emulated::Emulated;
use harness_sandbox::{Machine, Report, Setup};

/// A machine around the program that was built for this test.
fn machine() -> Emulated {
    Emulated::start(env!("CARGO_BIN_EXE_harness-emulator")).expect("it starts")
}

/// Runs `setup` in an emulator of its own.
fn run(setup: &Setup) -> Report {
    machine().run(setup).expect("it runs")
}
