//! From a file to a program: images at their bases, relocations applied, functions with their signatures.

use std::collections::BTreeMap;

use blobspec::Format;
use harness_protocol::TypeName;

use crate::{Convention, Program};

/// A module that can be called.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// Its memory and symbols.
    pub program: Program,
    /// Its functions, in the order of the file.
    pub functions: Vec<Function>,
    /// Which bytes of the file say what lies where, by ascending address.
    pub origins: Vec<Origin>,
    /// Whether its functions may be called from several threads at once.
    pub thread_safe: bool,
}

/// A function of a module.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Address of its first instruction.
    pub address: u64,
    /// Types of its parameters and its result, where the format says them.
    pub signature: Option<(Vec<TypeName>, TypeName)>,
    /// How it is called.
    pub convention: Convention,
    /// Whether it is marked to give the same result for the same arguments and to change nothing.
    pub pure: bool,
}

/// Memory and the part of the file that decided what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Where the memory starts.
    pub address: u64,
    /// Its size in bytes.
    pub size: u64,
    /// The field in the spec's terms: `functions[2].entry_offset`, `relocations[0]`, `sections[1]`.
    pub field: String,
    /// File offset of that field.
    pub offset: u64,
}

/// Why a file is no module that can be called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// It breaks a rule.
    #[error("{rule}: {why} (at offset {offset:#x})")]
    Rejected {
        /// The rule.
        rule: String,
        /// What goes wrong.
        why: String,
        /// File offset.
        offset: u64,
    },
    /// Nobody defines an imported symbol, or a relocation does not reach.
    #[error("{what} (at offset {offset:#x})")]
    Unresolvable {
        /// What is missing.
        what: String,
        /// File offset of the relocation's record.
        offset: u64,
    },
    /// Its format has no code that this crate knows how to call, or its processor is not known.
    #[error("{0}")]
    Unsupported(String),
}

/// Loads `file`, with its lowest image at `base` and what the host offers to its imports.
///
/// # Errors
/// When the file is rejected by its format's rules, cannot be linked, or holds no callable code.
pub fn load(
    format: &Format,
    file: &[u8],
    base: u64,
    imports: &BTreeMap<String, u64>,
) -> Result<Module, ModuleError> {
    let _ = (file, base, imports);
    Err(ModuleError::Unsupported(format!("{} has no code", format.id)))
}
