//! What each global name means: definitions of all objects held against each other, as a linker does.
//!
//! A strong definition wins over common storage, that over a weak definition; of two weak definitions the first
//! wins, of two tentative ones the larger. Two strong ones are an error.

use std::collections::HashMap;

use object::elf::{
    STB_GLOBAL, STB_GNU_UNIQUE, STB_WEAK, STT_GNU_IFUNC, STT_OBJECT, STT_TLS, STV_DEFAULT,
};
use object::read::{Object as _, ObjectSymbol as _};
use object::{Symbol, SymbolFlags, SymbolSection};

use super::super::elf::{common_alignment, section_name, symbol_name};
use super::super::layout::PAGE;
use super::sections::{Layout, Part, Place};
use super::{LinkError, LinkFault, Unit};

/// The global names of all objects, in the order in which they first occur.
pub(super) struct Names {
    globals: Vec<Global>,
    by_name: HashMap<String, usize>,
}

/// A global name.
pub(super) struct Global {
    pub(super) name: String,
    pub(super) meaning: Meaning,
    /// The strictest of all objects: 0 default, 1 internal, 2 hidden, 3 protected.
    pub(super) visibility: u8,
    /// Whether an object says that it is a variable.
    pub(super) is_object: bool,
}

/// What a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing here: it is for others to define, or not at all if it is weak.
    Undefined { weak: bool },
    /// Common storage: a variable that several objects may declare without saying what it starts as.
    Common { size: u64, align: u64 },
    /// This.
    Defined { place: Place, size: u64, weak: bool, unit: usize },
}

