//! The parts of the program `harness` that are worth testing by themselves.

pub mod pack;
