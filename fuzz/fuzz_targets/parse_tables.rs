//! Whole files, as they come and with the checksum repaired: same verdict, rule, offset, spans and model.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(
    init: harness_fuzz::dictionary::start_with_dictionary("scp"),
    |file: &[u8]| harness_fuzz::agreement::scp::file_and_repaired(file)
);

#[cfg(not(fuzzing))]
fn main() {
    harness_fuzz::not_a_fuzzer("parse_tables");
}
