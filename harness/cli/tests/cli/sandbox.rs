//! Code that goes wrong, from gcc, and what the commands around the sandbox say of it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Ran, harness, root};

/// Faults of every sort, one a function.
const SOURCE: &str = r#"
int add(int a, int b) { return a + b; }
int peek(int *p) { return *p; }
int deep(int *p, int n) { if (n == 0) return *p; return deep(p, n - 1) + 1; }
void write_code(void) { *(volatile char *)write_code = 0; }
int divide(int a, int b) { return a / b; }
void forever(void) { for (;;) __asm__ volatile(""); }
void leave(void) { __asm__ volatile("syscall" :: "a"(60L), "D"(3L) : "rcx", "r11", "memory"); }
long breaker(void) { __asm__ volatile("mov $1, %rbx"); return 5; }
void fill(char *p, int n) { for (int i = 0; i < n; i++) ((volatile char *)p)[i] = 7; }
int through(int (*f)(void)) { return f() + 1; }
int deeper(int n) { volatile char page[4096]; page[0] = n; return deeper(n + 1) + page[0]; }
void smash(void) { __asm__ volatile("movq $0x41414141, (%rsp); ret"); }
void spill(char *p) { __asm__ volatile("push %0; ud2" :: "r"(p)); }
int clock_like(void) { unsigned low; __asm__ volatile("rdtsc" : "=a"(low) :: "rdx"); return (int)low; }
"#;

/// The folder with the module `faults.scp`, packed with these options.
fn faults(options: &[&str]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("faults.c");
    std::fs::write(&source, SOURCE).unwrap();
    let object = compile(&source);
    let module = folder.path().join("faults.scp").to_str().unwrap().to_owned();
    harness(&[&["pack", object.to_str().unwrap(), "-o", &module], options].concat()).exits(0);
    (folder, module)
}

fn compile(source: &Path) -> PathBuf {
    let object = source.with_extension("o");
    let flags = ["-c", "-O1", "-g", "-fPIC", "-ffreestanding", "-fcf-protection=none"];
    let compiled = Command::new("gcc").args(flags).arg(source).arg("-o").arg(&object).output();
    let compiled = compiled.expect("gcc compiles the real input (Debian: gcc)");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    object
}

fn run(module: &str, args: &[&str]) -> Ran {
    harness(&[&["run", module], args].concat())
}

#[test]
fn what_happened_is_said_in_one_line() {
    let (_folder, module) = faults(&[]);
    for (args, line) in [
        (&["peek", "null"][..], "peek: read at null: there is no memory (SIGSEGV, SEGV_MAPERR)"),
        (
            &["divide", "1", "0"],
            "divide: division by zero, or a quotient that does not fit (SIGFPE, FPE_INTDIV)",
        ),
        (&["forever", "--timeout", "1"], "forever: did not return within 1 s"),
        (&["leave"], "leave: asked the system for exit (60) with 0x3, "),
        (&["breaker"], "breaker: returned 5, but broke a promise"),
        (&["write_code"], "write_code: write at 0x40000000"),
    ] {
        let ran = run(&module, args).exits(1);
        assert!(ran.stdout.starts_with(line), "{line}: {}", ran.stdout);
        assert_eq!(ran.stderr, "");
    }
    let deeper = run(&module, &["deeper", "1"]).exits(1);
    let first = deeper.stdout.lines().next().unwrap();
    assert!(first.contains(" before stack: the stack is used up ("), "{first}");
    let beyond = run(&module, &["fill", "01020304", "32"]).exits(1);
    let after = "12 bytes after the end of buffer 0: there is no memory";
    assert!(beyond.stdout.contains(after), "{}", beyond.stdout);
    let wrote = run(&module, &["fill", "01020304", "4"]).exits(0);
    assert_eq!(wrote.stdout, "fill = (nothing)\nbuffer 0: 07070707\n");
}

#[test]
fn a_crash_is_shown_with_code_registers_stack_calls_and_fields() {
    let (_folder, module) = faults(&[]);
    let ran = run(&module, &["deep", "null", "3"]).exits(1);
    for part in [
        "▶ 0x",
        "mov eax,[rdi]",
        "<deep + 0x",
        "rdi 0x0000000000000000",
        "return to the caller",
        "functions[2].entry_offset: function deep",
        "code: image code",
        "on the native machine",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains('\u{1b}'), "no colours where nobody looks");
    let colored = run(&module, &["deep", "null", "3", "--color", "always"]).exits(1);
    assert!(colored.stdout.contains('\u{1b}'));
}

