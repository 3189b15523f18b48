//! Everything that can be made from a spec alone: valid files ([`base`]), edits of them that cover the
//! format or break exactly one rule, test vectors with proven expectations ([`suite`]), the
//! files under `conformance/` ([`files`]), fuzzing dictionaries and seeds ([`fuzzing`]), and the findings
//! that only making vectors can show ([`mod@findings`]).
//!
//! Nothing here knows a particular format. What an edit does is never assumed: the codec decodes the
//! edited file, and only files with no violation or with exactly one violated rule become vectors.
#![forbid(unsafe_code)]

pub mod base;
mod code;
mod coverage;
mod execute;
pub mod files;
pub mod findings;
pub mod fuzzing;
pub mod limits;
mod linking;
mod loads;
mod scenarios;
mod scene;
pub mod suite;
mod truncation;

pub use base::{Base, BaseError};
pub use findings::{Finding, findings};
pub use suite::{GenerateError, Suite, expectation, generate, stage};
