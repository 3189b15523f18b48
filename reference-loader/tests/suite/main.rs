//! Tests of the loader from outside, one module a concern.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod adapter;
mod boundaries;
#[cfg(all(target_arch = "x86_64", unix))]
mod calls;
mod decoding;
mod encode;
mod files;
mod hostile;
mod laws;
mod model;
mod modules;
#[cfg(target_arch = "x86_64")]
mod registry;
mod smf;
