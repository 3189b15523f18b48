//! How many short cases a second the emulator runs, and whether its memory stays flat: 100,000 cases of each
//! architecture, every one with code that the one before did not have.
//!
//! ```sh
//! cargo build --release --manifest-path harness/emulator/Cargo.toml
//! cargo run --release --manifest-path harness/emulator/Cargo.toml --example throughput -- target/release/harness-emulator
//! ```
//!
//! The rate of one core is by the emulator's own time on the processor; the other one is by the clock, with client
//! and emulator side by side.

#[path = "../tests/emulator/cases.rs"]
#[expect(dead_code, reason = "of what the tests use only some is needed")]
mod cases;

use std::error::Error;
use std::time::{Duration, Instant};

use harness_sandbox::emulated::Emulated;
use harness_sandbox::{Architecture, Machine, Setup, StopReason};

/// Cases of each architecture.
const CASES: u32 = 100_000;

/// Cases that are sent at once.
const BATCH: u32 = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let program = std::env::args_os().nth(1).map(Into::into).or_else(Emulated::find);
    let program = program.ok_or("say where harness-emulator is")?;
    for architecture in [Architecture::X86_64, Architecture::Arm64, Architecture::X86_32] {
        let mut machine = Emulated::start(&program)?;
        let (mut first, mut last) = (None, 0);
        let mut wall = Duration::ZERO;
        for batch in 0..CASES / BATCH {
            let setups: Vec<Setup> = (0..BATCH)
                .map(|n| cases::setup(architecture, &code(architecture, batch * BATCH + n)))
                .collect();
            let started = Instant::now();
            let reports = machine.run_batch(&setups)?;
            wall += started.elapsed();
            if reports.iter().any(|report| report.stops[0].reason != StopReason::Landed) {
                return Err("a case did not return".into());
            }
            last = cases::resident(machine.process_id().ok_or("no emulator runs")?);
            first.get_or_insert(last);
        }
        let cpu = processor_time(machine.process_id().ok_or("no emulator runs")?)?;
        println!(
            "{architecture}: {:.0} cases/s of one core, {:.0} cases/s by the clock; {} KiB in use after {BATCH} cases, {} KiB after {CASES}",
            f64::from(CASES) / cpu.as_secs_f64(),
            f64::from(CASES) / wall.as_secs_f64(),
            first.unwrap_or_default() >> 10,
            last >> 10,
        );
    }
    Ok(())
}

/// Adds up a little, stores it, returns: about ten instructions, with `n` in one of them.
fn code(architecture: Architecture, n: u32) -> Vec<u8> {
    if architecture == Architecture::Arm64 {
        let n = n & 0xffff;
        return cases::words(&[
            0xd280_0000 | n << 5, // movz x0, n
            0xaa00_03e9,          // mov x9, x0
            0x8b09_0129,          // add x9, x9, x9
            0xf81f_0fe9,          // str x9, [sp, #-16]!
            0xf841_07ea,          // ldr x10, [sp], #16
            0xeb0a_013f,          // cmp x9, x10
            0x5400_0041,          // b.ne .+8
            0x8b0a_0000,          // add x0, x0, x10
            0xd65f_03c0,          // ret
        ]);
    }
    let mut code = vec![0xb8];
    code.extend(n.to_le_bytes());
    code.extend(b"\x89\xc1\x01\xc9\x51\x5a\x39\xd1\x75\x02\x01\xd0\xc3"); // mov, add, push, pop, cmp, jne, add, ret
    code
}

/// The time that a process has had a processor, to a hundredth of a second.
fn processor_time(process: u32) -> Result<Duration, Box<dyn Error>> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no such process")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(10 * ticks)) // USER_HZ is 100 on every Linux
}
