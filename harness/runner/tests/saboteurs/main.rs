//! The harness against loaders that sabotage it. Each of them stands for a hole that a real suite had.

mod calling;
#[cfg(target_arch = "x86_64")] // the code that is followed and called is of that architecture
mod linking;
mod observing;
mod oneshot;
mod pipe;
mod probing;
mod reporting;
mod vectors;
