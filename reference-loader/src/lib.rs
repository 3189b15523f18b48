//! Reference loader for SCP 0.1, the Code Share Protocol, and (in [`smf`]) for SMF 1.0, the Simple Module
//! Format: the second, independent reading of the documents.
//!
//! Written by hand and sharing no decoding code with the spec-driven codec it is compared with. Where the
//! documents are silent it follows the default reading of every choice in `spec/formats/scp.yaml` and
//! `smf.yaml`. What stands here, at the root, is SCP; the module tree of SMF has the same shape.
//!
//! - Reading: [`parse`] says where everything is, [`validate()`] whether all of it is right. Both borrow from
//!   the file, copy nothing and take every offset as hostile.
//! - Running: [`Module`] maps the code (never writable and executable at once) and calls its functions by
//!   their declared types; [`Registry`] keeps modules under their names, with their dependencies, and
//!   replaces them while they are in use.
//! - Answering: [`Adapter`] speaks the harness's pipe protocol, as any third party's loader would.
//!
//! Machine code is only ever run by `unsafe` functions ([`call::invoke`], [`Module::call`],
//! [`Function::call`](registry::Function::call), [`smf::Module::call`]): that the code may be trusted is for the caller to know.

pub mod adapter;
pub mod call;
pub mod checksum;
mod cursor;
pub mod dependencies;
mod error;
mod file;
pub mod functions;
pub mod header;
mod image;
mod limits;
pub mod mapping;
mod model;
mod module;
pub mod registry;
mod rule;
pub mod smf;
mod strings;
mod sys;
mod table;
pub mod type_code;
pub mod types;
mod validate;

pub use adapter::Adapter;
pub use error::{Error, Violation};
pub use file::{File, parse, validate};
pub use header::Header;
pub use image::Image;
pub use model::model;
pub use module::{Module, Signature};
pub use registry::{Registry, Version};
pub use rule::Rule;
pub use strings::Strings;
pub use table::Entries;
