//! Reads and writes files by their spec.
//!
//! [`decode`] turns any bytes into a [`Model`] with the byte span of every field and the list of violated
//! rules in a fixed order; it never panics and its memory is a small multiple of the input. [`Draft`] is a
//! file to be written: [`encode`] fills in what the spec derives (sizes, counts, offsets, checksums) except
//! where a draft pins a value on purpose. [`rules`] holds one module for each kind of rule: how to check it
//! and how to break it.
//!
//! This is one of two independent readings of every format; the other is the crate `reference-loader`,
//! which shares no code with this one.
#![forbid(unsafe_code)]

mod checksum;
mod decode;
mod draft;
mod encode;
mod evaluate;
mod image;
mod json;
pub mod limits;
pub mod link;
mod model;
pub mod rules;
mod shared;
mod violation;

pub use decode::{Decoded, decode};
pub use draft::{Cut, Draft, Gap, Item, RegionDraft, Site};
pub use encode::{EncodeError, Encoded, encode};
pub use json::model_json;
pub use model::{Model, Node, RegionNode, Span, Value};
pub use rules::{Proposal, proposals, satisfy};
pub use violation::{Verdict, Violation};
