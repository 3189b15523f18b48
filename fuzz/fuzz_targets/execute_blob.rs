//! Any bytes as code: the sandbox holds, and its verdict agrees with the memory that there was.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(
    init: harness_fuzz::dictionary::start_with_dictionary("x86_64"),
    |code: &[u8]| harness_fuzz::execution::blob(code)
);

#[cfg(not(fuzzing))]
fn main() {
    harness_fuzz::not_a_fuzzer("execute_blob");
}
