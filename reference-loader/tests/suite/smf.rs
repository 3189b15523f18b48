//! Tests of the SMF loader from outside, one module a concern.

mod adapter;
mod boundaries;
#[cfg(target_arch = "x86_64")]
mod calls;
#[cfg(target_arch = "x86_64")]
mod compiled;
mod encode;
mod failures;
mod files;
mod laws;
mod loading;
mod memory;
#[cfg(target_arch = "x86_64")]
mod registry;
#[cfg(target_arch = "x86_64")]
mod storm;
