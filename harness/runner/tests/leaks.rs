//! Nothing is left behind: no descriptor, no process, no file. One test alone in its program, because it
//! counts what the whole process holds.

#[path = "saboteurs/vectors.rs"]
mod vectors;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness_protocol::{Observe, Want};
use harness_runner::{Event, Outcome, RunOptions, run};
use vectors::{pipe, script, vector};

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("/proc is there").count()
}

/// Children of any thread, dead or alive.
fn children() -> String {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc is there").flatten();
    tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default()).collect()
}

fn case_folders() -> usize {
    let entries = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("blob-")).count()
}

#[test]
fn nothing_is_left_behind() {
    let options =
        RunOptions { jobs: 2, deadline: Duration::from_millis(500), ..RunOptions::default() };
    let run_all = || {
        for mode in ["good", "crash-on-reject", "hang-third", "fork-and-exit", "garbage"] {
            run(&pipe(mode), &vectors::vectors(4), &options, &|_| {}).unwrap();
        }
        for body in ["[ $first = 1 ]", "kill -SEGV $$", "sleep 1000", "sleep 1000 & exit 0"] {
            let mut all = vectors::vectors(2);
            all.push(vector(2, true, Want::Load));
            all[2].observe = vec![Observe::WriteXorExecute];
            run(&script(body), &all, &options, &|_| {}).unwrap();
        }
    };
    run_all();
    let (before, folders) = (descriptors(), case_folders());
    run_all();
    interrupted();
    assert_eq!(descriptors(), before);
    assert_eq!(children(), "");
    assert!(case_folders() <= folders);
}

/// The first result stops the run; what is known comes back and the processes are gone.
fn interrupted() {
    for loader in [pipe("hang-on-two"), script("[ $first = 1 ] && sleep 1000; exit 1")] {
        let stop = Arc::new(AtomicBool::new(false));
        let options =
            RunOptions { stop: Some(stop.clone()), in_flight: 1, ..RunOptions::default() };
        let sink = |event: Event<'_>| {
            if let Event::CaseDone { .. } = event {
                stop.store(true, Ordering::Relaxed);
            }
        };
        let mut vectors = vectors::vectors(4);
        vectors.swap(0, 1);
        let report = run(&loader, &vectors, &options, &sink).expect("it runs");
        assert!(report.interrupted, "{report:#?}");
        assert!(!report.cases.is_empty() && report.cases.len() < 4);
        assert!(report.cases.iter().all(|result| result.outcome == Outcome::Pass));
        assert_ne!(report.exit_code(), 0);
    }
}
