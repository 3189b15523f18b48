//! The properties that the fuzz targets check, as ordinary functions with ordinary tests.
//!
//! A target below `fuzz_targets/` is glue of a few lines; everything that can be wrong is here, and runs on
//! the committed corpora in plain `cargo test`. A property panics when it does not hold.
//!
//! **These programs feed hostile bytes to loaders.** They parse and validate; they execute nothing.

pub mod agreement;
pub mod dictionary;
pub mod rule_coverage;

use std::sync::LazyLock;

use blobspec::Format;

/// What holds for every file, whatever its bytes: a function that panics when it does not.
pub type Property = fn(&[u8]);

/// Every fuzz target with the property that it checks. Each has a corpus of its name.
pub const TARGETS: &[(&str, Property)] =
    &[("parse_header", agreement::header), ("parse_tables", agreement::file_and_repaired)];

/// The SCP format at its default readings.
///
/// # Panics
/// When the built-in spec does not load: then nothing can be fuzzed.
pub static SCP: LazyLock<Format> = LazyLock::new(|| match blobspec::builtin("scp") {
    Some(Ok(spec)) => spec.format().clone(),
    Some(Err(error)) => panic!("{error}"),
    None => panic!("there is no built-in spec `scp`"),
});

/// What a target does when it was built without cargo-fuzz: it says how to run it.
pub fn not_a_fuzzer(target: &str) -> ! {
    eprintln!("{target} was built without libFuzzer; run it with: cargo fuzz run {target}");
    std::process::exit(2);
}
