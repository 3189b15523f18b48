//! What the emulator adds. It is a program of its own that has to be built first. Where it was not built, these tests
//! check that the harness says so; the gate builds it and names it, so that they cannot pass there without.

use std::process::Command;

use crate::support::{Ran, harness};

/// Whether there is no emulator.
fn left_out() -> bool {
    harness_sandbox::emulated::Emulated::find().is_none()
}

/// Runs the program; without the emulator, checks the refusal and gives nothing.
fn emulated(args: &[&str]) -> Option<Ran> {
    let ran = harness(args);
    if left_out() {
        ran.exits(3);
        return None;
    }
    assert_ne!(ran.code, 3, "{}", ran.stderr);
    Some(ran)
}

/// A module of one function, by the compiler of its architecture.
fn module(compiler: &str, flags: &[&str], text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let (source, object) = (folder.path().join("code.c"), folder.path().join("code.o"));
    std::fs::write(&source, text).unwrap();
    let compiled = Command::new(compiler)
        .args(["-c", "-O1", "-g", "-fPIC", "-ffreestanding", "-fno-asynchronous-unwind-tables"])
        .args(flags)
        .arg(&source)
        .arg("-o")
        .arg(&object)
        .status();
    assert!(compiled.expect("the compiler runs (Debian: gcc)").success());
    let module = folder.path().join("code.scp").to_str().unwrap().to_owned();
    harness(&["pack", object.to_str().unwrap(), "-o", &module]).exits(0);
    (folder, module)
}

const SUM: &str = "int sum(int n) { int s = 0; for (int i = 1; i <= n; i++) s += i; return s; }
                   int peek(int *p) { return *p; }";

#[test]
fn instructions_are_counted_and_shown() {
    let (_folder, module) = module("gcc", &["-fcf-protection=none"], SUM);
    let Some(ran) = emulated(&["run", "--emulate", &module, "sum", "4", "--trace"]) else { return };
    let ran = ran.exits(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let (result, trace) = lines.split_last().unwrap();
    assert_eq!(*result, "sum = 10");
    assert!(trace[0].contains("sum + 0x0") && trace.last().unwrap().ends_with("ret"), "{trace:?}");
    let args = ["run", "--emulate", &module, "sum", "4", "--json"];
    let json = emulated(&args).unwrap().exits(0).json();
    assert_eq!(json["instructions"], trace.len());
    let exactly = trace.len().to_string();
    let one_less = (trace.len() - 1).to_string();
    let args = |budget| ["run", "--emulate", &module, "sum", "4", "--budget", budget];
    emulated(&args(&exactly)).unwrap().exits(0);
    let short = emulated(&args(&one_less)).unwrap().exits(1);
    assert!(short.stdout.contains(&format!("did not return within {one_less} instructions")));
}

#[test]
fn bounds_hold_to_the_byte() {
    let (_folder, module) = module("gcc", &["-fcf-protection=none"], SUM);
    let Some(ran) = emulated(&["run", "--emulate", &module, "peek", "010203"]) else { return };
    let ran = ran.exits(1);
    assert!(ran.stdout.starts_with("peek: read at "), "{}", ran.stdout);
    assert!(ran.stdout.contains("past what belongs to the program"), "{}", ran.stdout);
    emulated(&["run", "--emulate", &module, "peek", "01020300"]).unwrap().exits(0);
}

#[test]
fn vectors_agree_on_both_machines() {
    let args = ["cross-check", "--format", "scp", "-k", "*/values/int*", "--json"];
    let json = harness(&args).exits(0).json();
    let on = if left_out() { "native" } else { "native and emulated" };
    assert!(json["agreed"][on].as_u64().unwrap() > 10, "{json}");
    let args = ["cross-check", "--format", "scp", "-k", "no-such-vector"];
    harness(&args).exits(4);
}

#[test]
fn arm64_is_run_and_disassembled() {
    let id = "scp/execute/traps/undefined-instruction/arm64/low";
    let Some(ran) = emulated(&["replay", id]) else { return };
    let ran = ran.exits(0);
    assert!(ran.stdout.contains("undefined instruction"), "{}", ran.stdout);
    assert!(ran.stdout.contains("on the emulated machine"), "{}", ran.stdout);
    assert!(ran.stdout.contains("x30 0x0000200000000f00"), "{}", ran.stdout);
}

#[test]
fn registers_are_as_wide_as_those_of_the_architecture() {
    let (_folder, module) = module("i686-linux-gnu-gcc", &["-fno-pic"], SUM);
    let Some(ran) = emulated(&["run", &module, "peek", "null"]) else { return };
    let ran = ran.exits(1);
    assert!(ran.stdout.contains("eip 0x0800"), "{}", ran.stdout);
}

#[test]
fn a_program_that_is_no_emulator_is_told_with_where_it_was_named() {
    let (_folder, module) = module("gcc", &["-fcf-protection=none"], SUM);
    let output = Command::new(env!("CARGO_BIN_EXE_harness"))
        .env("HARNESS_EMULATOR", "/nonexistent/emulator")
        .args(["run", "--emulate", &module, "sum", "4"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("HARNESS_EMULATOR names this program"), "{stderr}");
}