#[test]
fn json_says_the_same_with_addresses_as_text() {
    let (_folder, module) = faults(&[]);
    let json = run(&module, &["deep", "null", "2", "--json"]).exits(1).json();
    assert_eq!(json["stage"], "trap");
    assert_eq!(json["trap"]["cause"], "unmapped");
    assert_eq!(json["trap"]["access"], "read");
    assert_eq!(json["trap"]["address"], "0x0");
    assert_eq!(json["trap"]["signal"]["name"], "SIGSEGV");
    assert_eq!(json["pc"]["place"]["symbol"], "deep");
    assert_eq!(json["registers"]["rdi"], "0x0");
    let code = json["code"].as_array().unwrap();
    let marked: Vec<&Value> = code.iter().filter(|line| line["marked"] == true).collect();
    assert_eq!(marked.len(), 1);
    assert_eq!(marked[0]["address"], json["pc"]["address"]);
    assert_eq!(json["origins"][0]["field"], "functions[2].entry_offset");
    assert!(json["chain"][0]["place"]["symbol"] == "deep", "{json}");
    let call = run(&module, &["leave", "--json"]).exits(1).json();
    assert_eq!(call["system_call"]["name"], "exit");
    assert_eq!(call["system_call"]["arguments"][0], "0x3");
    let broken = run(&module, &["breaker", "--json"]).exits(1).json();
    assert_eq!(
        (&broken["stage"], &broken["breaches"][0]["kind"]),
        (&"returned".into(), &"register".into())
    );
    let clean = run(&module, &["add", "2", "3", "--json"]).exits(0).json();
    assert_eq!(clean["result"]["value"], 5);
    assert!(clean.get("code").is_none());
}

#[test]
fn a_system_call_is_marked_where_it_was_asked_for() {
    let (_folder, module) = faults(&[]);
    let ran = run(&module, &["leave"]).exits(1);
    let marked = ran.stdout.lines().find(|line| line.starts_with('↳'));
    assert!(marked.is_some_and(|line| line.ends_with("syscall")), "{}", ran.stdout);
    assert!(!ran.stdout.contains('▶'), "{}", ran.stdout);
}

#[test]
fn fields_are_those_of_the_functions_that_led_there_and_no_neighbours() {
    let (_folder, module) = faults(&[]);
    let json = run(&module, &["through", "null", "--json"]).exits(1).json();
    let origins = json["origins"].as_array().unwrap();
    let said: Vec<&str> = origins.iter().map(|origin| origin["what"].as_str().unwrap()).collect();
    assert_eq!(said, ["function through", "image code"]);
    let lost = run(&module, &["smash", "--json"]).exits(1).json();
    assert_eq!(lost["trap"]["address"], "0x41414141");
    assert_eq!(lost["origins"][0]["what"], "function smash");
}

#[test]
fn words_of_the_stack_are_named_as_faults_are() {
    let (_folder, module) = faults(&[]);
    let ran = run(&module, &["spill", "0102"]).exits(1);
    assert!(ran.stdout.contains("  buffer 0 + 0x0\n"), "{}", ran.stdout);
    assert!(!ran.stdout.contains(" \n"), "no blanks at the end of a line: {}", ran.stdout);
}

/// A process of the harness that has begun, and is ended if the test is.
struct Begun(std::process::Child);

