//! Four threads call a module while a fifth reloads it ten thousand times.
//!
//! `cargo run --release -p reference-loader --example reload_storm [RELOADS]`
//!
//! Ends with 0 when no call was torn between two versions or went back to an older one, no version is still
//! mapped in the end, and the process has no more mappings than it began with.
//!
//! ThreadSanitizer needs a standard library that is instrumented, too (`-Zsanitizer=thread -Zbuild-std`, with the
//! component rust-src): with the one that comes with the compiler, every module that is handed over through a
//! contended `Mutex` or freed by the last `Arc` is reported as a race. helgrind and drd know neither of them.
#![expect(clippy::unwrap_used, reason = "an example that cannot go on fails")]

use std::process::ExitCode;

#[path = "../tests/suite/smf/encode.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod encode;
#[path = "../tests/suite/smf/storm.rs"]
mod storm;

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

fn main() -> ExitCode {
    let reloads = std::env::args().nth(1).map_or(10_000, |reloads| reloads.parse().unwrap());
    storm::run(4, 1); // threads, folders and buffers that the process keeps
    let before = mappings();
    let outcome = storm::run(4, reloads);
    let after = mappings();
    let storm::Outcome { calls, torn, left_mapped } = outcome;
    println!("{reloads} reloads, {calls} calls, {torn} torn, {left_mapped} versions left mapped");
    println!("{before} mappings before, {after} after");
    let clean = torn == 0 && left_mapped == 0 && after <= before;
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
