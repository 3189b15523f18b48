//! The symbols that a module defines, by name (clause “O(1) average lookup by name”).
//!
//! Owned: the file is not needed any more. A load reserves all memory, but names are entered when the first one
//! is looked up: many modules are only called through a few pointers, or not at all.
//!
//! The stored FNV-1a hashes are not used for the lookup: names of one hash are easy to make, and would turn
//! a table of them into a list. The table's own hash is seeded.

use std::hash::BuildHasher;
use std::sync::{Mutex, OnceLock, PoisonError};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::error::Error;
use super::file::File;
use super::quota::{Demand, Quota, reserve};
use super::symbols::{Binding, Symbol, SymbolType};
use crate::cursor::narrow;

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
    value: u64,
    size: u64,
    name_start: u32,
    name_length: u16,
    kind: SymbolType,
    binding: Binding,
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
    index: OnceLock<Index>,
    /// Where the index will be, until it is made.
    room: Mutex<Index>,
    hasher: DefaultHashBuilder,
}

/// An entry for each name.
type Index = HashTable<Found>;

/// Where the definitions of a name are.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// The first.
    first: u32,
    /// The first that is exported and an address; [`NONE`] if there is none.
    exported: u32,
}

/// See [`Found::exported`]. There are fewer definitions.
const NONE: u32 = u32::MAX;

impl SymbolTable {
    /// The definitions of `file`, which was validated. Takes time and memory linear in its size.
    pub(crate) fn of(file: &File<'_>, quota: &dyn Quota) -> Result<Self, Error> {
        let count = file.symbols().iter().filter(|symbol| !symbol.is_import()).count();
        let names = names(file, count, quota)?;
        let mut definitions = reserve(quota, count)?;
        for symbol in file.symbols().iter().filter(|symbol| !symbol.is_import()) {
            // A validated file has all of these for every symbol.
            let (Some(kind), Some(binding)) = (symbol.kind(), symbol.binding()) else { continue };
            let name = file.names().at(symbol.name_offset).unwrap_or_default();
            let Ok(name_length) = u16::try_from(name.len()) else { continue };
            let Symbol { name_offset: name_start, value, size, .. } = symbol;
            definitions.push(Named { value, size, name_start, name_length, kind, binding });
        }
        let room = Mutex::new(room(count, quota)?);
        let hasher = DefaultHashBuilder::default();
        Ok(Self { names, definitions, index: OnceLock::new(), room, hasher })
    }

    /// The first definition of `name` in table order.
    #[inline]
    pub(crate) fn find(&self, name: &str) -> Option<Definition> {
        self.at(self.look_up(name)?.first).map(Named::definition)
    }

    /// The first definition of `name` that is exported and an address.
    pub(crate) fn find_export(&self, name: &str) -> Option<Definition> {
        self.at(self.look_up(name)?.exported).map(Named::definition)
    }

    /// What is exported, with its names, in table order.
    pub(crate) fn exports(&self) -> impl Iterator<Item = (&str, Definition)> {
        let exported = self.definitions.iter().filter(|named| named.binding == Binding::Global);
        exported.map(|named| {
            let name = self.name(named);
            (std::str::from_utf8(name).unwrap_or_default(), named.definition())
        })
    }

    #[inline]
    fn look_up(&self, name: &str) -> Option<Found> {
        let index = self.index.get_or_init(|| self.index());
        let hash = self.hasher.hash_one(name.as_bytes());
        index.find(hash, |found| self.name_of(*found) == name.as_bytes()).copied()
    }

    /// Enters all names, in the room that was reserved for them.
    #[cold]
    fn index(&self) -> Index {
        let room = self.room.lock();
        let mut index = std::mem::take(&mut *room.unwrap_or_else(PoisonError::into_inner));
        for (at, named) in (0..NONE).zip(&self.definitions) {
            let name = self.name(named);
            let exported = if named.is_exported_address() { at } else { NONE };
            let hash = self.hasher.hash_one(name);
            if let Some(known) = index.find_mut(hash, |found| self.name_of(*found) == name) {
                known.exported = known.exported.min(exported);
                continue;
            }
            let found = Found { first: at, exported };
            index.insert_unique(hash, found, |found| self.hasher.hash_one(self.name_of(*found)));
        }
        index
    }

    #[inline]
    fn name_of(&self, found: Found) -> &[u8] {
        self.at(found.first).map_or(&[], |named| self.name(named))
    }

    #[inline]
    fn at(&self, index: u32) -> Option<&Named> {
        self.definitions.get(narrow(index))
    }

    #[inline]
    fn name(&self, named: &Named) -> &[u8] {
        let start = narrow(named.name_start);
        let end = start.saturating_add(named.name_length.into());
        self.names.get(start..end).unwrap_or_default()
    }
}

/// An empty index with room for `count` names.
fn room(count: usize, quota: &dyn Quota) -> Result<Index, Error> {
    let bytes = count.saturating_mul(size_of::<Found>());
    let granted = count == 0 || quota.grant(Demand::Allocate { bytes });
    let mut index = Index::new();
    let reserved = granted && index.try_reserve(count, |_| 0).is_ok();
    if reserved { Ok(index) } else { Err(Error::OutOfMemory { bytes }) }
}

/// A copy of the string table, if there are any definitions to name.
fn names(file: &File<'_>, count: usize, quota: &dyn Quota) -> Result<Vec<u8>, Error> {
    let bytes = if count == 0 { &[] } else { file.names().bytes() };
    let mut names = reserve(quota, bytes.len())?;
    names.extend_from_slice(bytes);
    Ok(names)
}
