//! Modules drawn from the input, linked at two places: the loader's bytes are those of the spec's formulas.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(
    init: harness_fuzz::dictionary::start_with_dictionary("smf"),
    |file: &[u8]| harness_fuzz::relocate::drawn_module(file)
);

#[cfg(not(fuzzing))]
fn main() {
    harness_fuzz::not_a_fuzzer("relocate");
}
