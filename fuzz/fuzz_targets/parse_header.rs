//! The header alone: hand-written parser against spec codec.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(
    init: harness_fuzz::dictionary::start_with_dictionary("scp"),
    |file: &[u8]| harness_fuzz::agreement::scp::header(file)
);

#[cfg(not(fuzzing))]
fn main() {
    harness_fuzz::not_a_fuzzer("parse_header");
}
