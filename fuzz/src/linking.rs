//! SMF modules in memory, computed: what the reference loader makes of the code is what the spec's formulas
//! say, wherever a module lies.
//!
//! `expected` is put together from the codec's reading (layouts, symbols, formulas); only the order of slots
//! and stubs, which is for the loader to choose, is taken from the loader's documentation.

use std::collections::HashSet;

use blobspec::Format;
use blobspec::format::Relocation;
use harness_codec::Decoded;
use harness_codec::link::{Linked, Meaning, Patch, Unlinkable, fits, link};
use reference_loader::header::Architecture;
use reference_loader::smf::{File, Places, Relocated, Rule, fnv1a, relocate};

use crate::SMF;
use crate::limits::MAX_COMPARED_IMAGE;

/// Bytes of a slot: one address.
pub(crate) const SLOT: u64 = 8;

/// Bytes of a stub of the reference loader.
pub(crate) const STUB: u64 = 16;

/// Addresses of imports by name.
pub type Imports<'a> = &'a dyn Fn(&str) -> Option<u64>;

/// What relocation makes of the code: bytes, or the rule that is broken with its offset.
type Outcome<T> = Result<T, (Rule, u64)>;

/// Two places of one module far apart, and one whose parts are out of reach of each other.
const PLACES: [Places; 3] = [
    Places { code: 0x2_0000_1000, data: 0x2_2000_0000, slots: 0x2_4000_0000, stubs: 0x1_f000_0000 },
    Places {
        code: 0x7fff_8000_0000,
        data: 0x7fff_7000_0000,
        slots: 0x7fff_6000_0000,
        stubs: 0x7fff_9000_0000,
    },
    Places { code: 0x10_0000_0000, data: 0x20_0000_0000, slots: u64::MAX - 4096, stubs: 0 },
];

/// Checks an accepted file at several places, with few imports and with all.
///
/// # Panics
/// When the readings differ.
pub fn same_everywhere(decoded: &Decoded, bytes: &[u8], file: &File<'_>) {
    let Some(linked) = comparable(decoded, bytes) else { return };
    for places in &PLACES {
        let all = |name: &str| Some(host_symbol(name, places.code));
        let some = |name: &str| all(name).filter(|_| !fnv1a(name.as_bytes()).is_multiple_of(4));
        same_code(&linked, bytes, file, places, &some);
        same_code(&linked, bytes, file, places, &all);
    }
}

/// The file as the codec links it, if its images are small enough to be compared.
pub(crate) fn comparable(decoded: &Decoded, bytes: &[u8]) -> Option<Linked> {
    let linked = link(&SMF, &decoded.model, bytes)?;
    linked.images.iter().all(|image| image.size <= MAX_COMPARED_IMAGE).then_some(linked)
}

/// Where a host has the symbol `name`: near `base`, at the end of its reach, or far away.
#[must_use]
pub fn host_symbol(name: &str, base: u64) -> u64 {
    let hash = fnv1a(name.as_bytes());
    let distance = u64::from(hash >> 8);
    match hash % 8 {
        0 => distance,
        1 => base.wrapping_add(0x7fff_f000).wrapping_add(distance & 0x1fff),
        2 => base.wrapping_sub(0x7fff_f000).wrapping_sub(distance & 0x1fff),
        3 => u64::MAX.wrapping_sub(distance),
        _ => base.wrapping_add(distance),
    }
}

/// Checks that the loader's pure relocation gives what the formulas say, for one situation.
///
/// # Panics
/// When it does not.
pub fn same_code(
    linked: &Linked,
    bytes: &[u8],
    file: &File<'_>,
    places: &Places,
    imports: Imports<'_>,
) -> Option<Relocated> {
    let ours = expected(&SMF, linked, bytes, places, imports);
    same_directly(linked, bytes, places, imports, &ours);
    let theirs = relocate(file, places, &imports);
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            same_relocated(&ours, &theirs, file.header().architecture());
            Some(theirs)
        }
        (Err(ours), Err(theirs)) => {
            assert_eq!((theirs.rule(), theirs.offset()), (Some(ours.0), Some(ours.1)), "{theirs}");
            None
        }
        (Ok(_), Err(theirs)) => panic!("the loader refuses what can be linked: {theirs}"),
        (Err(ours), Ok(_)) => panic!("the loader links what it must refuse: {ours:?}"),
    }
}

