//! Which names were seen already, by their bytes.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use std::hash::{BuildHasher, Hasher};

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::strings::Strings;

/// A set of names. It stores offsets, not text: four bytes a name. The hash is seeded per process, so that
/// no file can be prepared whose names collide.
pub(super) struct Names<'a> {
    strings: Strings<'a>,
    seen: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl<'a> Names<'a> {
    /// An empty set with room for `count` names; each of them has been read from the file already.
    pub(super) fn new(strings: Strings<'a>, count: usize) -> Self {
        let seen = HashTable::with_capacity(count);
        Self { strings, seen, hasher: DefaultHashBuilder::default() }
    }

    /// Adds the name at `name_offset`; `false` if an equal one is there. A name outside the strings
    /// equals none. Costs as much as the name is long.
    #[inline]
    pub(super) fn insert(&mut self, name_offset: u32) -> bool {
        let Self { strings, seen, hasher } = self;
        let Some(name) = strings.at(name_offset) else { return true };
        let same = |other: &u32| *other == name_offset || strings.at(*other) == Some(name);
        let rehash = |other: &u32| hash(hasher, strings.at(*other).unwrap_or_default());
        match seen.entry(hash(hasher, name), same, rehash) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(name_offset);
                true
            }
        }
    }
}

#[inline]
fn hash(hasher: &DefaultHashBuilder, name: &[u8]) -> u64 {
    let mut hash = hasher.build_hasher();
    hash.write(name);
    hash.finish()
}
