//! The module's symbol table: global definitions first, so that a lookup by name finds those before local
//! symbols of the same name; then weak and local ones; then whatever relocations need beyond them.

use std::collections::{BTreeMap, HashMap};

use object::elf::{STT_FUNC, STT_OBJECT};
use object::read::{Object as _, ObjectSymbol as _};
use object::{SymbolFlags, SymbolIndex, SymbolSection};

use super::super::elf::{section_name, symbol_name};
use super::names::{Global, Meaning, Names, is_global};
use super::sections::{Layout, Part, Place};
use super::{Binding, LinkError, LinkFault, Symbol, SymbolKind, Unit};

/// Visibilities that end at the module: internal and hidden.
const INSIDE: std::ops::RangeInclusive<u8> = 1..=2;

/// A symbol table that grows as relocations ask for symbols.
pub(super) struct Table<'a> {
    layout: &'a Layout,
    names: &'a Names,
    symbols: Vec<Symbol>,
    globals: HashMap<String, usize>,
    locals: HashMap<(usize, SymbolIndex), usize>, // by object
    parts: BTreeMap<Part, usize>,
}

impl<'a> Table<'a> {
    /// Everything that the objects define.
    pub(super) fn of(
        units: &[Unit<'_>],
        layout: &'a Layout,
        names: &'a Names,
    ) -> Result<Self, LinkError> {
        let mut defined: Vec<Symbol> =
            names.all().iter().filter_map(|global| definition(global, layout)).collect();
        let rank = |symbol: &Symbol| match symbol.binding {
            Binding::Global => 0,
            Binding::Weak => 1,
            Binding::Local => 2,
        };
        defined.sort_by_key(rank); // stable: the order of the objects stays
        let globals =
            defined.iter().enumerate().map(|(index, symbol)| (symbol.name.clone(), index));
        let globals = globals.collect();
        let mut table = Self {
            layout,
            names,
            symbols: defined,
            globals,
            locals: HashMap::new(),
            parts: BTreeMap::new(),
        };
        for (number, unit) in units.iter().enumerate() {
            table.add_locals(unit, number)?;
        }
        Ok(table)
    }

    pub(super) fn into_symbols(self) -> Vec<Symbol> {
        self.symbols
    }

    /// Static functions and variables, by their names.
    fn add_locals(&mut self, unit: &Unit<'_>, number: usize) -> Result<(), LinkError> {
        for symbol in unit.object.file.symbols().filter(|symbol| !is_global(symbol)) {
            let SymbolFlags::Elf { st_info, .. } = symbol.flags() else { continue };
            if !matches!(st_info.st_type(), STT_FUNC | STT_OBJECT) {
                continue;
            }
            let Some(start) = symbol.section_index().and_then(|i| self.layout.place(number, i))
            else {
                continue;
            };
            let name = symbol_name(&symbol).map_err(|error| unit.error(error))?;
            let place = Place { offset: start.offset.saturating_add(symbol.address()), ..start };
            self.locals.insert((number, symbol.index()), self.symbols.len());
            self.symbols.push(Symbol {
                name,
                kind: place.part.symbol_kind(),
                binding: Binding::Local,
                visibility: 0,
                value: self.layout.address(place),
                size: symbol.size(),
            });
        }
        Ok(())
    }

    /// The symbol of the module that stands for one of an object, and what to add to the addend.
    pub(super) fn target(
        &mut self,
        unit: &Unit<'_>,
        number: usize,
        symbol: &object::Symbol<'_, '_>,
    ) -> Result<(usize, u64), LinkFault> {
        if is_global(symbol) {
            let name = symbol.name().map_err(|_| LinkFault::Damaged)?;
            return Ok((self.global(name)?, 0));
        }
        if let Some(index) = self.locals.get(&(number, symbol.index())) {
            return Ok((*index, 0));
        }
        match symbol.section() {
            SymbolSection::Section(index) => {
                let Some(place) = self.layout.place(number, index) else {
                    let section = unit.object.file.section_by_index(index);
                    let section = section.map_err(|_| LinkFault::Damaged)?;
                    return Err(LinkFault::NotPacked(section_name(&section)));
                };
                Ok((self.part(place.part)?, place.offset.saturating_add(symbol.address())))
            }
            SymbolSection::Absolute => Err(LinkFault::Absolute),
            _ => Err(LinkFault::Damaged),
        }
    }

    fn global(&mut self, name: &str) -> Result<usize, LinkFault> {
        if let Some(index) = self.globals.get(name) {
            return Ok(*index);
        }
        let global = self.names.find(name).ok_or(LinkFault::Damaged)?;
        let Meaning::Undefined { weak } = global.meaning else { return Err(LinkFault::Damaged) };
        if INSIDE.contains(&global.visibility) && !weak {
            return Err(LinkFault::Hidden);
        }
        let index = self.symbols.len();
        self.globals.insert(name.to_owned(), index);
        self.symbols.push(Symbol {
            name: name.to_owned(),
            kind: if global.is_object { SymbolKind::Data } else { SymbolKind::Function },
            binding: if weak { Binding::Weak } else { Binding::Global },
            visibility: global.visibility,
            value: 0,
            size: 0,
        });
        Ok(index)
    }

    /// The symbol that stands for the start of a part.
    fn part(&mut self, part: Part) -> Result<usize, LinkFault> {
        if let Some(index) = self.parts.get(&part) {
            return Ok(*index);
        }
        // An empty part has no address that a symbol could have.
        if self.layout.size(part) == 0 {
            return Err(LinkFault::NotPacked(format!("{}, which is empty", part.name())));
        }
        let index = self.symbols.len();
        self.parts.insert(part, index);
        self.symbols.push(Symbol {
            name: part.name().to_owned(),
            kind: part.symbol_kind(),
            binding: Binding::Local,
            visibility: 0,
            value: self.layout.address(Place { part, offset: 0 }),
            size: self.layout.size(part),
        });
        Ok(index)
    }
}

/// The symbol for a name that is defined. One that ends at the module becomes local, as in any linked file;
/// one at the start of an image gets a size, for without it would read as an import.
fn definition(global: &Global, layout: &Layout) -> Option<Symbol> {
    let Meaning::Defined { place, size, weak, .. } = global.meaning else { return None };
    let value = layout.address(place);
    let binding = match weak {
        _ if INSIDE.contains(&global.visibility) => Binding::Local,
        true => Binding::Weak,
        false => Binding::Global,
    };
    let size = if value == 0 { size.max(1) } else { size };
    let kind = place.part.symbol_kind();
    let (name, visibility) = (global.name.clone(), global.visibility);
    Some(Symbol { name, kind, binding, visibility, value, size })
}