/// What the formulas make of the code.
#[derive(Debug)]
pub(crate) struct Expected {
    code: Vec<u8>,
    /// What the slots hold.
    slots: Vec<u64>,
    /// What the stubs jump to; `None` for those that no call needs.
    stubs: Vec<Option<u64>>,
}

fn same_relocated(ours: &Expected, theirs: &Relocated, architecture: Option<Architecture>) {
    assert_eq!(theirs.code, ours.code, "the code differs");
    let slots: Vec<u8> = ours.slots.iter().flat_map(|address| address.to_le_bytes()).collect();
    assert_eq!(theirs.slots, slots, "the global offset table differs");
    let (stubs, rest) = theirs.stubs.as_chunks::<{ STUB as usize }>();
    assert!(rest.is_empty(), "there is a part of a stub");
    let unused = |stub: &[u8; STUB as usize]| stub.iter().all(|byte| *byte == 0);
    let stubs = stubs.iter().map(|stub| match jump_target(architecture, stub) {
        None if !unused(stub) => panic!("a stub is no jump: {stub:02x?}"),
        target => target,
    });
    let needed = ours.stubs.iter().any(Option::is_some);
    let wanted = if needed { ours.stubs.as_slice() } else { &[] };
    assert_eq!(stubs.collect::<Vec<_>>(), wanted, "the stubs differ");
}

/// The relocations that write something, each with its kind.
pub(crate) fn writing<'a>(
    format: &'a Format,
    linked: &'a Linked,
) -> impl Iterator<Item = (&'a Patch, &'a Relocation)> {
    let kind = |patch: &'a Patch| format.relocations.get(patch.kind);
    let all = linked.patches.iter().filter_map(move |patch| Some((patch, kind(patch)?)));
    all.filter(|(_, kind)| !kind.calc.terms.is_empty())
}

/// Whether the value leads through a slot that holds the address.
pub(crate) fn uses_slot(kind: &Relocation) -> bool {
    kind.name == "gotpcrel"
}

fn is_import(linked: &Linked, patch: &Patch) -> bool {
    let symbol = linked.symbols.get(patch.symbol);
    symbol.is_some_and(|symbol| matches!(symbol.meaning, Meaning::Imported { .. }))
}

/// The record of the first relocation, by its place in the file, whose symbol nobody defines.
pub(crate) fn undefined(format: &Format, linked: &Linked, imports: Imports<'_>) -> Option<u64> {
    let missing = writing(format, linked)
        .filter(|(patch, _)| linked.address(patch.symbol, imports).is_none());
    missing.map(|(patch, _)| patch.record).min()
}

/// The symbols of `patches` in the order of first use.
fn in_order<'a>(patches: impl Iterator<Item = &'a Patch>) -> Vec<usize> {
    let mut seen = HashSet::new();
    patches.map(|patch| patch.symbol).filter(|symbol| seen.insert(*symbol)).collect()
}

/// Address of the part with the number that `symbol` has in `order`.
fn part(start: u64, width: u64, order: &[usize], symbol: usize) -> Option<u64> {
    let number = order.iter().position(|known| *known == symbol)?;
    Some(start.wrapping_add(width.wrapping_mul(u64::try_from(number).ok()?)))
}

