//! SMF files, as they come and with hashes and counts repaired: same verdict, model, images and memory.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(
    init: harness_fuzz::dictionary::start_with_dictionary("smf"),
    |file: &[u8]| harness_fuzz::agreement::smf::file_and_repaired(file)
);

#[cfg(not(fuzzing))]
fn main() {
    harness_fuzz::not_a_fuzzer("load_smf");
}
