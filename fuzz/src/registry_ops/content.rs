//! What is in the files: small modules that define and use a few names. Some are damaged.

use arbitrary::Arbitrary;

use super::model::HOST_NAME;
use crate::limits::MAX_DRAWN_BYTES;
use crate::module_file::{ModuleFile, Relocation, Section, Symbol, relocation, section, symbol};

/// Names that modules define and use. The last one is known to the host too.
const NAMES: [&str; 5] = ["alpha", "beta", "gamma", "delta", HOST_NAME];

/// Uses and definitions of one module, each.
const MAX_NAMES: usize = 6;

/// Bytes of the code and of the data.
const CODE_SIZE: u64 = 96;
const DATA_SIZE: u64 = 32;

/// A name by its number.
pub(super) fn name(number: u8) -> &'static str {
    NAMES[usize::from(number) % NAMES.len()]
}

/// A module's file.
#[derive(Debug, Arbitrary)]
pub(super) struct Content {
    definitions: Vec<Definition>,
    uses: Vec<Use>,
    /// A position and what is done to the byte there.
    damage: Option<(u16, u8)>,
    /// The file ends early.
    cut: Option<u16>,
}

#[derive(Debug, Arbitrary)]
struct Definition {
    name: u8,
    kind: Kind,
    binding: Binding,
    value: u8,
}

#[derive(Debug, Arbitrary)]
enum Kind {
    Function,
    Data,
    Type,
}

#[derive(Debug, Arbitrary)]
enum Binding {
    Local,
    Global,
    Weak,
}

#[derive(Debug, Arbitrary)]
struct Use {
    name: u8,
    way: Way,
    weak: bool,
}

#[derive(Debug, Arbitrary)]
enum Way {
    /// Nothing is written, so that nothing need be defined.
    None,
    Address,
    Slot,
    Call,
}

impl Content {
    /// The bytes of the file.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.file().encode();
        if let Some((position, change)) = self.damage {
            let position = usize::from(position) % bytes.len();
            bytes[position] ^= change;
        }
        if let Some(cut) = self.cut {
            bytes.truncate(usize::from(cut));
        }
        bytes
    }

    fn file(&self) -> ModuleFile {
        let definitions = self.definitions.iter().take(MAX_NAMES).map(Definition::symbol);
        let imports = self.uses.iter().take(MAX_NAMES).map(Use::symbol);
        let symbols: Vec<Symbol> = definitions.chain(imports).collect();
        let first = symbols.len().saturating_sub(self.uses.len().min(MAX_NAMES));
        let relocations = (0..).zip(&self.uses).take(MAX_NAMES).map(|(number, used)| Relocation {
            offset: 16 * number,
            symbol: number.saturating_add(u64::try_from(first).unwrap_or(u64::MAX)),
            kind: used.kind(),
            addend: if matches!(used.way, Way::Call) { -4 } else { 0 },
        });
        let section = |kind, size| Section {
            kind,
            bytes: vec![0xcc; MAX_DRAWN_BYTES.min(16)],
            virtual_size: size,
            alignment: 16,
        };
        ModuleFile {
            arm64: cfg!(target_arch = "aarch64"),
            sections: vec![section(section::CODE, CODE_SIZE), section(section::DATA, DATA_SIZE)],
            symbols,
            relocations: vec![relocations.collect()],
        }
    }
}

impl Definition {
    fn symbol(&self) -> Symbol {
        let (kind, room) = match self.kind {
            Kind::Function => (symbol::FUNCTION, CODE_SIZE),
            Kind::Data => (symbol::DATA, DATA_SIZE),
            Kind::Type => (symbol::TYPE, u64::MAX),
        };
        let binding = match self.binding {
            Binding::Local => symbol::LOCAL,
            Binding::Global => symbol::GLOBAL,
            Binding::Weak => symbol::WEAK,
        };
        let value = u64::from(self.value) % room;
        Symbol { name: name(self.name).into(), kind, binding, value, size: 1 }
    }
}

impl Use {
    fn symbol(&self) -> Symbol {
        let binding = if self.weak { symbol::WEAK } else { symbol::GLOBAL };
        let name = name(self.name).into();
        Symbol { name, kind: symbol::FUNCTION, binding, value: 0, size: 0 }
    }

    fn kind(&self) -> u64 {
        match self.way {
            Way::None => relocation::NONE,
            Way::Address => relocation::ABS64,
            Way::Slot => relocation::GOTPCREL,
            Way::Call => relocation::PLT32,
        }
    }
}

#[cfg(test)]
impl Content {
    /// A module that exports one function.
    pub(super) fn defining(name: u8) -> Self {
        let (kind, binding) = (Kind::Function, Binding::Global);
        let definitions = vec![Definition { name, kind, binding, value: 1 }];
        Self { definitions, uses: Vec::new(), damage: None, cut: None }
    }
}