/// What relocation makes of the code, by the spec.
fn expected(
    format: &Format,
    linked: &Linked,
    bytes: &[u8],
    places: &Places,
    imports: Imports<'_>,
) -> Outcome<Expected> {
    if let Some(record) = undefined(format, linked, imports) {
        return Err((Rule::Import, record));
    }
    let bases = [places.code, places.data];
    let address = |symbol| linked.address(symbol, imports).map_or(0, |address| address.at(&bases));
    let patches = || writing(format, linked);
    let slots = in_order(patches().filter(|(_, kind)| uses_slot(kind)).map(|(patch, _)| patch));
    let by_stub =
        patches().filter(|(patch, kind)| kind.stub && is_import(linked, patch)).map(|(p, _)| p);
    let stub_order = in_order(by_stub);
    let mut stubs = vec![None; stub_order.len()];
    let mut code = linked.bytes(0, bytes).unwrap_or_default();
    let mut misfit: Option<u64> = None;
    for (patch, kind) in patches() {
        let symbol = address(patch.symbol);
        let slot = part(places.slots, SLOT, &slots, patch.symbol).unwrap_or(0);
        let mut value = patch.value(&kind.calc, &bases, symbol, slot);
        let number = stub_order.iter().position(|known| *known == patch.symbol);
        if let Some(number) = number.filter(|_| kind.stub && !fits(kind, value)) {
            stubs[number] = Some(symbol);
            let stub = part(places.stubs, STUB, &stub_order, patch.symbol).unwrap_or(0);
            value = patch.value(&kind.calc, &bases, stub, slot);
        }
        if fits(kind, value) {
            write(&mut code, patch.at, kind, value);
        } else {
            misfit = Some(misfit.map_or(patch.record, |record| record.min(patch.record)));
        }
    }
    match misfit {
        Some(record) => Err((Rule::RelocRange, record)),
        None => Ok(Expected { code, slots: slots.into_iter().map(address).collect(), stubs }),
    }
}

/// Puts the low bytes of `value` where `kind` says.
fn write(code: &mut [u8], at: u64, kind: &Relocation, value: u64) {
    let (start, width) = (usize::try_from(at).unwrap_or(usize::MAX), width(kind));
    let place = start.checked_add(width).and_then(|end| code.get_mut(start..end));
    match place {
        Some(place) => place.copy_from_slice(&value.to_le_bytes()[..width]),
        None => panic!("an accepted file relocates {at:#x}, past its code"),
    }
}

/// Bytes that a relocation of this kind writes.
pub(crate) fn width(kind: &Relocation) -> usize {
    usize::from(kind.width.unwrap_or(8))
}

/// The codec has a linker of its own that knows no stubs: where none is needed, it says the same.
fn same_directly(
    linked: &Linked,
    bytes: &[u8],
    places: &Places,
    imports: Imports<'_>,
    ours: &Outcome<Expected>,
) {
    let patches = writing(&SMF, linked).filter(|(_, kind)| uses_slot(kind));
    let slots = in_order(patches.map(|(patch, _)| patch));
    let slot = |symbol| part(places.slots, SLOT, &slots, symbol).unwrap_or(0);
    let direct = linked.relocated(&SMF, bytes, &[places.code, places.data], imports, slot);
    match (direct, ours) {
        (Ok(Some(images)), Ok(ours)) => {
            assert_eq!(images.first(), Some(&ours.code), "the codec disagrees with itself");
        }
        (Err(Unlinkable::Undefined(record)), Err(ours)) => {
            assert_eq!(*ours, (Rule::Import, record));
        }
        (Err(Unlinkable::OutOfRange(record)), Err(ours)) if ours.0 == Rule::RelocRange => {
            assert!(record <= ours.1, "the codec finds a later misfit");
        }
        (Err(Unlinkable::OutOfRange(_)), Ok(ours)) => {
            assert!(ours.stubs.iter().any(Option::is_some), "the codec sees a misfit");
        }
        (direct, ours) => panic!("the codec disagrees with itself: {direct:?}, {ours:?}"),
    }
}