impl Names {
    /// Reads the names of all objects; common storage goes to the end of the zeros.
    pub(super) fn resolve(units: &[Unit<'_>], layout: &mut Layout) -> Result<Self, LinkError> {
        let mut names = Self { globals: Vec::new(), by_name: HashMap::new() };
        for (number, unit) in units.iter().enumerate() {
            for symbol in unit.object.file.symbols().filter(is_global) {
                let found = read(unit, number, layout, &symbol)?;
                names.add(found, units)?;
            }
        }
        for global in &mut names.globals {
            if let Meaning::Common { size, align } = global.meaning {
                let place = common(&global.name, size, align, layout)?;
                global.meaning = Meaning::Defined { place, size, weak: false, unit: 0 };
            }
        }
        Ok(names)
    }

    /// All names.
    pub(super) fn all(&self) -> &[Global] {
        &self.globals
    }

    /// What is known of `name`.
    pub(super) fn find(&self, name: &str) -> Option<&Global> {
        self.globals.get(*self.by_name.get(name)?)
    }

    /// Where `name` is defined.
    pub(super) fn definition(&self, name: &str) -> Option<Place> {
        match self.find(name)?.meaning {
            Meaning::Defined { place, .. } => Some(place),
            _ => None,
        }
    }

    fn add(&mut self, found: Global, units: &[Unit<'_>]) -> Result<(), LinkError> {
        let known = self.by_name.get(&found.name).and_then(|index| self.globals.get_mut(*index));
        let Some(known) = known else {
            self.by_name.insert(found.name.clone(), self.globals.len());
            self.globals.push(found);
            return Ok(());
        };
        known.visibility = stricter(known.visibility, found.visibility);
        known.is_object |= found.is_object;
        known.meaning = merge(known.meaning, found.meaning).map_err(|(first, second)| {
            let name = |unit: usize| units.get(unit).map_or("?", |unit| unit.name).to_owned();
            LinkError::Duplicate { symbol: found.name, first: name(first), second: name(second) }
        })?;
        Ok(())
    }
}

/// Which of two meanings of one name holds; the objects of both when neither gives way.
fn merge(known: Meaning, found: Meaning) -> Result<Meaning, (usize, usize)> {
    use Meaning::{Common, Defined, Undefined};
    Ok(match (known, found) {
        (Undefined { weak: a }, Undefined { weak: b }) => Undefined { weak: a && b },
        (Common { size: a, align: b }, Common { size: c, align: d }) => {
            Common { size: a.max(c), align: b.max(d) }
        }
        (Defined { weak: false, unit: first, .. }, Defined { weak: false, unit: second, .. }) => {
            return Err((first, second));
        }
        _ if strength(found) > strength(known) => found,
        _ => known,
    })
}

fn strength(meaning: Meaning) -> u8 {
    match meaning {
        Meaning::Undefined { .. } => 0,
        Meaning::Defined { weak: true, .. } => 1,
        Meaning::Common { .. } => 2,
        Meaning::Defined { weak: false, .. } => 3,
    }
}

/// The stricter of two visibilities: the codes of ELF fall from internal to protected, and 0 is none at all.
fn stricter(a: u8, b: u8) -> u8 {
    match (a, b) {
        (0, other) | (other, 0) => other,
        _ => a.min(b),
    }
}

/// Whether the symbol is seen by other objects.
pub(super) fn is_global(symbol: &Symbol<'_, '_>) -> bool {
    let SymbolFlags::Elf { st_info, .. } = symbol.flags() else { return false };
    matches!(st_info.st_bind(), STB_GLOBAL | STB_WEAK | STB_GNU_UNIQUE)
}

/// Reads one symbol. Unique ones (templates of C++) may be in every object: they give way as weak ones do.
fn read(
    unit: &Unit<'_>,
    number: usize,
    layout: &Layout,
    symbol: &Symbol<'_, '_>,
) -> Result<Global, LinkError> {
    let name = symbol_name(symbol).map_err(|error| unit.error(error))?;
    let SymbolFlags::Elf { st_info, st_other } = symbol.flags() else {
        return Ok(Global::undefined(name));
    };
    let fault = |fault| {
        Err(LinkError::Symbol { object: unit.name.to_owned(), symbol: name.clone(), fault })
    };
    let weak = st_info.st_bind() != STB_GLOBAL;
    let meaning = match (st_info.st_type(), symbol.section()) {
        (STT_TLS, _) => return fault(LinkFault::ThreadLocal),
        (STT_GNU_IFUNC, _) => return fault(LinkFault::IndirectFunction),
        (_, SymbolSection::Absolute) => return fault(LinkFault::Absolute),
        (_, SymbolSection::Common) => {
            let align = common_alignment(&unit.object.file, symbol.index()).unwrap_or(1).max(1);
            Meaning::Common { size: symbol.size(), align }
        }
        (_, SymbolSection::Section(index)) => {
            let Some(start) = layout.place(number, index) else {
                let section = unit.object.file.section_by_index(index);
                let section = section.map_err(|error| unit.error(error))?;
                return fault(LinkFault::NotPacked(section_name(&section)));
            };
            let place = Place { offset: start.offset.saturating_add(symbol.address()), ..start };
            Meaning::Defined { place, size: symbol.size(), weak, unit: number }
        }
        _ => Meaning::Undefined { weak },
    };
    let visibility = match st_other.visibility() {
        STV_DEFAULT => 0,
        object::elf::STV_INTERNAL => 1,
        object::elf::STV_HIDDEN => 2,
        _ => 3,
    };
    Ok(Global { name, meaning, visibility, is_object: st_info.st_type() == STT_OBJECT })
}

impl Global {
    fn undefined(name: String) -> Self {
        let meaning = Meaning::Undefined { weak: false };
        Self { name, meaning, visibility: 0, is_object: false }
    }
}

/// Sets common storage aside.
fn common(name: &str, size: u64, align: u64, layout: &mut Layout) -> Result<Place, LinkError> {
    if !align.is_power_of_two() || align > PAGE {
        return Err(LinkError::CommonAlignment { symbol: name.to_owned(), align });
    }
    let offset = layout.extend(Part::Zeros, size.max(1), align)?;
    Ok(Place { part: Part::Zeros, offset })
}
