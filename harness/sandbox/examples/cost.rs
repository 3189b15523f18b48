//! What a sandboxed call costs, side by side with what it is measured against, in one run:
//! `cargo run --release -p harness-sandbox --example cost`.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on is to end")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness_protocol::{Argument, Returned, TypeName};
use harness_sandbox::native::Native;
use harness_sandbox::{
    Architecture, Budget, Calls, Convention, Job, Machine as _, Outcome, Permissions, Plan,
    Program, Segment, Setup, job, verdict,
};

/// Calls between two looks at the clock.
const ROUND: u32 = 200;
/// Rounds of each thing; the median counts.
const ROUNDS: usize = 31;
/// Calls in a batch.
const BATCH: i32 = 1000;
/// Dirty memory of this process in the last comparison.
const HELD: [usize; 2] = [10 << 20, 1 << 30];

fn main() {
    let program = program();
    let plan = plan(&program, 2);
    let mut native = Native::start().unwrap();
    let mut inside = Vec::new();
    let mut bare = Vec::new();
    let mut call = Vec::new();
    for _ in 0..ROUNDS {
        bare.push(native.bare_forks(ROUND.into()).unwrap() / ROUND);
        call.push(time(ROUND, || one(&mut native, &program, &plan)));
        inside.push(native.last_case());
    }
    let (bare, call) = (median(bare), median(call));
    println!("bare fork, exit, wait            {bare:>10.1?}");
    println!("sandboxed call with verdict      {call:>10.1?}  {:.2} × bare", ratio(call, bare));
    println!("  of which in the zygote         {:>10.1?}", median(inside));
    let batch = median((0..ROUNDS).map(|_| batch(&mut native, &program)).collect());
    println!(
        "call in a batch                  {batch:>10.1?}  {:.1} in the time of one",
        ratio(call, batch)
    );
    if let Some(bwrap) = bwrap() {
        println!(
            "a new process under bwrap        {bwrap:>10.1?}  call is {:.3} × that",
            ratio(call, bwrap)
        );
    } else {
        println!("bwrap is not installed or not allowed here: not compared");
    }
    held(&mut native, &program, &plan);
}

/// The same call while this process holds more and more memory.
fn held(native: &mut Native, program: &Program, plan: &Plan) {
    let mut ballast: Vec<u8> = Vec::new();
    let mut times = Vec::new();
    for size in HELD {
        ballast.resize(size, 1);
        let rounds = (0..ROUNDS).map(|_| time(ROUND, || one(native, program, plan)));
        times.push(median(rounds.collect()));
        println!("with {:>5} MiB in this process   {:>10.1?}", size >> 20, times[times.len() - 1]);
    }
    std::hint::black_box(&ballast);
    println!(
        "  throughput with the most is {:.2} × that with the least",
        ratio(times[0], times[1])
    );
}

fn one(native: &mut Native, program: &Program, plan: &Plan) {
    let report = native.run(&plan.setup).unwrap();
    let verdict = verdict::read(program, plan, report, "native");
    assert!(verdict.breaches.is_empty(), "{verdict:?}");
}

/// As many calls with arguments of their own, in processes that they share.
fn batch(native: &mut Native, program: &Program) -> Duration {
    let plans: Vec<Plan> = (0..BATCH).map(|value| plan(program, value)).collect();
    let setups: Vec<Setup> = plans.iter().map(|plan| plan.setup.clone()).collect();
    let start = Instant::now();
    let reports = native.run_batch(&setups).unwrap();
    for ((plan, report), value) in plans.iter().zip(reports).zip(0..) {
        let verdict = verdict::read(program, plan, report, "native");
        let returned = Returned::Int32 { value: value + 40 };
        assert_eq!(verdict.outcome, Outcome::Returned { value: returned, buffers: vec![] });
    }
    start.elapsed() / BATCH.unsigned_abs()
}

/// `lea eax, [rdi + rsi]; ret`
fn program() -> Program {
    let bytes = vec![0x8d, 0x04, 0x37, 0xc3];
    let code = Segment {
        name: "code".into(),
        address: 0x3000_0000_0000,
        size: bytes.len() as u64,
        bytes,
        permissions: Permissions::Rx,
    };
    Program { architecture: Architecture::X86_64, segments: vec![code], symbols: vec![] }
}

fn plan(program: &Program, value: i32) -> Plan {
    let job = Job {
        entry: program.segments[0].address,
        convention: Convention::SystemV,
        args: [value, 40].map(|value| Argument::Int32 { value }).to_vec(),
        returns: TypeName::Int32,
        calls: Calls::Once,
        budget: Budget::default(),
    };
    job::plan(program, job).unwrap()
}

/// The shortest program that there is, as a new process in bubblewrap's sandbox.
fn bwrap() -> Option<Duration> {
    let mut command = Command::new("bwrap");
    command.args(["--ro-bind", "/", "/", "--unshare-all", "--die-with-parent", "/bin/true"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().ok().filter(std::process::ExitStatus::success)?;
    let rounds = (0..ROUNDS).map(|_| time(5, || assert!(command.status().unwrap().success())));
    Some(median(rounds.collect()))
}

fn time(count: u32, mut run: impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..count).for_each(|_| run());
    start.elapsed() / count
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}