/// Where code that does nothing but jump ends up.
pub(crate) fn jump_target(architecture: Option<Architecture>, stub: &[u8]) -> Option<u64> {
    let address = match architecture {
        Some(Architecture::Arm64) => stub.strip_prefix(&[0x50, 0, 0, 0x58, 0, 2, 0x1f, 0xd6])?,
        _ => stub.strip_prefix(&[0xff, 0x25, 0, 0, 0, 0])?,
    };
    address.first_chunk().map(|address| u64::from_le_bytes(*address))
}

#[cfg(test)]
mod tests {
    use harness_codec::link::Address;
    use harness_codec::{Verdict, decode};
    use reference_loader::smf::validate;

    use super::*;
    use crate::testing::{holds, linked_module};

    fn honest(bytes: &[u8]) -> Linked {
        let decoded = decode(&SMF, bytes);
        assert_eq!(decoded.verdict, Verdict::Valid);
        comparable(&decoded, bytes).unwrap()
    }

    /// Whether the loader's code is what the formulas make of `linked`.
    fn agrees(linked: &Linked, bytes: &[u8], imports: Imports<'_>) -> bool {
        let file = validate(bytes).unwrap();
        holds(|| drop(same_code(linked, bytes, &file, &PLACES[0], imports)))
    }

    fn far(name: &str) -> Option<u64> {
        (name == "far").then_some(0x1234_5678_9abc_def0)
    }

    #[test]
    fn every_kind_is_compared() {
        let bytes = linked_module();
        let linked = honest(&bytes);
        let file = validate(&bytes).unwrap();
        let relocated = same_code(&linked, &bytes, &file, &PLACES[0], &far).unwrap();
        assert_eq!(jump_target(Architecture::HOST, &relocated.stubs), far("far"));
        let datum = PLACES[0].data + 8;
        assert_eq!(relocated.slots, datum.to_le_bytes());
        assert_eq!(relocated.code[..8], (datum - 4).to_le_bytes());
    }

    #[test]
    fn another_reading_of_any_relocation_is_noticed() {
        let bytes = linked_module();
        let linked = honest(&bytes);
        assert!(agrees(&linked, &bytes, &far));
        let writes: Vec<usize> = (0..linked.patches.len() - 1).collect(); // the last one is of kind None
        for index in writes {
            let change = |change: &dyn Fn(&mut Patch)| {
                let mut linked = linked.clone();
                change(&mut linked.patches[index]);
                !agrees(&linked, &bytes, &far)
            };
            assert!(change(&|patch| patch.addend ^= 1), "addend of {index}");
            assert!(change(&|patch| patch.at += 1), "place of {index}");
            assert!(change(&|patch| patch.symbol = usize::from(patch.symbol == 0)), "{index}");
            assert!(change(&|patch| patch.kind = 0), "kind of {index}");
        }
    }

    #[test]
    fn other_symbols_and_layouts_are_noticed() {
        let bytes = linked_module();
        let linked = honest(&bytes);
        let mut moved = linked.clone();
        moved.symbols[1].meaning = Meaning::Defined(Address::In { image: 0, offset: 8 });
        assert!(!agrees(&moved, &bytes, &far), "data relative to the code");
        let mut strong = linked.clone();
        strong.symbols[3].meaning = Meaning::Imported { weak: false };
        assert!(!agrees(&strong, &bytes, &far), "a weak import that is needed");
        let mut apart = linked;
        apart.images[0].sections[0].at += 1;
        assert!(!agrees(&apart, &bytes, &far), "a section that starts elsewhere");
    }

    #[test]
    fn refusals_are_compared() {
        let bytes = linked_module();
        let linked = honest(&bytes);
        assert!(agrees(&linked, &bytes, &|_| None), "both miss the import");
        let mut later = linked;
        for patch in &mut later.patches {
            patch.record += 24;
        }
        assert!(!agrees(&later, &bytes, &|_| None), "another record is to blame");
    }
}
