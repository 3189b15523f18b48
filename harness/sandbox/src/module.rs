//! From a file to a program: images at their bases, relocations applied, functions with their signatures.
//!
//! Everything is read through the codec, by the format's spec: this shares no code with the reference loader.
//! Where sections come to lie is `place`'s part, how functions are found is that of `scp` (a table of
//! functions) and `smf` (symbols and relocations); both go by what the spec says, not by its name.

mod place;
mod reading;
mod scp;
mod smf;
mod structure;
mod stubs;

use std::collections::BTreeMap;

use blobspec::Format;
use harness_codec::{Verdict, decode};
use harness_protocol::TypeName;

use self::place::Placement;
use self::reading::Reading;
use crate::{Architecture, Convention, Program};

pub use structure::{Structure, StructureError};

/// A module that can be called.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// Its memory and symbols.
    pub program: Program,
    /// Its functions, in the order of the file.
    pub functions: Vec<Function>,
    /// Which bytes of the file say what lies where, by ascending address; what is said of a part of another's
    /// memory follows it.
    pub origins: Vec<Origin>,
    /// Whether its functions may be called from several threads at once.
    pub thread_safe: bool,
}

/// What a module offers and needs, as far as it is known without addresses.
#[derive(Clone, Debug, PartialEq)]
pub struct Interface {
    /// Whose instructions it holds.
    pub architecture: Architecture,
    /// Its functions, in the order of the file; addresses count from the image that holds them.
    pub functions: Vec<Function>,
    /// What others must define, in the order of the file.
    pub imports: Vec<Import>,
    /// Whether its functions may be called from several threads at once.
    pub thread_safe: bool,
    /// Structures that arguments may point to, in the order of the file.
    pub structures: Vec<Structure>,
}

/// A symbol that a module wants from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Its name.
    pub name: String,
    /// Whether it may stay undefined.
    pub weak: bool,
}

/// A function of a module.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Address of its first instruction.
    pub address: u64,
    /// Its size in bytes, where the format says it.
    pub size: Option<u64>,
    /// Whether others may see it.
    pub exported: bool,
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
    /// The field in the spec's terms: `functions[2].entry_offset`, `relocations[0][3]`, `sections[1]`.
    pub field: String,
    /// File offset of that field.
    pub offset: u64,
    /// What it is about, for people: the function, the relocation and its symbol, the image.
    pub what: String,
    /// The symbol whose address a relocation put there.
    pub symbol: Option<String>,
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
    /// It cannot lie at that address.
    #[error("a module cannot lie at {base:#x}: {why}")]
    Base {
        /// The address that was asked for.
        base: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Its format has no code that this crate knows how to call, or its processor is not known.
    #[error("{0}")]
    Unsupported(String),
}

/// Loads `file`, with its lowest image at `base` and what the host offers to its imports.
///
/// # Errors
/// When the file is rejected by its format's rules, cannot be linked, cannot lie there, or holds no callable code.
pub fn load(
    format: &Format,
    file: &[u8],
    base: u64,
    imports: &BTreeMap<String, u64>,
) -> Result<Module, ModuleError> {
    with_reading(format, file, |reading| {
        let architecture = reading.architecture()?;
        let placement = Placement::new(reading.images(), architecture, base)?;
        let mut module = if format.linking.is_some() {
            smf::load(reading, architecture, &placement, imports)?
        } else {
            scp::load(reading, architecture, &placement)?
        };
        module.program.symbols.sort_by_key(|symbol| symbol.address);
        module.origins.sort_by_key(|origin| (origin.address, u64::MAX - origin.size));
        Ok(module)
    })
}

/// What `file` offers and needs.
///
/// # Errors
/// When the file is rejected by its format's rules or holds no callable code.
pub fn interface(format: &Format, file: &[u8]) -> Result<Interface, ModuleError> {
    with_reading(format, file, |reading| {
        let architecture = reading.architecture()?;
        let bases = vec![0; reading.images().len()];
        if format.linking.is_some() {
            smf::interface(reading, architecture, &bases)
        } else {
            scp::interface(reading, architecture, &bases)
        }
    })
}

fn with_reading<T>(
    format: &Format,
    file: &[u8],
    then: impl FnOnce(&Reading<'_>) -> Result<T, ModuleError>,
) -> Result<T, ModuleError> {
    let decoded = decode(format, file);
    if let Verdict::Rejected { rule, offset, detail, .. } = decoded.verdict {
        return Err(ModuleError::Rejected { rule, why: detail, offset });
    }
    then(&Reading { format, file, model: &decoded.model })
}

impl Module {
    /// The function of that name: the first that others see, else the first.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<&Function> {
        function(&self.functions, name)
    }

    /// What decided what lies at `address`, the narrowest stretch first.
    #[must_use]
    pub fn origins_of(&self, address: u64) -> Vec<&Origin> {
        let holds = |origin: &&Origin| {
            address.checked_sub(origin.address).is_some_and(|distance| distance < origin.size)
        };
        let mut found: Vec<&Origin> = self.origins.iter().filter(holds).collect();
        found.sort_by_key(|origin| origin.size);
        found
    }
}

impl Interface {
    /// The function of that name: the first that others see, else the first.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<&Function> {
        function(&self.functions, name)
    }
}

fn function<'a>(functions: &'a [Function], name: &str) -> Option<&'a Function> {
    let named = || functions.iter().filter(|function| function.name == name);
    named().find(|function| function.exported).or_else(|| named().next())
}
