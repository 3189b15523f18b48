//! Everything that asks the operating system for something: processes, waiting, limits, tracing.

pub(crate) mod maps;
pub(crate) mod memory;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod trace;
pub(crate) mod wait;
