//! The built program, run as users run it.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod bad_input;
mod commands;
#[cfg(target_arch = "x86_64")]
mod emulated;
mod formats;
mod implementations;
#[cfg(target_arch = "x86_64")]
mod real;
#[cfg(target_arch = "x86_64")]
mod sandbox;
#[cfg(target_arch = "x86_64")]
mod smf;
#[cfg(target_arch = "x86_64")]
mod smf_refused;
mod support;
