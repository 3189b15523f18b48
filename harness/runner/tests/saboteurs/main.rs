//! The harness against loaders that sabotage it. Each of them stands for a hole that a real suite had.

mod observing;
mod oneshot;
mod pipe;
mod probing;
mod reporting;
mod vectors;
