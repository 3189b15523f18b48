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

/// A definition and where its name is, in little room: there may be many.
#[derive(Debug)]
struct Named {
    name_start: u32,
    name_length: u16,
    kind: SymbolType,
    binding: Binding,
    value: u64,
    size: u64,
}

impl Named {
    fn definition(&self) -> Definition {
        let Self { kind, binding, value, size, .. } = *self;
        Definition { kind, binding, value, size }
    }

    fn is_exported_address(&self) -> bool {
        self.binding == Binding::Global && self.kind.is_address()
    }
}

/// The definitions in table order, and a way to find them.
#[derive(Debug)]
pub(crate) struct SymbolTable {
    names: Vec<u8>,
    definitions: Vec<Named>,
    /// Index of the first definition of each name.
    first: HashTable<u32>,
    /// Index of the first exported address of each name whose first definition is none.
    exported: HashTable<u32>,
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
            first: index(count, quota)?,
            exported: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        };
        for symbol in defined {
            table.add(file, &symbol, quota)?;
        }
        Ok(table)
    }

    fn add(&mut self, file: &File<'_>, symbol: &Symbol, quota: &dyn Quota) -> Result<(), Error> {
        // A validated file has all of these for every symbol.
        let name = file.names().at(symbol.name_offset).unwrap_or_default();
        let (Some(kind), Some(binding)) = (symbol.kind(), symbol.binding()) else { return Ok(()) };
        let (Ok(name_length), Ok(index)) =
            (u16::try_from(name.len()), u32::try_from(self.definitions.len()))
        else {
            return Ok(());
        };
        let Symbol { name_offset: name_start, value, size, .. } = *symbol;
        let named = Named { name_start, name_length, kind, binding, value, size };
        let exported = named.is_exported_address();
        self.definitions.push(named);
        let Self { names, definitions, first, hasher, .. } = self;
        let hash = hasher.hash_one(name);
        let same = |known: &u32| text(names, definitions, *known) == name;
        match first.entry(hash, same, |known| hasher.hash_one(text(names, definitions, *known))) {
            Entry::Occupied(known) => {
                let first = definition(definitions, *known.get());
                let shadowed = first.is_some_and(|first| !first.is_exported_address());
                if exported && shadowed {
                    self.add_export(hash, name, index, quota)
                } else {
                    Ok(())
                }
            }
            Entry::Vacant(place) => {
                place.insert(index);
                Ok(())
            }
        }
    }

    /// Enters an exported address whose name means something else first.
    fn add_export(
        &mut self,
        hash: u64,
        name: &[u8],
        exported: u32,
        quota: &dyn Quota,
    ) -> Result<(), Error> {
        if self.exported.is_empty() {
            self.exported = index(self.definitions.capacity(), quota)?;
        }
        let Self { names, definitions, exported: table, hasher, .. } = self;
        let same = |known: &u32| text(names, definitions, *known) == name;
        table
            .entry(hash, same, |known| hasher.hash_one(text(names, definitions, *known)))
            .or_insert(exported);
        Ok(())
    }

    /// The first definition of `name` in table order.
    pub(crate) fn find(&self, name: &str) -> Option<Definition> {
        self.look_up(&self.first, name).map(Named::definition)
    }

    /// The first definition of `name` that is exported and an address.
    pub(crate) fn find_export(&self, name: &str) -> Option<Definition> {
        let first = self.look_up(&self.first, name)?;
        let exported = Some(first).filter(|first| first.is_exported_address());
        exported.or_else(|| self.look_up(&self.exported, name)).map(Named::definition)
    }

    /// What is exported, with its names, in table order.
    pub(crate) fn exports(&self) -> impl Iterator<Item = (&str, Definition)> {
        let exported = self.definitions.iter().filter(|named| named.binding == Binding::Global);
        exported.map(|named| {
            let name = slice(&self.names, named);
            (std::str::from_utf8(name).unwrap_or_default(), named.definition())
        })
    }

    #[inline]
    fn look_up(&self, table: &HashTable<u32>, name: &str) -> Option<&Named> {
        let name = name.as_bytes();
        let same = |known: &u32| text(&self.names, &self.definitions, *known) == name;
        definition(&self.definitions, *table.find(self.hasher.hash_one(name), same)?)
    }
}

/// An empty index with room for `count` definitions.
fn index(count: usize, quota: &dyn Quota) -> Result<HashTable<u32>, Error> {
    let bytes = count.saturating_mul(size_of::<u32>());
    let granted = count == 0 || quota.grant(Demand::Allocate { bytes });
    let mut table = HashTable::new();
    let reserved = granted && table.try_reserve(count, |_| 0).is_ok();
    if reserved { Ok(table) } else { Err(Error::OutOfMemory { bytes }) }
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
    definition(definitions, index).map_or(&[], |named| slice(names, named))
}

#[inline]
fn definition(definitions: &[Named], index: u32) -> Option<&Named> {
    definitions.get(usize::try_from(index).ok()?)
}

#[inline]
fn slice<'a>(names: &'a [u8], named: &Named) -> &'a [u8] {
    let start = usize::try_from(named.name_start).unwrap_or(usize::MAX);
    names.get(start..start.saturating_add(named.name_length.into())).unwrap_or_default()
}
