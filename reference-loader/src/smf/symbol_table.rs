//! The symbols that a module defines, by name (clause “O(1) average lookup by name”).
//!
//! Owned: the file is not needed any more. The stored FNV-1a hashes are not used for the lookup: names of one
//! hash are easy to make, and would turn a table of them into a list. The table's own hash is seeded.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};

use super::error::Error;
use super::file::File;
use super::quota::{Demand, Quota, reserve};
use super::symbols::{Binding, Symbol, SymbolType};

/// A symbol that a module defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    /// What it stands for.
    pub kind: SymbolType,
    /// Who sees it.
    pub binding: Binding,
    /// Offset in the code image (functions) or the data image (data, constants), in bytes; otherwise a
    /// number without a meaning to the loader.
    pub value: u64,
    /// Size in bytes.
    pub size: u64,
}

impl Definition {
    fn is_export(&self) -> bool {
        self.binding == Binding::Global
    }
}

#[derive(Debug)]
struct Named {
    name_start: u32,
    name_length: u16,
    definition: Definition,
}

/// What one name leads to; indices of definitions.
#[derive(Clone, Copy, Debug)]
struct Meaning {
    first: u32,
    /// The first that is exported and an address.
    exported: Option<u32>,
}

/// The definitions in table order, and a way to find them.
#[derive(Debug)]
pub(crate) struct SymbolTable {
    names: Vec<u8>,
    definitions: Vec<Named>,
    by_name: HashTable<Meaning>,
    hasher: DefaultHashBuilder,
}

impl SymbolTable {
    /// The definitions of `file`, which was validated. Takes time and memory linear in its size.
    pub(crate) fn of(file: &File<'_>, quota: &dyn Quota) -> Result<Self, Error> {
        let defined = file.symbols().iter().filter(|symbol| !symbol.is_import());
        let count = defined.clone().count();
        let mut table = Self {
            names: names(file, count, quota)?,
            definitions: reserve(quota, count)?,
            by_name: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        };
        table.reserve_index(count, quota)?;
        for symbol in defined {
            table.add(file, &symbol);
        }
        Ok(table)
    }

    fn reserve_index(&mut self, count: usize, quota: &dyn Quota) -> Result<(), Error> {
        let bytes = count.saturating_mul(size_of::<Meaning>());
        let granted = count == 0 || quota.grant(Demand::Allocate { bytes });
        let reserved = granted && self.by_name.try_reserve(count, |_| 0).is_ok();
        if reserved { Ok(()) } else { Err(Error::OutOfMemory { bytes }) }
    }

    fn add(&mut self, file: &File<'_>, symbol: &Symbol) {
        // A validated file has all of these for every symbol.
        let name = file.names().at(symbol.name_offset).unwrap_or_default();
        let (Some(kind), Some(binding)) = (symbol.kind(), symbol.binding()) else { return };
        let (Ok(name_length), Ok(index)) =
            (u16::try_from(name.len()), u32::try_from(self.definitions.len()))
        else {
            return;
        };
        let definition = Definition { kind, binding, value: symbol.value, size: symbol.size };
        self.definitions.push(Named { name_start: symbol.name_offset, name_length, definition });
        let exported = (definition.is_export() && kind.is_address()).then_some(index);
        let Self { names, definitions, by_name, hasher } = self;
        let named = |meaning: &Meaning| text(names, definitions, meaning.first);
        let (hash, same) = (hasher.hash_one(name), |meaning: &Meaning| named(meaning) == name);
        match by_name.entry(hash, same, |meaning| hasher.hash_one(named(meaning))) {
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.exported = known.exported.or(exported);
            }
            Entry::Vacant(place) => drop(place.insert(Meaning { first: index, exported })),
        }
    }

    /// The first definition of `name` in table order.
    pub(crate) fn find(&self, name: &str) -> Option<&Definition> {
        self.definition(self.meaning(name)?.first)
    }

    /// The first definition of `name` that is exported and an address.
    pub(crate) fn find_export(&self, name: &str) -> Option<&Definition> {
        self.definition(self.meaning(name)?.exported?)
    }

    /// What is exported, with its names, in table order.
    pub(crate) fn exports(&self) -> impl Iterator<Item = (&str, &Definition)> {
        let exported = self.definitions.iter().filter(|named| named.definition.is_export());
        exported.map(|named| {
            let name = slice(&self.names, named);
            (std::str::from_utf8(name).unwrap_or_default(), &named.definition)
        })
    }

    fn meaning(&self, name: &str) -> Option<&Meaning> {
        let name = name.as_bytes();
        self.by_name.find(self.hasher.hash_one(name), |meaning| {
            text(&self.names, &self.definitions, meaning.first) == name
        })
    }

    fn definition(&self, index: u32) -> Option<&Definition> {
        let named = self.definitions.get(usize::try_from(index).ok()?)?;
        Some(&named.definition)
    }
}

/// A copy of the string table, if there are any definitions to name.
fn names(file: &File<'_>, count: usize, quota: &dyn Quota) -> Result<Vec<u8>, Error> {
    let bytes = if count == 0 { &[] } else { file.names().bytes() };
    let mut names = reserve(quota, bytes.len())?;
    names.extend_from_slice(bytes);
    Ok(names)
}

#[inline]
fn text<'a>(names: &'a [u8], definitions: &[Named], index: u32) -> &'a [u8] {
    let named = usize::try_from(index).ok().and_then(|index| definitions.get(index));
    named.map_or(&[], |named| slice(names, named))
}

#[inline]
fn slice<'a>(names: &'a [u8], named: &Named) -> &'a [u8] {
    let start = usize::try_from(named.name_start).unwrap_or(usize::MAX);
    names.get(start..start.saturating_add(named.name_length.into())).unwrap_or_default()
}
