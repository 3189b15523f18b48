//! Time and memory that a load takes for each section, symbol and relocation: a table, from 1,000 to a million
//! of each. Linear means that the columns do not grow.
//!
//! `cargo bench -p reference-loader --bench scaling`
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reference_loader::smf::{Module, no_imports, validate};

#[path = "../tests/suite/smf/encode.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod encode;

use encode::*;

/// The system's allocator, with a count of what was asked of it.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait")]
// SAFETY: every call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are those of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; whatever `alloc` returned came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn sections(count: usize) -> Smf {
    Smf { sections: vec![section(CODE, 16, &[0xc3]); count], ..Smf::default() }
}

/// As [`sections`], but each in the file before the one before it.
fn sections_backwards(count: usize) -> Vec<u8> {
    let mut file = sections(count).encode();
    let offset = |index: usize| 72 + 56 * index + 8..72 + 56 * index + 16;
    for index in 0..count / 2 {
        let (first, last) = (offset(index), offset(count - 1 - index));
        let saved: [u8; 8] = file[first.clone()].try_into().unwrap();
        file.copy_within(last.clone(), first.start);
        file[last].copy_from_slice(&saved);
    }
    file
}

fn symbols(count: usize) -> Smf {
    let symbol =
        |index: usize| symbol(&format!("function_{index:07}"), FUNCTION, GLOBAL, index as u64, 1);
    Smf {
        sections: vec![bss(1, 1), section(CODE, 1, &vec![0xc3; count])],
        symbols: (0..count).map(symbol).collect(),
        ..Smf::default()
    }
}

/// Relocations of all kinds; `stride` is prime to `count`, and 1 keeps them in ascending order.
fn relocations(count: usize, stride: usize) -> Smf {
    let kinds = [ABS64, PC32, PLT32, GOTPCREL];
    let one = |index: usize| {
        let place = 8 * (index * stride % count) as u64;
        relocation(place, (index % 100) as u32, kinds[index % 4], 0)
    };
    let symbol =
        |index: usize| symbol(&format!("function_{index}"), FUNCTION, GLOBAL, index as u64, 1);
    Smf {
        sections: vec![
            section(CODE, 16, &vec![0; 8 * count]),
            relocs(&(0..count).map(one).collect::<Vec<_>>()),
        ],
        symbols: (0..100).map(symbol).collect(),
        ..Smf::default()
    }
}

/// The shortest of some runs, and what one run allocates.
fn measure(mut run: impl FnMut()) -> (Duration, usize) {
    let mut best = (Duration::MAX, 0);
    for _ in 0..7 {
        let (before, start) = (ALLOCATED.load(Ordering::Relaxed), Instant::now());
        run();
        let time = start.elapsed();
        best = best.min((time, ALLOCATED.load(Ordering::Relaxed) - before));
    }
    best
}

fn row(what: &str, count: usize, file: &[u8]) {
    let each = |(time, bytes): (Duration, usize)| {
        (time.as_nanos() as f64 / count as f64, bytes as f64 / count as f64)
    };
    let (read, reserved) = each(measure(|| assert!(validate(file).is_ok())));
    let (load, allocated) = each(measure(|| drop(Module::load(file, &no_imports).unwrap())));
    println!(
        "{what:<24} {count:>8}   {read:>8.1} ns {reserved:>7.1} B   {load:>8.1} ns {allocated:>7.1} B"
    );
}

fn main() {
    println!("{:<24} {:>8}   {:^21}   {:^21}", "for each of", "", "validate", "load and unload");
    for (what, file) in [
        ("sections", (|count| sections(count).encode()) as fn(usize) -> Vec<u8>),
        ("sections, backwards", sections_backwards),
        ("symbols", |count| symbols(count).encode()),
        ("relocations", |count| relocations(count, 1).encode()),
        ("relocations, shuffled", |count| relocations(count, 7919).encode()),
    ] {
        for count in [1_000, 10_000, 100_000, 1_000_000] {
            row(what, count, &file(count));
        }
    }
}
