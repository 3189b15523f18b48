//! What the runner costs over the floor, side by side in one run.
//!
//! The floor of a pipe is a bare round trip of a minimal frame through the same program; the floor of a
//! one-shot loader is the standard library's spawn and wait of the same program. Criterion's own figures
//! stand in its report; the ratios at the end are medians of interleaved rounds, since neighbours on a
//! shared machine disturb all rows alike.

use std::cell::RefCell;
use std::env;
use std::io::{self, BufReader, Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use harness_protocol::{Expect, Stage, Vector, Want};
use harness_runner::{Implementation, Outcome, ProbeOptions, RunOptions, Target, run};

/// Vectors per run of a pipe: enough that starting the process does not show.
const PIPE_VECTORS: usize = 4_000;
/// Vectors per run of a one-shot loader.
const ONE_SHOT_VECTORS: usize = 40;
/// Bytes of a vector: a typical one of the suite.
const VECTOR_BYTES: usize = 256;
/// Interleaved rounds behind the ratios.
const ROUNDS: usize = 15;

fn main() -> ExitCode {
    match env::args().nth(1).as_deref() {
        Some("loader") => served(&loader()),
        Some("accept") => ExitCode::SUCCESS,
        _ => {
            bench();
            ExitCode::SUCCESS
        }
    }
}

fn served(result: &io::Result<()>) -> ExitCode {
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

// The programs under test.

/// Answers right with as little work as possible; flushes when nothing more is waiting.
fn loader() -> io::Result<()> {
    let mut input = BufReader::with_capacity(1 << 16, io::stdin().lock());
    let mut output = io::BufWriter::new(io::stdout().lock());
    let mut body = Vec::new();
    loop {
        if input.buffer().is_empty() {
            output.flush()?;
        }
        let mut prefix = [0; 4];
        if input.read_exact(&mut prefix).is_err() {
            return Ok(());
        }
        body.resize(u32::from_le_bytes(prefix) as usize, 0);
        input.read_exact(&mut body)?;
        let reply = if body.starts_with(b"{\"type\":\"case\",\"seq\":") {
            let seq = body[21..].split(|byte| *byte == b',').next().unwrap_or_default();
            let seq = String::from_utf8_lossy(seq);
            format!("{{\"type\":\"result\",\"seq\":{seq},\"stage\":\"valid\"}}")
        } else if body.starts_with(b"{\"type\":\"hello\"") {
            r#"{"type":"hello","protocol":1,"name":"bench","formats":["t"]}"#.into()
        } else {
            return Ok(());
        };
        output.write_all(&(reply.len() as u32).to_le_bytes())?;
        output.write_all(reply.as_bytes())?;
    }
}

// The rows.

/// The floor of a pipe: the loader, kept running, asked and heard with nothing but a write and a read.
struct Bare(Child);

impl Bare {
    fn start() -> Self {
        let exe = env::current_exe().expect("a program knows itself");
        let mut command = Command::new(exe);
        command.arg("loader").stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(command.spawn().expect("it runs"))
    }

    fn round_trips(&mut self) -> Duration {
        let stdin = self.0.stdin.as_mut().expect("piped");
        let stdout = self.0.stdout.as_mut().expect("piped");
        let mut question = b"\0\0\0\0{\"type\":\"case\",\"seq\":7,".to_vec();
        question[0] = (question.len() - 4) as u8;
        let mut answer = [0; 100];
        let started = Instant::now();
        for _ in 0..PIPE_VECTORS {
            stdin.write_all(&question).expect("it reads");
            let count = stdout.read(&mut answer).expect("it writes");
            assert!(count > 4);
        }
        started.elapsed()
    }
}

fn vectors(count: usize) -> Vec<Vector> {
    let expect = Expect { stages: vec![Stage::Valid], ..Expect::default() };
    let vector = |number: usize| Vector {
        id: format!("t/header.magic/const/{number}"),
        rule: Some("T-HEADER-MAGIC".into()),
        base: "minimal".into(),
        want: Want::Validate,
        bytes: vec![0x5a; VECTOR_BYTES].into(),
        expect: expect.clone(),
        ..Vector::default()
    };
    (0..count).map(vector).collect()
}

fn target(kind: &str, mode: &str) -> Implementation {
    let exe = env::current_exe().expect("a program knows itself");
    let text = format!("{kind}:{} {mode}", shell_words::quote(exe.to_str().expect("a plain path")));
    Target::parse(&text, &ProbeOptions::default()).expect("it runs")
}

fn conformance(loader: &Implementation, vectors: &[Vector], in_flight: usize) -> Duration {
    let options = RunOptions { in_flight, ..RunOptions::default() };
    let started = Instant::now();
    let report = run(loader, vectors, &options, &|_| {}).expect("it runs");
    let elapsed = started.elapsed();
    assert_eq!(report.count(Outcome::Pass), vectors.len());
    elapsed
}

fn bare_spawns() -> Duration {
    let exe = env::current_exe().expect("a program knows itself");
    let started = Instant::now();
    for _ in 0..ONE_SHOT_VECTORS {
        let mut command = Command::new(&exe);
        command.arg("accept").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().expect("it runs").success());
    }
    started.elapsed()
}

fn bench() {
    let bare = RefCell::new(Bare::start());
    let (piped, single) = (target("pipe", "loader"), target("oneshot", "accept"));
    let (many, few) = (vectors(PIPE_VECTORS), vectors(ONE_SHOT_VECTORS));
    let rows: [(&str, usize, &dyn Fn() -> Duration); 5] = [
        ("pipe floor: bare round trip", PIPE_VECTORS, &|| bare.borrow_mut().round_trips()),
        ("pipe, one in flight", PIPE_VECTORS, &|| conformance(&piped, &many, 1)),
        ("pipe, pipelined", PIPE_VECTORS, &|| conformance(&piped, &many, 64)),
        ("one-shot floor: spawn and wait", ONE_SHOT_VECTORS, &bare_spawns),
        ("one-shot", ONE_SHOT_VECTORS, &|| conformance(&single, &few, 1)),
    ];
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let mut group = criterion.benchmark_group("overhead");
    for (name, count, row) in rows {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| (0..rounds).map(|_| row()).sum());
        });
    }
    group.finish();
    criterion.final_summary();
    // Without it this is a test run, in which every row goes once.
    if env::args().any(|argument| argument == "--bench") {
        ratios(&rows);
    }
    drop(bare.borrow_mut().0.stdin.take());
    let _ = bare.borrow_mut().0.wait();
}

fn ratios(rows: &[(&str, usize, &dyn Fn() -> Duration)]) {
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); rows.len()];
    for _ in 0..ROUNDS {
        for (times, (_, count, row)) in times.iter_mut().zip(rows) {
            times.push(row().as_secs_f64() * 1e6 / *count as f64);
        }
    }
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    for ((name, ..), median) in rows.iter().zip(&medians) {
        println!("{name:32} {median:10.2} µs a vector");
    }
    let [floor, lockstep, pipelined, spawn, single] = medians[..] else { return };
    println!("one in flight / floor      {:6.2}   (target: at most 1.5)", lockstep / floor);
    println!("one in flight / pipelined  {:6.2}   (target: at least 3)", lockstep / pipelined);
    println!("one-shot / floor           {:6.2}   (target: at most 1.2)", single / spawn);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
