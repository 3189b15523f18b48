//! Which rules an input exercises and which it violates, told to libFuzzer as extra counters.
//!
//! An input that is the first to exercise a rule is interesting even when it runs no new code: the codec is
//! an interpreter, and to edge coverage all rules of a kind look alike.

use std::sync::atomic::{AtomicU8, Ordering};

use harness_codec::Decoded;

/// Rules that can be told apart. The built-in formats have fewer than a hundred each; higher ones share.
const SLOTS: usize = 256;

/// Two counters a rule: exercised, violated.
#[cfg_attr(
    all(fuzzing, target_os = "linux"),
    expect(unsafe_code, reason = "libFuzzer looks for counters in a section of this name"),
    // SAFETY: the section holds nothing but bytes that libFuzzer reads and clears, and this is one byte a slot.
    unsafe(link_section = "__libfuzzer_extra_counters")
)]
static COUNTERS: [AtomicU8; 2 * SLOTS] = [const { AtomicU8::new(0) }; 2 * SLOTS];

/// Counts what `decoded` shows.
pub fn record(decoded: &Decoded) {
    for rule in &decoded.exercised {
        COUNTERS[rule % SLOTS].fetch_add(1, Ordering::Relaxed);
    }
    for violation in &decoded.violations {
        COUNTERS[SLOTS + violation.rule % SLOTS].fetch_add(1, Ordering::Relaxed);
    }
}
