//! Which rules an input exercises and which it violates, told to libFuzzer as extra counters.
//!
//! An input that is the first to exercise a rule is interesting even when it runs no new code: the codec is
//! an interpreter, and to edge coverage all rules of a kind look alike.

use std::sync::atomic::{AtomicU8, Ordering};

use harness_codec::Decoded;

/// Rules that can be told apart. The built-in formats have fewer than a hundred each; higher ones share.
const SLOTS: usize = 256;

/// Two counters a rule: exercised, violated.
type Counters = [AtomicU8; 2 * SLOTS];

#[cfg_attr(
    all(fuzzing, target_os = "linux"),
    expect(unsafe_code, reason = "libFuzzer looks for counters in a section of this name"),
    // SAFETY: the section holds nothing but bytes that libFuzzer reads and clears, and this is one byte a slot.
    unsafe(link_section = "__libfuzzer_extra_counters")
)]
static COUNTERS: Counters = [const { AtomicU8::new(0) }; 2 * SLOTS];

/// Counts what `decoded` shows.
pub fn record(decoded: &Decoded) {
    count(decoded, &COUNTERS);
}

fn count(decoded: &Decoded, counters: &Counters) {
    for rule in &decoded.exercised {
        add_one(&counters[rule % SLOTS]);
    }
    for violation in &decoded.violations {
        add_one(&counters[SLOTS + violation.rule % SLOTS]);
    }
}

/// A counter that wrapped around to 0 would hide its rule. One thread counts, so nothing is lost between
/// load and store.
fn add_one(counter: &AtomicU8) {
    counter.store(counter.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use harness_codec::decode;

    use super::*;
    use crate::SCP;

    /// Names of the rules that have been counted as exercised, and those counted as violated.
    fn counted(counters: &Counters) -> [Vec<&'static str>; 2] {
        [0, SLOTS].map(|start| {
            let rules = SCP.rules.iter().zip(&counters[start..]);
            rules
                .filter(|(_, counter)| counter.load(Ordering::Relaxed) > 0)
                .map(|(rule, _)| rule.id.as_str())
                .collect()
        })
    }

    fn counters_of(file: &[u8]) -> Counters {
        let counters = [const { AtomicU8::new(0) }; 2 * SLOTS];
        count(&decode(&SCP, file), &counters);
        counters
    }

    #[test]
    fn a_cut_file_exercises_and_violates_one_rule() {
        let [exercised, violated] = counted(&counters_of(b"SCP"));
        assert_eq!(exercised, ["SCP-HEADER-BOUNDS"]);
        assert_eq!(violated, ["SCP-HEADER-BOUNDS"]);
    }

    #[test]
    fn a_valid_file_exercises_rules_and_violates_none() {
        let spec = blobspec::builtin("scp").unwrap().unwrap();
        let suite = harness_generate::generate(&spec, &blobspec::Readings::new()).unwrap();
        let rich = &suite.vectors[0];
        let [exercised, violated] = counted(&counters_of(&rich.bytes.0));
        assert!(exercised.len() > 30, "{exercised:?}");
        assert!(exercised.contains(&"SCP-TYPE-FIELD-BOUNDS"), "{exercised:?}");
        assert!(violated.is_empty(), "{violated:?}");
    }

    #[test]
    fn every_vector_counts_the_rule_that_it_violates() {
        let spec = blobspec::builtin("scp").unwrap().unwrap();
        let suite = harness_generate::generate(&spec, &blobspec::Readings::new()).unwrap();
        for vector in &suite.vectors {
            let [exercised, violated] = counted(&counters_of(&vector.bytes.0));
            let expected: Vec<&str> = vector.expect.rule.iter().map(String::as_str).collect();
            assert_eq!(violated, expected, "{}", vector.id);
            assert!(violated.iter().all(|rule| exercised.contains(rule)), "{}", vector.id);
        }
    }

    #[test]
    fn all_built_in_rules_have_a_slot_of_their_own() {
        assert!(SCP.rules.len() <= SLOTS && crate::SMF.rules.len() <= SLOTS);
    }

    #[test]
    fn counters_stay_at_their_maximum() {
        let counter = AtomicU8::new(254);
        (0..3).for_each(|_| add_one(&counter));
        assert_eq!(counter.load(Ordering::Relaxed), 255);
    }

    #[test]
    fn what_is_recorded_reaches_the_counters_that_libfuzzer_reads() {
        record(&decode(&SCP, b"SCP"));
        let [exercised, violated] = counted(&COUNTERS);
        assert!(exercised.contains(&"SCP-HEADER-BOUNDS"));
        assert!(violated.contains(&"SCP-HEADER-BOUNDS"));
    }
}
