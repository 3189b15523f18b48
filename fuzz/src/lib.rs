//! The properties that the fuzz targets check, as ordinary functions with ordinary tests.
//!
//! A target below `fuzz_targets/` is glue of a few lines; everything that can be wrong is here, and runs on
//! the committed corpora in plain `cargo test`. A property panics when it does not hold.
//!
//! **These programs feed hostile bytes to loaders.** They parse, validate, relocate and map; `execute_blob` also
//! executes them, in the sandbox.

pub mod agreement;
pub mod dictionary;
#[cfg(target_os = "linux")]
pub mod execution;
pub mod limits;
pub mod linking;
pub mod loading;
pub mod memory;
pub mod module_file;
pub mod registry_ops;
pub mod relocate;
pub mod rule_coverage;
#[cfg(test)]
mod testing;

use std::sync::LazyLock;

use blobspec::Format;

/// What holds for every file, whatever its bytes: a function that panics when it does not.
pub type Property = fn(&[u8]);

/// Every fuzz target with the property that it checks. Each has a corpus of its name.
pub const TARGETS: &[(&str, Property)] = &[
    ("parse_header", agreement::scp::header),
    ("parse_tables", agreement::scp::file_and_repaired),
    ("load_smf", agreement::smf::file_and_repaired),
    ("relocate", relocate::drawn_module),
    ("registry_ops", registry_ops::drawn_steps),
    ("execute_blob", execution::blob),
];

/// The SCP format at its default readings.
///
/// # Panics
/// When the built-in spec does not load: then nothing can be fuzzed.
pub static SCP: LazyLock<Format> = LazyLock::new(|| builtin("scp"));

/// The SMF format at its default readings.
///
/// # Panics
/// When the built-in spec does not load: then nothing can be fuzzed.
pub static SMF: LazyLock<Format> = LazyLock::new(|| builtin("smf"));

fn builtin(id: &str) -> Format {
    match blobspec::builtin(id) {
        Some(Ok(spec)) => spec.format().clone(),
        Some(Err(error)) => panic!("{error}"),
        None => panic!("there is no built-in spec `{id}`"),
    }
}

/// What a target does when it was built without cargo-fuzz: it says how to run it.
pub fn not_a_fuzzer(target: &str) -> ! {
    eprintln!("{target} was built without libFuzzer; run it with: cargo fuzz run {target}");
    std::process::exit(2);
}
