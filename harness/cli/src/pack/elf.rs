//! What is asked of an object file: its machine, the roles of its sections, the functions it exports.

use object::elf::{
    SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_FINI_ARRAY, SHT_INIT_ARRAY, SHT_PREINIT_ARRAY,
    STT_GNU_IFUNC,
};
use object::read::{Object as _, ObjectSection as _, ObjectSymbol as _};
use object::{
    BinaryFormat, File, ObjectKind, Section, SectionFlags, Symbol, SymbolFlags, SymbolIndex,
    SymbolKind, SymbolScope,
};

use super::layout::{Layout, PAGE};
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
        let file = relocatable(bytes)?;
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

/// A relocatable ELF object, for whatever machine.
pub(super) fn relocatable(bytes: &[u8]) -> Result<File<'_>, PackError> {
    let file = File::parse(bytes)?;
    match (file.format(), file.kind()) {
        (BinaryFormat::Elf, ObjectKind::Relocatable) => Ok(file),
        (BinaryFormat::Elf, ObjectKind::Executable) => {
            Err(PackError::NotRelocatable("an executable"))
        }
        (BinaryFormat::Elf, ObjectKind::Dynamic) => {
            Err(PackError::NotRelocatable("a shared library or an executable"))
        }
        _ => Err(PackError::NotRelocatable("another kind of file")),
    }
}

fn architecture(file: &File<'_>) -> Result<Architecture, PackError> {
    match (file.architecture(), file.is_little_endian()) {
        (object::Architecture::X86_64, true) => Ok(Architecture::X86_64),
        (object::Architecture::Aarch64, true) => Ok(Architecture::Arm64),
        (object::Architecture::I386, true) => Ok(Architecture::X86_32),
        _ => Err(PackError::Machine {
            machine: machine(file),
            known: "SCP 0.1 knows x86_64, arm64 and x86_32",
        }),
    }
}

/// The machine of the code, for messages.
pub(super) fn machine(file: &File<'_>) -> String {
    let order = if file.is_little_endian() { "little" } else { "big" };
    format!("{:?} ({order}-endian)", file.architecture())
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

/// Sections that are errors by being there: without them the module would silently do something else.
pub(super) fn refuse_what_cannot_run(section: &Section<'_, '_>) -> Result<(), PackError> {
    let SectionFlags::Elf { sh_type, sh_flags } = section.flags() else { return Ok(()) };
    if section.size() == 0 {
        return Ok(());
    }
    if matches!(sh_type, SHT_INIT_ARRAY | SHT_FINI_ARRAY | SHT_PREINIT_ARRAY) {
        return Err(PackError::Constructors(section_name(section)));
    }
    let executable = sh_flags & SHF_EXECINSTR == SHF_EXECINSTR;
    if role(section) == Role::Writable && executable {
        return Err(PackError::WritableCode(section_name(section)));
    }
    Ok(())
}

/// What the section's start must be a multiple of, in bytes: a power of two, and at most a page.
pub(super) fn alignment(section: &Section<'_, '_>) -> Result<u64, PackError> {
    let align = section.align().max(1);
    if align.is_power_of_two() && align <= PAGE {
        Ok(align)
    } else {
        Err(PackError::Alignment { section: section_name(section), align })
    }
}

/// What a symbol in common storage is to be aligned to, in bytes: its value, which is no address.
pub(super) fn common_alignment(file: &File<'_>, symbol: SymbolIndex) -> Option<u64> {
    let File::Elf64(elf) = file else { return None };
    Some(elf.elf_symbol_table().symbol(symbol).ok()?.st_value.get(elf.endian()))
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

/// The symbol's name.
pub(super) fn symbol_name(symbol: &Symbol<'_, '_>) -> Result<String, PackError> {
    let bytes = symbol.name_bytes()?;
    match std::str::from_utf8(bytes) {
        Ok(name) => Ok(name.to_owned()),
        Err(_) => Err(PackError::Name(String::from_utf8_lossy(bytes).into_owned())),
    }
}
