//! Packing: ELF object files, as a compiler leaves them, to the parts of a module: one to an SCP module here,
//! several to an SMF module in [`smf`].
//!
//! An SCP module is one blob of position-independent code without imports. So the sections of code, and
//! the read-only ones that they refer to, are laid out one behind the other ([`layout`](self)), every
//! relocation that stays inside the blob is resolved, and any other is an error that says what it is and
//! where. Global functions become the function table; their types come from a file beside the object
//! ([`TypesFile`]) or from its DWARF. Encoding the result as a file is the codec's business.
//!
//! | module | holds |
//! | --- | --- |
//! | `elf` | what is asked of the object file: machine, sections, exported functions |
//! | `layout` | which sections go where in the blob |
//! | `relocate` | the relocations, one file a machine |
//! | `signature` | the types of every function, from whichever source has them |
//! | `types_file`, `dwarf` | the two sources |
//! | `smf` | the packer of SMF, which shares `elf` |
#![deny(clippy::as_conversions, clippy::indexing_slicing)] // offsets here come from a file

mod dwarf;
mod elf;
mod error;
mod layout;
mod relocate;
mod signature;
pub mod smf;
mod types_file;

#[cfg(test)]
mod tests;

use harness_protocol::TypeName;

pub use error::PackError;
pub use relocate::{RelocationError, RelocationFault};
pub use signature::Signature;
pub use types_file::TypesFile;

/// What is known beside the object file.
#[derive(Clone, Debug, Default)]
pub struct PackOptions {
    /// Signatures and structures that take precedence over those of the object's DWARF.
    pub types: Option<TypesFile>,
}

/// The parts of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The machine of the code.
    pub architecture: Architecture,
    /// The code and the constants that it reads, to be mapped at the start of a page.
    pub blob: Vec<u8>,
    /// The global functions, by entry, then name.
    pub functions: Vec<PackedFunction>,
    /// The structures that `struct_ref` parameters and results point to, by name.
    pub types: Vec<PackedType>,
}

/// A callable function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedFunction {
    /// The symbol's name.
    pub name: String,
    /// Bytes from the start of the blob.
    pub entry: u64,
    /// Types of the parameters, at most 255.
    pub params: Vec<TypeName>,
    /// Type of the result.
    pub returns: TypeName,
}

/// A structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedType {
    /// Its tag, or the name it is defined as.
    pub name: String,
    /// Its size in bytes.
    pub size: u32,
    /// Offset in bytes and type of each field, at most 255; structures and arrays inside it are spread out.
    pub fields: Vec<(u32, TypeName)>,
}

/// The machines that SCP 0.1 knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit x86.
    X86_64,
    /// AArch64, little-endian.
    Arm64,
    /// 32-bit x86.
    X86_32,
}

impl Architecture {
    /// The name in the format's spec.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
            Self::X86_32 => "x86_32",
        }
    }

    /// Bytes of an address.
    #[must_use]
    pub fn pointer_size(self) -> u32 {
        match self {
            Self::X86_64 | Self::Arm64 => 8,
            Self::X86_32 => 4,
        }
    }
}

/// Packs a relocatable ELF object.
///
/// # Errors
/// When the object is none that can be packed, refers to anything outside the blob, or when the types of
/// one of its global functions are unknown or cannot be said in SCP.
pub fn read_object(bytes: &[u8], options: &PackOptions) -> Result<Packed, PackError> {
    let object = elf::Object::parse(bytes)?;
    let mut layout = layout::Layout::of(&object)?;
    relocate::resolve(&object, &mut layout)?;
    let exports = object.exports(&layout)?;
    let typed = signature::assign(&object, &layout, exports, options.types.as_ref())?;
    Ok(Packed {
        architecture: object.architecture,
        blob: layout.into_blob(),
        functions: typed.functions,
        types: typed.types,
    })
}
