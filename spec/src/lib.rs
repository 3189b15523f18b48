//! The spec language for formats that carry machine code.
//!
//! A spec is a YAML document ([`source`]) that says what every byte of a format is and what may be wrong
//! with it. [`Spec::load`] reads one; [`Spec::format`] gives the resolved [`Format`] that a decoder runs on,
//! [`Spec::under`] the same under other readings of the document or as a dialect. [`lint`] finds what a
//! spec leaves open; [`schema`] is the JSON Schema for editors.
//!
//! This crate decodes nothing: that is `harness-codec`.
#![forbid(unsafe_code)]

mod builtin;
pub mod error;
pub mod format;
pub mod formula;
pub mod limits;
pub mod lint;
mod locate;
mod patch;
mod resolve;
pub mod schema;
pub mod source;
mod spec;
mod yaml;

pub use builtin::{BUILTIN, STARTER, builtin};
pub use error::SpecError;
pub use format::Format;
pub use spec::{Readings, Spec};
