//! Sorts crashes into buckets, says how bad they are, and shrinks the files that cause them over the model.
//!
//! [`bucket`] says which crashes are the same; [`severity`] how bad one is; [`minimize`] makes the file that
//! causes one as small as its format allows. None of them runs anything.
#![forbid(unsafe_code)]

mod bucket;
mod instruction;
pub mod limits;
mod minimize;
mod severity;
mod target;

pub use bucket::{Bucket, Kind, bucket};
pub use minimize::{MinimizeError, Minimized, Removal, minimize};
pub use severity::{Level, Severity, severity};
pub use target::Target;
