//! What stands at relocated places, and what it leads to.

use std::collections::HashMap;

use harness_protocol::linked::{Patch, Way};

use super::bytes::shown;
use super::memory::{Absent, Memory};
use super::placement::{Placed, Placement};
use super::stub;

/// Widest place, in bytes.
const WIDEST: usize = 8;

/// What is needed to look at relocated places.
pub(crate) struct Relocated<'a> {
    pub(crate) placement: &'a Placement<'a>,
    pub(crate) memory: &'a dyn Memory,
    /// Whether the code is of an architecture whose stubs can be followed.
    pub(crate) stubs: bool,
}

/// What a place must hold.
#[derive(Clone, Copy, Debug)]
struct Formula {
    /// S
    symbol: u64,
    /// What is added to it: A − P, say.
    rest: u64,
}

impl Relocated<'_> {
    /// The first relocated place of `placed` that is not as it must be, in words.
    pub(crate) fn difference(&self, placed: Placed<'_>) -> Option<String> {
        let patches = &placed.image.patches;
        let writers = last_writers(patches);
        patches.iter().enumerate().find_map(|(index, patch)| {
            let own = |at| writers.get(&at) == Some(&index);
            self.one(placed, patch, own)
        })
    }

    /// `own` says of which bytes `patch` is the last writer.
    fn one(&self, placed: Placed<'_>, patch: &Patch, own: impl Fn(u64) -> bool) -> Option<String> {
        let width = usize::from(patch.width).min(WIDEST);
        let place =
            |what: &str| format!("offset {:#x}, relocation {}: {what}", patch.at, patch.relocation);
        let mut bytes = [0; WIDEST];
        let found = bytes.get_mut(..width).unwrap_or_default();
        match self.memory.read(placed.base.wrapping_add(patch.at), found) {
            Ok(()) => {}
            Err(Absent::Unknown) => return None,
            Err(Absent::Unreadable(_)) => return Some(place("it cannot be read")),
        }
        let base = |name: &str| self.placement.base(name);
        let (Some(symbol), Some(rest)) = (patch.symbol.evaluate(base), patch.rest.evaluate(base))
        else {
            return Some(place("it depends on an image that is not reported"));
        };
        let formula = Formula { symbol, rest };
        let owned = |n: usize| own(patch.at.saturating_add(n as u64));
        let cause = if (0..width).all(owned) {
            self.leads(patch.way, found, formula)
        } else if patch.way == Way::Direct {
            let wanted = formula.direct().to_le_bytes();
            let differs = |n: usize| owned(n) && found.get(n) != wanted.get(n);
            (0..width).any(differs).then(|| unlike(found, formula))
        } else {
            None // Overwritten by a later relocation: what it led to cannot be told.
        };
        cause.map(|cause| place(&cause))
    }

    /// What is wrong with a place that holds `found`.
    fn leads(&self, way: Way, found: &[u8], formula: Formula) -> Option<String> {
        match way {
            Way::Direct => direct(found, formula),
            Way::Stub => {
                let reason = direct(found, formula)?;
                if !self.stubs {
                    return Some(format!("{reason} (stubs are followed only in x86_64 code)"));
                }
                let start = extended(found).wrapping_sub(formula.rest);
                let astray = stub::follow(self.memory, start, formula.symbol)?;
                Some(format!("{reason}, and no stub: {astray}"))
            }
            Way::Slot => self.slot(found, formula),
        }
    }

    fn slot(&self, found: &[u8], formula: Formula) -> Option<String> {
        let slot = extended(found).wrapping_sub(formula.rest);
        let mut content = [0; WIDEST];
        let holds = shown(found);
        match self.memory.read(slot, &mut content) {
            Err(Absent::Unknown) => None,
            Err(Absent::Unreadable(_)) => {
                Some(format!("holds {holds}, a slot at {slot:#x}, which cannot be read"))
            }
            Ok(()) if u64::from_le_bytes(content) == formula.symbol => None,
            Ok(()) => Some(format!(
                "holds {holds}, a slot at {slot:#x} with {}, {} was expected in it",
                shown(&content),
                shown(&formula.symbol.to_le_bytes())
            )),
        }
    }
}

impl Formula {
    fn direct(self) -> u64 {
        self.symbol.wrapping_add(self.rest)
    }
}

fn direct(found: &[u8], formula: Formula) -> Option<String> {
    let wanted = formula.direct();
    let bytes = wanted.to_le_bytes();
    let wanted_bytes = bytes.get(..found.len()).unwrap_or_default();
    if extended(wanted_bytes) != wanted {
        let (value, bits) = (wanted.cast_signed(), 8 * found.len());
        return Some(format!(
            "holds {}, the value {value} does not fit in {bits} bits",
            shown(found)
        ));
    }
    (found != wanted_bytes).then(|| unlike(found, formula))
}

fn unlike(found: &[u8], formula: Formula) -> String {
    let wanted = formula.direct().to_le_bytes();
    let wanted = wanted.get(..found.len()).unwrap_or_default();
    format!("holds {}, {} was expected", shown(found), shown(wanted))
}

/// `bytes` as a little-endian number with sign.
fn extended(bytes: &[u8]) -> u64 {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; WIDEST];
    wide.iter_mut().zip(bytes).for_each(|(wide, byte)| *wide = *byte);
    u64::from_le_bytes(wide)
}

/// For every patched byte the patch that writes it last.
fn last_writers(patches: &[Patch]) -> HashMap<u64, usize> {
    let bytes = patches.iter().enumerate().flat_map(|(index, patch)| {
        (0..u64::from(patch.width)).map(move |n| (patch.at.saturating_add(n), index))
    });
    bytes.collect()
}
