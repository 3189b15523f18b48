//! What is asked of the object file: its machine, the roles of its sections, the functions it exports.

use object::elf::{SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, STT_GNU_IFUNC};
use object::read::{Object as _, ObjectSection as _, ObjectSymbol as _};
use object::{
    BinaryFormat, File, ObjectKind, Section, SectionFlags, Symbol, SymbolFlags, SymbolKind,
    SymbolScope,
};

use super::layout::Layout;
use super::{Architecture, PackError};

/// A relocatable ELF object for a machine that SCP knows.
pub(super) struct Object<'data> {
    pub(super) file: File<'data>,
    pub(super) architecture: Architecture,
}

/// What a section is to a packed module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Machine code: always packed.
    Code,
    /// Read-only data: packed when something refers to it.
    Constants,
    /// Data that the program changes: never packed.
    Writable,
    /// Not part of the program in memory.
    Other,
}

/// A function that others may call.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Export {
    /// Bytes from the start of the blob. First, so that exports sort by it.
    pub(super) entry: u64,
    pub(super) name: String,
}

impl<'data> Object<'data> {
    pub(super) fn parse(bytes: &'data [u8]) -> Result<Self, PackError> {
        let file = File::parse(bytes)?;
        match (file.format(), file.kind()) {
            (BinaryFormat::Elf, ObjectKind::Relocatable) => {}
            (BinaryFormat::Elf, ObjectKind::Executable) => {
                return Err(PackError::NotRelocatable("an executable"));
            }
            (BinaryFormat::Elf, ObjectKind::Dynamic) => {
                return Err(PackError::NotRelocatable("a shared library or an executable"));
            }
            _ => return Err(PackError::NotRelocatable("another kind of file")),
        }
        let architecture = architecture(&file)?;
        Ok(Self { file, architecture })
    }

    /// The global functions that the layout holds, by entry, then name.
    pub(super) fn exports(&self, layout: &Layout) -> Result<Vec<Export>, PackError> {
        let mut exports = Vec::new();
        for symbol in self.file.symbols().filter(is_exported) {
            let name = symbol_name(&symbol)?;
            if is_indirect(&symbol) {
                return Err(PackError::IndirectFunction(name));
            }
            let Some((index, start)) =
                symbol.section_index().and_then(|index| Some((index, layout.start(index)?)))
            else {
                continue;
            };
            if symbol.address() >= self.file.section_by_index(index)?.size() {
                return Err(PackError::Entry(name));
            }
            let entry = start.checked_add(symbol.address());
            exports.push(Export { entry: entry.ok_or(PackError::Entry(name.clone()))?, name });
        }
        exports.sort();
        if exports.is_empty() { Err(PackError::NoFunctions) } else { Ok(exports) }
    }
}

fn architecture(file: &File<'_>) -> Result<Architecture, PackError> {
    match (file.architecture(), file.is_little_endian()) {
        (object::Architecture::X86_64, true) => Ok(Architecture::X86_64),
        (object::Architecture::Aarch64, true) => Ok(Architecture::Arm64),
        (object::Architecture::I386, true) => Ok(Architecture::X86_32),
        (other, little) => {
            let order = if little { "little" } else { "big" };
            Err(PackError::Machine(format!("{other:?} ({order}-endian)")))
        }
    }
}

/// What `section` is to a packed module, by its flags alone: names mean nothing to a linker.
pub(super) fn role(section: &Section<'_, '_>) -> Role {
    let SectionFlags::Elf { sh_flags, .. } = section.flags() else { return Role::Other };
    let has = |flag| sh_flags & flag == flag;
    match (has(SHF_ALLOC), has(SHF_WRITE), has(SHF_EXECINSTR)) {
        (false, ..) => Role::Other,
        (true, true, _) => Role::Writable,
        (true, false, true) => Role::Code,
        (true, false, false) => Role::Constants,
    }
}

/// The section's name, for messages.
pub(super) fn section_name(section: &Section<'_, '_>) -> String {
    section.name_bytes().map_or_else(
        |_| format!("number {}", section.index().0),
        |name| String::from_utf8_lossy(name).into_owned(),
    )
}

/// Whether the symbol is a defined function, visible outside the object. Hidden ones (the compiler's own
/// helpers on 32-bit x86) are for the linker only.
fn is_exported(symbol: &Symbol<'_, '_>) -> bool {
    let is_function = symbol.kind() == SymbolKind::Text && symbol.is_definition();
    (is_function || is_indirect(symbol)) && symbol.scope() == SymbolScope::Dynamic
}

/// Whether the symbol's address is that of a function which chooses the function.
pub(super) fn is_indirect(symbol: &Symbol<'_, '_>) -> bool {
    matches!(symbol.flags(), SymbolFlags::Elf { st_info, .. } if st_info.st_type() == STT_GNU_IFUNC)
}

fn symbol_name(symbol: &Symbol<'_, '_>) -> Result<String, PackError> {
    let bytes = symbol.name_bytes()?;
    match std::str::from_utf8(bytes) {
        Ok(name) => Ok(name.to_owned()),
        Err(_) => Err(PackError::Name(String::from_utf8_lossy(bytes).into_owned())),
    }
}
