//! Code that nobody wrote: random bytes, run one after the other. Whatever they do, there is a verdict, and neither
//! this process nor the zygote grows, leaks a descriptor or leaves a process.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to end")]

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use harness_protocol::{Argument, TypeName};
use harness_sandbox::native::Native;
use harness_sandbox::{
    Architecture, Budget, Calls, Convention, Job, Machine as _, Outcome, Permissions, Program,
    Segment, Verdict, job, verdict,
};

/// How many programs are run.
const PROGRAMS: u64 = 10_000;
/// Bytes of each: room for a loop to form, few enough that most end by running into something.
const BYTES: usize = 64;
/// Programs that are run before memory is measured: by then everything that is allocated once is there.
const WARM_UP: u64 = 500;
/// KiB by which a process may grow over all programs. Less than a byte for each of them would be 10; the C library's
/// allocator moves by 132 at a time, and page tables and the kernel's per-CPU counts add their share.
const GROWTH: u64 = 1024;
const BASE: u64 = 0x3000_0000_0000;

#[test]
fn random_programs_all_have_verdicts() {
    let mut native = Native::start().unwrap();
    let started = native.process().unwrap();
    let zygote = children(started)[0];
    let mut kinds = BTreeMap::new();
    let mut state = 0x0123_4567_89ab_cdef;
    let mut before = None;
    for number in 0..PROGRAMS {
        if number == WARM_UP {
            before = Some(Held::by_all(started, zygote));
        }
        let verdict = run(&mut native, &random(&mut state));
        *kinds.entry(kind(&verdict)).or_insert(0_u64) += 1;
    }
    for (kind, count) in &kinds {
        println!("{count:6} {kind}");
    }
    assert_eq!(kinds.values().sum::<u64>(), PROGRAMS);
    assert!(kinds.len() > 8, "random programs end in many ways");
    assert_eq!(native.process(), Some(started), "the zygote was lost on the way");
    assert_eq!(children(started), [zygote]);
    assert_eq!(children(zygote), [0; 0], "cases that are still there, be it as zombies");
    for (before, after) in before.unwrap().iter().zip(Held::by_all(started, zygote)) {
        assert_eq!(before.descriptors, after.descriptors, "of {}", after.process);
        let growth = after.kib.saturating_sub(before.kib);
        println!("{}: {} KiB, then {} KiB", after.process, before.kib, after.kib);
        assert!(growth <= GROWTH, "{} grew by {growth} KiB", after.process);
    }
}

fn run(native: &mut Native, code: &[u8]) -> Verdict {
    let segment = |name: &str, address, bytes: &[u8], size, permissions| Segment {
        name: name.into(),
        address,
        bytes: bytes.to_vec(),
        size,
        permissions,
    };
    let code = segment("code", BASE, code, BYTES as u64, Permissions::Rx);
    let data = segment("data", BASE + 0x1000, &[], 0x1000, Permissions::Rw);
    let program =
        Program { architecture: Architecture::X86_64, segments: vec![code, data], symbols: vec![] };
    // Registers that point to memory, so that more than the first access works.
    let arguments = [0, 0x100, 0x800]
        .map(|offset| Argument::Int64 { value: BASE.cast_signed() + 0x1000 + offset });
    let job = Job {
        entry: BASE,
        convention: Convention::SystemV,
        args: arguments.to_vec(),
        returns: TypeName::Int64,
        calls: Calls::Once,
        budget: Budget {
            cpu: Duration::from_millis(4),
            wall: Duration::from_secs(20),
            instructions: None,
        },
    };
    let plan = job::plan(&program, job).unwrap();
    let report = native.run(&plan.setup).unwrap();
    assert_eq!(report.stops.len(), 1);
    verdict::read(&program, &plan, report, "native")
}

/// SplitMix64: the same bytes in every run.
fn random(state: &mut u64) -> Vec<u8> {
    let words = std::iter::repeat_with(|| {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = *state;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    });
    words.take(BYTES / 8).flat_map(u64::to_le_bytes).collect()
}

/// How a program ended, in words.
fn kind(verdict: &Verdict) -> String {
    match &verdict.outcome {
        Outcome::Returned { .. } => "returned".into(),
        Outcome::Trapped { cause, access: Some(access), .. } => format!("{cause}, {access}"),
        Outcome::Trapped { cause, access: None, .. } => cause.to_string(),
        Outcome::Forbidden(call) => format!("asked by {}", call.abi.name()),
        Outcome::Exhausted(resource) => format!("{resource:?} used up"),
        Outcome::Killed(signal) => format!("killed by {signal}"),
    }
}

/// What a process holds.
struct Held {
    process: &'static str,
    /// Memory of its own: what it shares with others by files is as large as the largest case.
    kib: u64,
    descriptors: usize,
}

impl Held {
    fn by_all(started: u32, zygote: u32) -> [Self; 3] {
        [
            Self::by("this process", std::process::id()),
            Self::by("the process that was started", started),
            Self::by("the zygote", zygote),
        ]
    }

    fn by(name: &'static str, process: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let kib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
        };
        let descriptors = fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
        Self { process: name, kib: kib("VmRSS:"), descriptors }
    }
}

/// Processes that this one started and has not waited for.
fn children(process: u32) -> Vec<u32> {
    let stat = |entry: fs::DirEntry| {
        let child = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let parent: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        (parent == process).then_some(child)
    };
    fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter_map(stat).collect()
}
