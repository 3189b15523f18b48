//! Linking: ELF objects of x86_64, as a compiler leaves them, to the parts of one SMF module.
//!
//! The sections of all objects are merged by what they are, global names are resolved between the objects as
//! a linker does, and what stays open becomes a relocation or an import of the module. SMF relocates its code
//! image and nothing else: read-only sections that hold addresses (tables of functions, jump tables) are
//! therefore placed in the code image, and writable data that holds addresses is refused.
//!
//! | module | holds |
//! | --- | --- |
//! | `sections` | which sections go where in which image |
//! | `names` | what each global name means |
//! | `symbols` | the module's symbol table |
//! | `relocations` | what is left to the loader |
//!
//! Encoding the result as a file is the codec's business.

mod error;
mod names;
mod relocations;
mod sections;
mod symbols;

pub use error::{LinkError, LinkFault, Unlinked};

use object::read::Object as _;

use self::names::Names;
use self::sections::{Layout, Part};
use self::symbols::Table;
use super::elf::{self, machine};
use super::{Architecture, PackError};

/// An object file.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What messages call it.
    pub name: &'a str,
    /// The whole file.
    pub bytes: &'a [u8],
}

/// The parts of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its sections in the order of the table, none of them empty; relocations are beside them.
    pub sections: Vec<Section>,
    /// Defined symbols first (global, weak, local), then what the relocations need beyond them.
    pub symbols: Vec<Symbol>,
    /// By object and section; offsets are in the code image.
    pub relocations: Vec<Relocation>,
    /// Offset in the code image at which to start.
    pub entry: Option<u64>,
    /// Read-only sections that were placed in the code image because they hold addresses: object, section.
    pub moved: Vec<(String, String)>,
}

impl Module {
    /// The names that others can import, in table order.
    pub fn exports(&self) -> impl Iterator<Item = &str> {
        let exported = |symbol: &&Symbol| symbol.binding == Binding::Global && symbol.is_defined();
        self.symbols.iter().filter(exported).map(|symbol| symbol.name.as_str())
    }

    /// The names that others have to define, in table order.
    pub fn imports(&self) -> impl Iterator<Item = &str> {
        self.symbols.iter().filter(|symbol| !symbol.is_defined()).map(|symbol| symbol.name.as_str())
    }
}

/// A section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it holds.
    pub kind: SectionKind,
    /// For people; at most 16 bytes.
    pub name: &'static str,
    /// Its bytes; none for [`SectionKind::Bss`].
    pub bytes: Vec<u8>,
    /// Bytes in memory.
    pub virtual_size: u64,
    /// What its offset in its image is a multiple of, in bytes: a power of two up to 4096.
    pub align: u64,
}

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// Code, and constants that hold addresses.
    Code,
    /// Constants.
    RoData,
    /// Variables.
    Data,
    /// Variables that start as zero.
    Bss,
}

/// A symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name.
    pub name: String,
    /// Which image its value counts in.
    pub kind: SymbolKind,
    /// Who sees it.
    pub binding: Binding,
    /// The ELF visibility: 0 default, 1 internal, 2 hidden, 3 protected.
    pub visibility: u8,
    /// Bytes from the start of its image.
    pub value: u64,
    /// Its extent in bytes.
    pub size: u64,
}

impl Symbol {
    /// Whether the module defines it: the format takes a global or weak symbol without value and size for an
    /// import.
    #[must_use]
    pub fn is_defined(&self) -> bool {
        self.binding == Binding::Local || self.value != 0 || self.size != 0
    }
}

/// Which image a symbol's value counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    /// The code image, whether code lies there or a constant that holds addresses.
    Function,
    /// Writable data.
    Data,
    /// Read-only data.
    Constant,
}

/// Who sees a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Binding {
    /// The module alone.
    Local,
    /// Everybody.
    Global,
    /// A definition that gives way, or an import that may stay undefined.
    Weak,
}

/// A place of the code image that the loader has to fill in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Bytes from the start of the code image.
    pub offset: u64,
    /// Position in the symbol table.
    pub symbol: u32,
    /// What to fill in.
    pub kind: RelocationKind,
    /// A.
    pub addend: i64,
}

/// What a loader fills in: S is the symbol, A the addend, P the place, G a slot that holds S.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelocationKind {
    /// S + A in 8 bytes.
    Abs64,
    /// S + A − P in 4 bytes.
    Pc32,
    /// The same for a call.
    Plt32,
    /// G + A − P in 4 bytes.
    GotPcRel,
}

/// One object on its way into the module.
struct Unit<'data> {
    name: &'data str,
    object: elf::Object<'data>,
}

impl<'data> Unit<'data> {
    fn parse(input: &Input<'data>) -> Result<Self, LinkError> {
        let parse = || {
            let file = elf::relocatable(input.bytes)?;
            if file.architecture() != object::Architecture::X86_64 || !file.is_little_endian() {
                let known = "SMF modules are packed from x86_64 objects only";
                return Err(PackError::Machine { machine: machine(&file), known });
            }
            Ok(elf::Object { file, architecture: Architecture::X86_64 })
        };
        match parse() {
            Ok(object) => Ok(Self { name: input.name, object }),
            Err(error) => Err(LinkError::object(input.name, error)),
        }
    }

    fn error(&self, error: impl Into<PackError>) -> LinkError {
        LinkError::object(self.name, error)
    }
}

/// Links relocatable ELF objects; `entry` names the function at which the module starts.
///
/// # Errors
/// When an object is none that can be packed, when two objects define one name, or when something cannot be
/// said in SMF: every such thing by object, section and symbol.
pub fn link(inputs: &[Input<'_>], entry: Option<&str>) -> Result<Module, LinkError> {
    let units = inputs.iter().map(Unit::parse).collect::<Result<Vec<_>, _>>()?;
    let mut layout = Layout::of(&units)?;
    let names = Names::resolve(&units, &mut layout)?;
    layout.arrange();
    let entry = entry.map(|name| entry_point(name, &names, &layout)).transpose()?;
    let mut table = Table::of(&units, &layout, &names)?;
    let relocations = relocations::read(&units, &layout, &mut table)?;
    let symbols = table.into_symbols();
    Ok(Module {
        symbols,
        relocations,
        entry,
        moved: layout.take_moved(),
        sections: layout.into_sections(),
    })
}

fn entry_point(name: &str, names: &Names, layout: &Layout) -> Result<u64, LinkError> {
    let missing = || LinkError::NoEntry(name.to_owned());
    let place = names.definition(name).ok_or_else(missing)?;
    if place.part == Part::Code { Ok(layout.address(place)) } else { Err(missing()) }
}