impl Drop for Begun {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_interrupted_cross_check_says_what_was_not_tried() {
    let child = Command::new(env!("CARGO_BIN_EXE_harness"))
        .args(["cross-check", "--progress", "plain", "--json"])
        .current_dir(root())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = Begun(child);
    let mut stderr = BufReader::new(child.0.stderr.take().unwrap());
    let mut first = String::new();
    stderr.read_line(&mut first).unwrap();
    let pid = nix::unistd::Pid::from_raw(child.0.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let mut stdout = String::new();
    child.0.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(4), "{first}{stdout}");
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert!(json["untried"].as_u64().unwrap() > 0, "{json}");
    assert_eq!(json["differing"], serde_json::json!([]));
}

#[test]
fn a_base_is_chosen_and_bad_ones_are_refused() {
    let (_folder, module) = faults(&[]);
    let args = ["peek", "null", "--base", "0x300000010000", "--json"];
    let json = run(&module, &args).exits(1).json();
    assert_eq!(json["pc"]["address"], "0x300000010004");
    let odd = run(&module, &["peek", "null", "--base", "0x300000010008"]).exits(2);
    assert!(odd.cause().contains("cannot lie at 0x300000010008"), "{}", odd.stderr);
    let low = run(&module, &["add", "1", "2", "--base", "0x1000"]).exits(2);
    assert!(low.cause().contains("has other limits: --emulate"), "{}", low.stderr);
}

#[test]
fn options_that_have_no_place_are_refused() {
    let (_folder, module) = faults(&[]);
    for (args, cause) in [
        (&["add", "1", "2", "--budget", "5"][..], "only the emulator counts instructions"),
        (
            &["add", "1", "2", "--threads", "4"],
            "does not say that it may be called from several threads",
        ),
        (&["add", "1", "2", "--threads", "0"], "a number of threads from 1 to"),
        (&["add", "1", "2", "--returns", "int8"], "--returns has no place here"),
        (&["add", "1", "2", "--import", "f=1"], "has no imports"),
        (
            &["add", "1", "2", "--convention", "stdcall"],
            "stdcall is not a calling convention of x86_64, but of x86_32 help: x86_64 has: sysv, win64",
        ),
    ] {
        let ran = run(&module, args).exits(2);
        assert!(ran.cause().contains(cause), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn thread_safe_modules_are_called_from_several_threads() {
    let (_folder, module) = faults(&["--flag", "thread-safe"]);
    let ran = run(&module, &["add", "2", "3", "--threads", "4"]).exits(0);
    assert_eq!(ran.stdout, "add = 5\n");
    assert!(ran.stderr.contains("4 calls, all alike"), "{}", ran.stderr);
    let ran = run(&module, &["peek", "null", "--threads", "4"]).exits(1);
    assert!(ran.stdout.starts_with("peek: read at null"), "{}", ran.stdout);
}

#[test]
fn a_function_that_is_called_pure_and_is_not_is_told() {
    let (_folder, module) = faults(&["--pure", "clock_like", "--pure", "add"]);
    run(&module, &["add", "2", "3"]).exits(0);
    let ran = run(&module, &["clock_like"]).exits(1);
    assert!(ran.stdout.contains("it is marked pure, but gave"), "{}", ran.stdout);
}

#[test]
fn another_convention_is_used_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("windows.c");
    let text = "__attribute__((ms_abi)) int minus(int a, int b) { return a - b; }";
    std::fs::write(&source, text).unwrap();
    let object = compile(&source);
    let module = folder.path().join("windows.scp").to_str().unwrap().to_owned();
    harness(&["pack", object.to_str().unwrap(), "-o", &module]).exits(0);
    let ran = run(&module, &["minus", "7", "2", "--convention", "win64"]).exits(0);
    assert_eq!(ran.stdout, "minus = 5\n");
}

#[test]
fn without_the_emulator_its_users_are_told_how_to_build_it() {
    let (_folder, module) = faults(&[]);
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_harness"))
            .current_dir(root())
            .env("HARNESS_EMULATOR", "")
            .args(args)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, _, stderr) = run(&["run", &module, "add", "1", "2", "--emulate"]);
    assert_eq!(code, Some(3));
    assert!(stderr.contains("harness/emulator/Cargo.toml") && stderr.contains("cmake"), "{stderr}");
    let args = ["cross-check", "--format", "scp", "-k", "*/promises/*"];
    let (_, stdout, _) = run(&args);
    assert!(stdout.contains("agree (native)"), "{stdout}");
    assert!(stdout.contains("/arm64/low: no machine here runs arm64"), "{stdout}");
}

#[test]
fn crashes_are_sorted_with_the_worst_first() {
    let (_folder, module) = faults(&[]);
    let args = [
        "triage",
        &module,
        "--call",
        "peek null",
        "--call",
        "write_code",
        "--call",
        "add 1 2",
        "--call",
        "add 1",
    ];
    let ran = harness(&args).exits(1);
    let (worst, rest) = ran.stdout.split_once("write_code").unwrap();
    assert!(worst.starts_with("EXPLOITABLE "), "{}", ran.stdout);
    assert!(rest.contains("NOT_EXPLOITABLE "), "{}", ran.stdout);
    assert!(
        rest.contains("2 buckets of 2 calls, 1 calls as they should be, 1 not called"),
        "{}",
        ran.stdout
    );
    let json = harness(&[&args[..], &["--json"]].concat()).exits(1).json();
    assert_eq!(json["buckets"][0]["severity"]["level"], "EXPLOITABLE");
    assert_eq!(json["buckets"][1]["calls"][0]["call"], "peek null");
    assert_eq!(json["clean"], 1);
    harness(&["triage", &module, "--call", "add 1 2"]).exits(0);
    harness(&["triage", &module, "--call", "nonesuch"]).exits(4);
}

#[test]
fn a_module_is_made_smaller_and_still_goes_wrong_in_the_same_way() {
    let (folder, module) = faults(&[]);
    let small = folder.path().join("small.scp").to_str().unwrap().to_owned();
    let args = ["minimize", &module, "deep", "null", "3", "-o", &small, "--json"];
    let json = harness(&args).exits(0).json();
    assert!(json["after"].as_u64() < json["before"].as_u64(), "{json}");
    harness(&["validate", &small]).exits(0);
    let keys: Vec<Value> = [&module, &small]
        .into_iter()
        .map(|file| {
            let ran = harness(&["triage", file, "--call", "deep null 3", "--json"]).exits(1);
            ran.json()["buckets"][0]["key"].clone()
        })
        .collect();
    assert_eq!(keys[0], keys[1]);
    let listed = run(&small, &[]).exits(0);
    assert!(listed.stdout.starts_with("deep("), "{}", listed.stdout);
    assert_eq!(listed.stdout.lines().count(), 1, "{}", listed.stdout);
    let fine = harness(&["minimize", &module, "add", "1", "2", "-o", &small]).exits(1);
    assert!(fine.cause().contains("nothing goes wrong"), "{}", fine.stderr);
}

#[test]
fn a_vector_that_calls_is_replayed_in_the_sandbox() {
    let ran = harness(&["replay", "scp/execute/traps/divide-by-zero/x86_64/low"]).exits(0);
    assert!(ran.stdout.contains("division by zero"), "{}", ran.stdout);
    assert!(ran.stdout.contains("outcome  pass"), "{}", ran.stdout);
    let json = harness(&["replay", "scp/execute/traps/divide-by-zero/x86_64/low", "--json"]);
    assert_eq!(json.exits(0).json()["verdict"]["trap"]["cause"], "divide-error");
}

#[test]
fn gdb_stops_before_the_function_with_memory_and_registers_in_place() {
    let id = "scp/execute/traps/divide-by-zero/x86_64/low";
    let ran = harness(&[
        "replay",
        id,
        "--gdb",
        "--",
        "-batch",
        "-ex",
        "info symbol $pc",
        "-ex",
        "print/x $rbx",
        "-ex",
        "x/2i $pc",
        "-ex",
        "continue",
    ]);
    let ran = ran.exits(0);
    for part in ["divide in section code", "0xbad0c0debad0c003", "<divide>:", "SIGFPE"] {
        assert!(ran.stdout.contains(part), "{part}: {}\n{}", ran.stdout, ran.stderr);
    }
    let id = "scp/execute/values/int32/same/one/x86_64/low";
    let ran =
        harness(&["replay", id, "--gdb", "--", "-batch", "-ex", "continue", "-ex", "print $eax"]);
    let ran = ran.exits(0);
    assert!(
        ran.stdout.contains("SIGTRAP") && ran.stdout.contains("in returned_to_harness"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("$1 = 1\n"), "{}", ran.stdout);
    let id = "scp/execute/promises/system-call-getpid/x86_64/low";
    let ran = harness(&["replay", id, "--gdb", "--", "-batch", "-ex", "continue"]).exits(0);
    assert!(ran.stdout.contains("call to syscall"), "{}", ran.stdout);
    let none = harness(&["replay", "scp/base/rich-x86_64", "--gdb"]).exits(2);
    assert!(none.cause().contains("calls nothing"), "{}", none.stderr);
}

#[test]
fn structures_are_laid_out_by_the_types_of_the_module() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("total.c");
    let text = "struct Point { signed char tag; int x; double w; };
        int total(struct Point *p) { p->x += 1; return p->tag + p->x + (int)p->w; }";
    std::fs::write(&source, text).unwrap();
    let object = compile(&source);
    let module = folder.path().join("total.scp").to_str().unwrap().to_owned();
    harness(&["pack", object.to_str().unwrap(), "-o", &module]).exits(0);
    let ran = run(&module, &["total", "Point{-1, 40, 2.5}"]).exits(0);
    assert_eq!(ran.stdout, "total = 42\nbuffer 0: ff000000290000000000000000000440\n");
    for (argument, message) in [
        ("Point{1, 2}", "Point has 3 fields, 2 values are given"),
        ("Pint{1}", "the module has no structure `Pint`"),
        ("Point{1, 2, x}", "`x` is not a value of type float64"),
    ] {
        let ran = run(&module, &["total", argument]).exits(2);
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
    }
}
