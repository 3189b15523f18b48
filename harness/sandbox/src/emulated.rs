//! The emulated machine: a client of the program `harness-emulator`.
