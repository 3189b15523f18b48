//! Steps drawn from the input, worked through with a module registry: it answers as a list of modules does.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(
    init: harness_fuzz::dictionary::start_with_dictionary("smf"),
    |file: &[u8]| harness_fuzz::registry_ops::drawn_steps(file)
);

#[cfg(not(fuzzing))]
fn main() {
    harness_fuzz::not_a_fuzzer("registry_ops");
}
