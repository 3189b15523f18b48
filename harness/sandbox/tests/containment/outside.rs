//! Cases seen from outside, and what happens when a process on the way to them dies.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use harness_sandbox::limits::{ARENA_HIGH, ARENA_LOW};
use harness_sandbox::native::Native;
use harness_sandbox::{Machine as _, MachineError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::sandbox::{BUDGET, Sandbox, descendants};

/// A mapping of a process.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) writable: bool,
    pub(crate) executable: bool,
    line: String,
}

/// Everything that a case has, without the page that the kernel maps into all processes.
pub(crate) fn mappings_of_a_case() -> Vec<Mapping> {
    let mut found = Vec::new();
    let _lost = while_spinning(|case, _| found = mappings(case));
    found
}

fn mappings(process: u32) -> Vec<Mapping> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let lines = maps.lines().filter(|line| !line.ends_with("[vsyscall]"));
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let (start, end) = words.next().unwrap().split_once('-').unwrap();
            let permissions = words.next().unwrap();
            let number = |text| u64::from_str_radix(text, 16).unwrap();
            Mapping {
                start: number(start),
                end: number(end),
                writable: permissions.contains('w'),
                executable: permissions.contains('x'),
                line: line.to_owned(),
            }
        })
        .collect()
}

/// Longest time for something to happen elsewhere; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "{what} never happened");
        thread::yield_now();
    }
}

/// Runs an endless loop and looks at its process; ends it by ending the zygote. What the run said.
fn while_spinning(look: impl FnOnce(u32, u32)) -> (Sandbox, Result<(), MachineError>) {
    let mut sandbox = Sandbox::start();
    let zygote = sandbox.zygote();
    sandbox.budget.cpu = PATIENCE;
    sandbox.budget.wall = PATIENCE;
    let program = sandbox.program(&[0xeb, 0xfe]);
    let plan = sandbox.plan(&program);
    sandbox.budget = BUDGET;
    let result = thread::scope(|scope| {
        let native = &mut sandbox.native;
        let run = scope.spawn(move || native.run(&plan.setup).map(drop));
        let case = until("a case", || {
            let case = descendants(zygote).first().copied()?;
            // It has arrived when nothing but the arena is left.
            let arrived = mappings(case).iter().all(|m| (ARENA_LOW..ARENA_HIGH).contains(&m.start));
            (arrived && !mappings(case).is_empty()).then_some(case)
        });
        look(case, zygote);
        kill(pid(zygote), Signal::SIGKILL).unwrap();
        let result = run.join().unwrap();
        until("the end of the case", || (!is_running(case)).then_some(()));
        result
    });
    (sandbox, result)
}

fn pid(process: u32) -> Pid {
    Pid::from_raw(process.cast_signed())
}

fn is_running(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.trim_start().starts_with(['Z', 'X']))
}

fn status(process: u32) -> BTreeMap<String, String> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let lines = status.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect()
}

fn limits(process: u32) -> BTreeMap<String, String> {
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let lines = limits.lines().skip(1).map(|line| line.split_at(26));
    let both = lines.map(|(name, rest)| (name, rest.split_whitespace().take(2)));
    both.map(|(name, values)| (name.trim().to_owned(), values.collect::<Vec<_>>().join(" ")))
        .collect()
}

#[test]
fn a_case_has_its_arena_and_nothing_else() {
    let _lost = while_spinning(|case, _| {
        let mappings = mappings(case);
        for mapping in &mappings {
            assert!(mapping.start >= ARENA_LOW && mapping.end <= ARENA_HIGH, "{}", mapping.line);
            assert!(!(mapping.writable && mapping.executable), "{}", mapping.line);
            assert!(!mapping.line.contains("[vdso]") && !mapping.line.contains("[stack]"));
        }
        // The stub, and the code.
        assert_eq!(
            mappings.iter().filter(|mapping| mapping.executable).count(),
            2,
            "{mappings:#?}"
        );
        let files = fs::read_dir(format!("/proc/{case}/fd")).unwrap().count();
        assert_eq!(files, 0, "open files");
        assert_eq!(fs::read_dir(format!("/proc/{case}/task")).unwrap().count(), 1);
    });
}

