//! Addresses in words: region and offset, the symbol before, or how far beside a region.

use std::fmt;

use crate::limits::NEAR;
use crate::machine::{Fill, Region, Setup};
use crate::{Program, Symbol};

/// An address, said by what it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address.
    pub address: u64,
    /// The region that holds it, or the nearest one that is near, and the distance from its start (negative:
    /// before it).
    pub region: Option<(String, i64)>,
    /// Whether the address lies in that region (else beside it).
    pub inside: bool,
    /// The distance from the end of that region, where the address lies at or behind it.
    pub past: Option<u64>,
    /// The symbol at or before it in the same region, and the distance.
    pub symbol: Option<(String, u64)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.address)?;
        match (&self.region, self.past) {
            (Some((name, offset)), _) if self.inside => write!(f, " in {name} + {offset:#x}")?,
            (Some((name, _)), Some(0)) => write!(f, ", at the end of {name}")?,
            (Some((name, _)), Some(past)) => write!(f, ", {past} bytes after the end of {name}")?,
            (Some((name, offset)), None) => {
                write!(f, ", {} bytes before {name}", offset.unsigned_abs())?;
            }
            (None, _) => {}
        }
        match &self.symbol {
            Some((name, 0)) => write!(f, " <{name}>"),
            Some((name, offset)) => write!(f, " <{name} + {offset:#x}>"),
            None => Ok(()),
        }
    }
}

/// Says what `address` belongs to.
#[must_use]
pub fn place(setup: &Setup, program: &Program, address: u64) -> Place {
    let nearest = setup.regions.iter().min_by_key(|region| distance(region, address));
    let Some(region) = nearest.filter(|region| distance(region, address) <= NEAR) else {
        return Place { address, region: None, inside: false, past: None, symbol: None };
    };
    let inside = distance(region, address) == 0;
    let (start, size) = span(region);
    let offset = address.wrapping_sub(start).cast_signed();
    let symbols = program.symbols.iter().filter(|_| inside);
    let before = symbols.filter(|it| (region.address..=address).contains(&it.address));
    let symbol = before.max_by_key(|it| it.address);
    Place {
        address,
        region: Some((region.name.clone(), offset)),
        inside,
        past: address.checked_sub(start + size),
        symbol: symbol.map(|Symbol { name, address: at }| (name.clone(), address - at)),
    }
}

/// Bytes between `address` and the nearest byte of a region; zero inside.
fn distance(region: &Region, address: u64) -> u64 {
    let (start, size) = span(region);
    let last = start + size.saturating_sub(1);
    start.saturating_sub(address).max(address.saturating_sub(last))
}

/// Start and size of what a region is for: all of it, but of the pages of a buffer only the buffer.
fn span(region: &Region) -> (u64, u64) {
    if region.kept && region.fill == Fill::Poison {
        (region.address + region.offset, region.bytes.len() as u64)
    } else {
        (region.address, region.size)
    }
}
