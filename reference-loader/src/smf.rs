//! SMF 1.0, the Simple Module Format: the second, independent reading of the plan.
//!
//! Written by hand like the rest of this crate. Where the plan is silent it follows the default reading of
//! every choice in `spec/formats/smf.yaml`.
//!
//! - Reading: [`parse`] says where everything is, [`validate()`] whether all of it is right. Both borrow from
//!   the file, reserve nothing for counts whose bytes are not there, and take linear time.
//! - Linking: [`relocate()`] computes what the relocations make of the code, for bases of the caller's choice
//!   and without mapping anything.
//! - Running: [`Module`] maps both images apart from each other and never writable and executable at once;
//!   [`ModuleRegistry`] keeps one module a file, resolves imports among them and replaces them while they
//!   are in use.

mod error;
mod file;
mod hash;
pub mod header;
mod layout;
mod link;
mod memory;
mod model;
mod module;
mod names;
mod quota;
mod registry;
pub mod relocations;
mod resolver;
mod rule;
pub mod sections;
mod symbol_table;
pub mod symbols;
mod table;
mod validate;

pub use error::{Error, Violation};
pub use file::{File, parse, validate};
pub use hash::fnv1a;
pub use header::Header;
pub use layout::{Layout, Permissions};
pub use link::{Places, Relocated, relocate};
pub use model::model;
pub use module::{Image, LoadOptions, Module};
pub use names::Names;
pub use quota::{Demand, Quota, Unlimited};
pub use registry::ModuleRegistry;
pub use resolver::{ImportResolver, no_imports};
pub use rule::Rule;
pub use symbol_table::Definition;
pub use table::Table;