#[test]
fn a_case_is_held_by_the_kernel() {
    let _lost = while_spinning(|case, zygote| {
        let status = status(case);
        let expect = |key: &str, value: &str| assert_eq!(status[key], value, "{key}");
        expect("Seccomp", "2");
        expect("Seccomp_filters", "1");
        expect("NoNewPrivs", "1");
        expect("Threads", "1");
        expect("TracerPid", &zygote.to_string());
        expect("PPid", &zygote.to_string());
        expect("SigBlk", "0000000000000000");
        let ignored = u64::from_str_radix(&status["SigIgn"], 16).unwrap();
        for signal in [Signal::SIGPROF, Signal::SIGALRM, Signal::SIGSYS, Signal::SIGSEGV] {
            assert_eq!(ignored >> (signal as i32 - 1) & 1, 0, "{signal}");
        }
        let limits = limits(case);
        for name in [
            "Max core file size",
            "Max file size",
            "Max processes",
            "Max open files",
            "Max address space",
            "Max locked memory",
        ] {
            assert_eq!(limits[name], "0 0", "{name}");
        }
        let cpu: u64 = limits["Max cpu time"].split_once(' ').unwrap().1.parse().unwrap();
        assert!(cpu <= PATIENCE.as_secs() + 2, "{cpu}");
    });
}

#[test]
fn a_case_is_in_the_namespaces_that_are_said() {
    let (sandbox, _) = while_spinning(|case, _| {
        let native = Native::start().unwrap();
        let said = native.containment();
        for (name, on) in [
            ("user", said.user_namespace),
            ("mnt", said.mount_namespace),
            ("net", said.network_namespace),
            ("pid", said.process_namespace),
            ("ipc", said.ipc_namespace),
        ] {
            let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/{name}")).unwrap();
            assert_eq!(of(&case.to_string()) != of("self"), on, "{name}");
        }
        if said.mount_namespace {
            let root = Path::new("/proc").join(case.to_string()).join("root");
            assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "the root is an empty folder");
            assert!(fs::write(root.join("new"), "").is_err(), "and stays one");
        }
        assert!(said.no_new_privileges && said.system_call_filter);
        println!("in force: {:?}", said.measures());
    });
    drop(sandbox);
}

#[test]
fn a_zygote_that_dies_is_lost_and_replaced() {
    let (mut sandbox, result) = while_spinning(|_, _| {});
    assert!(matches!(result, Err(MachineError::Lost { machine: "native", .. })), "{result:?}");
    sandbox.assert_answers_right();
    let before = sandbox.zygote();
    let now = descendants(sandbox.native.process().unwrap());
    assert_eq!(now.len(), 1);
    assert_ne!(now, [before]);
}

/// Also when nothing is asked of it at the time.
#[test]
fn a_zygote_that_dies_idle_is_lost_once() {
    let mut sandbox = Sandbox::start();
    kill(pid(sandbox.zygote()), Signal::SIGKILL).unwrap();
    let program = sandbox.program(&[0xc3]);
    let plan = sandbox.plan(&program);
    let result = sandbox.native.run(&plan.setup);
    assert!(matches!(result, Err(MachineError::Lost { .. })), "{result:?}");
    sandbox.assert_answers_right();
}

#[test]
fn a_machine_that_is_dropped_leaves_no_process() {
    let sandbox = Sandbox::start();
    let (zygote, process) = (sandbox.zygote(), sandbox.native.process().unwrap());
    drop(sandbox);
    until("the end of the zygote", || (!is_running(zygote)).then_some(()));
    assert!(!is_running(process));
}

/// Set for a process of this program that only runs a case and waits to be killed.
const CLIENT: &str = "HARNESS_CONTAINMENT_CLIENT";

/// A client that dies without a word takes its zygote with it, whether or not a case is running.
#[test]
fn a_client_that_dies_leaves_no_process() {
    if let Ok(kind) = std::env::var(CLIENT) {
        return be_a_client(kind == "busy");
    }
    for kind in ["idle", "busy"] {
        let mut client = Command::new("/proc/self/exe")
            .args(["outside::a_client_that_dies_leaves_no_process", "--exact", "--nocapture"])
            .env(CLIENT, kind)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(client.stdout.take().unwrap()).lines();
        let ready = output.find(|line| line.as_ref().unwrap().contains("ready"));
        assert!(ready.is_some(), "the client ended early");
        let expected = if kind == "busy" { 3 } else { 2 };
        let below = until("the processes", || {
            Some(descendants(client.id())).filter(|below| below.len() == expected)
        });
        client.kill().unwrap();
        client.wait().unwrap();
        for process in below {
            until("the end of what it started", || (!is_running(process)).then_some(()));
        }
    }
}

fn be_a_client(busy: bool) {
    let mut sandbox = Sandbox::start();
    println!("ready");
    if busy {
        (sandbox.budget.cpu, sandbox.budget.wall) = (PATIENCE, PATIENCE);
        sandbox.run_alone(&[0xeb, 0xfe]);
    }
    loop {
        thread::park();
    }
}
