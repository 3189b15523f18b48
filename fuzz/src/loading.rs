//! SMF modules in memory, mapped: what lies there once a module is loaded is what the spec's formulas say.
//!
//! Nothing is executed. Modules are small, and memory is read from `/proc`.

use std::ops::Range;

use blobspec::format::Relocation;
use harness_codec::Decoded;
use harness_codec::link::{Address, Linked, Meaning, Patch, fits};
use reference_loader::header::Architecture;
use reference_loader::smf::header::Platform;
use reference_loader::smf::{Error, Header, LoadOptions, Module, Rule};

use crate::linking::{
    Imports, comparable, host_symbol, jump_target, undefined, uses_slot, width, writing,
};
use crate::{SMF, memory};

/// Where modules are asked to lie: a place that neither programs nor sanitizers use.
const BASE: u64 = 0x2000_0000_0000;

/// Addends up to this many bytes, and images up to the cap of their size, keep every place of a module within
/// the reach of 32 signed bits.
const SMALL_ADDEND: u64 = 1 << 29;

/// Checks that an accepted file loads, and that its memory is right; or that it is refused for its host, an
/// import or a distance.
///
/// # Panics
/// When the readings differ.
pub fn same_memory(decoded: &Decoded, file: &[u8]) {
    let Some(linked) = comparable(decoded, file) else { return };
    let _alone = memory::loading();
    let imports = |name: &str| Some(host_symbol(name, BASE));
    let options = LoadOptions { base: Some(BASE), ..LoadOptions::default() };
    match Module::load_with(file, &imports, &options) {
        Ok(module) => {
            assert_eq!(refusal(&linked, module.header(), &imports), None, "it must not load");
            check(&module, &linked, file, &imports);
        }
        Err(error) => same_refusal(&error, &linked, file, &imports),
    }
}

/// Checks that a valid file was refused for the right reason.
///
/// # Panics
/// When it was not.
pub fn same_refusal(error: &Error, linked: &Linked, file: &[u8], imports: Imports<'_>) {
    let header = match Header::parse(file) {
        Ok(header) => header,
        Err(error) => panic!("a valid file has a header: {error}"),
    };
    let theirs = (error.rule(), error.offset());
    match refusal(linked, &header, imports) {
        Some(ours) => assert_eq!(theirs, (ours.0, Some(ours.1)), "{error}"),
        None => {
            assert_eq!(theirs.0, Some(Rule::RelocRange), "it must load: {error}");
            let far = |(patch, kind): &(&Patch, &Relocation)| may_be_far(linked, patch, kind);
            let mut records = writing(&SMF, linked).filter(far).map(|(patch, _)| patch.record);
            assert!(records.any(|record| Some(record) == theirs.1), "it reaches: {error}");
        }
    }
}

/// Why a valid file does not load here, as far as that does not depend on where it would lie: rule (none for
/// the processor) and offset.
fn refusal(linked: &Linked, header: &Header, imports: Imports<'_>) -> Option<(Option<Rule>, u64)> {
    if !matches!(header.platform(), Some(Platform::Any | Platform::Linux)) {
        return Some((Some(Rule::HostPlatform), 6));
    }
    if header.architecture() != Architecture::HOST {
        return Some((None, 7));
    }
    undefined(&SMF, linked, imports).map(|record| (Some(Rule::Import), record))
}

/// Whether there are places for the module's parts and its imports at which a value does not fit.
fn may_be_far(linked: &Linked, patch: &Patch, kind: &Relocation) -> bool {
    let symbol = linked.symbols.get(patch.symbol);
    let imported = symbol.is_some_and(|symbol| matches!(symbol.meaning, Meaning::Imported { .. }));
    let leads_away = imported && !kind.stub && !uses_slot(kind);
    let far_from_symbol = patch.addend.cast_signed().unsigned_abs() > SMALL_ADDEND;
    kind.fits.is_some() && (leads_away || far_from_symbol)
}

/// Checks the memory of a loaded module: sizes, every byte of both images, slots, stubs, and exports.
///
/// # Panics
/// When something is not as the formulas say.
pub fn check(module: &Module, linked: &Linked, file: &[u8], imports: Imports<'_>) {
    let sizes: Vec<u64> = linked.images.iter().map(|image| image.size).collect();
    assert_eq!(sizes, [module.code().size, module.data().size], "the sizes differ");
    let bases = [module.code().base, module.data().base];
    let read = |image: usize| match usize::try_from(sizes[image]) {
        Ok(0) | Err(_) => Vec::new(),
        Ok(size) => memory::read(bases[image], size),
    };
    assert_eq!(Some(read(1)), linked.bytes(1, file), "the data differ");
    check_code(&read(0), module, linked, file, imports);
    let address = |address: &Address| address.at(&bases);
    let exported = linked.symbols.iter().filter(|symbol| symbol.exported);
    let exports = exported.filter_map(|symbol| match &symbol.meaning {
        Meaning::Defined(place) => Some((symbol.name.as_deref()?, address(place))),
        Meaning::Imported { .. } => None,
    });
    assert!(module.exports().eq(exports), "the exports differ");
}

fn check_code(code: &[u8], module: &Module, linked: &Linked, file: &[u8], imports: Imports<'_>) {
    let mut plain = linked.bytes(0, file).unwrap_or_default();
    let bases = [module.code().base, module.data().base];
    for (patch, kind) in writing(&SMF, linked) {
        let range = place(patch, kind);
        let found = signed(&code[range.clone()]);
        plain[range.clone()].copy_from_slice(&code[range]);
        let symbol = linked.address(patch.symbol, imports).map_or(0, |address| address.at(&bases));
        let direct = patch.value(&kind.calc, &bases, symbol, 0);
        let kept = found.cast_unsigned();
        if uses_slot(kind) {
            // G + A − P is what is written: the rest of the formula is what a slot at 0 would give.
            let slot = kept.wrapping_sub(direct);
            assert!(outside(module, slot), "the slot at {slot:#x} lies in an image");
            let held = memory::read(slot, 8);
            assert_eq!(held, symbol.to_le_bytes(), "the slot at {slot:#x} holds another address");
        } else if kind.fits.is_none() || fits(kind, direct) {
            assert_eq!(kept, direct, "another value at {:#x} of the code", patch.at);
        } else {
            assert!(kind.stub, "a value that does not fit was written at {:#x}", patch.at);
            let rest = patch.value(&kind.calc, &bases, 0, 0);
            let stub = kept.wrapping_sub(rest);
            assert!(outside(module, stub), "the stub at {stub:#x} lies in an image");
            let target = jump_target(Architecture::HOST, &memory::read(stub, 16));
            assert_eq!(target, Some(symbol), "the stub at {stub:#x} leads elsewhere");
        }
    }
    assert_eq!(code, plain, "bytes differ that no relocation writes");
}

/// The bytes of the code that a relocation writes.
fn place(patch: &Patch, kind: &Relocation) -> Range<usize> {
    let start = usize::try_from(patch.at).unwrap_or(usize::MAX);
    start..start.saturating_add(width(kind))
}

/// A little-endian integer of four or eight bytes, the four signed.
fn signed(bytes: &[u8]) -> i64 {
    match (bytes.first_chunk(), bytes.first_chunk()) {
        (Some(wide), _) => i64::from_le_bytes(*wide),
        (None, Some(narrow)) => i64::from(i32::from_le_bytes(*narrow)),
        (None, None) => panic!("a relocation of {} bytes", bytes.len()),
    }
}

fn outside(module: &Module, address: u64) -> bool {
    let images = [module.code(), module.data()];
    !images.iter().any(|image| address.wrapping_sub(image.base) < image.size)
}

#[cfg(test)]
mod tests {
    use harness_codec::decode;

    use super::*;
    use crate::testing::{holds, linked_module};

    fn far(name: &str) -> Option<u64> {
        (name == "far").then_some(0x1234_5678_9abc_def0)
    }

    #[test]
    fn memory_is_compared_byte_by_byte() {
        let file = linked_module();
        let linked = comparable(&decode(&SMF, &file), &file).unwrap();
        let _alone = memory::loading();
        let module = Module::load(&file, &far).unwrap();
        let same = |linked: &Linked, file: &[u8], imports: Imports<'_>| {
            holds(|| check(&module, linked, file, imports))
        };
        assert!(same(&linked, &file, &far));
        assert!(!same(&linked, &file, &|name| far(name).map(|address| address + 1)), "the stub");
        for index in 0..linked.patches.len() - 1 {
            let mut other = linked.clone();
            other.patches[index].addend ^= 1;
            assert!(!same(&other, &file, &far), "relocation {index}");
        }
        for section in linked.images.iter().map(|image| &image.sections[0]) {
            let mut other = file.clone();
            other[section.bytes.range().end - 1] ^= 1;
            assert!(!same(&linked, &other, &far), "{section:?}");
        }
        let mut hidden = linked.clone();
        hidden.symbols[0].exported = false;
        assert!(!same(&hidden, &file, &far), "an export");
        let mut longer = linked;
        longer.images[0].size += 1;
        assert!(!same(&longer, &file, &far), "a size");
    }

    #[test]
    fn refusals_must_have_a_reason() {
        let file = linked_module();
        let linked = comparable(&decode(&SMF, &file), &file).unwrap();
        let error = |rule, offset| Error::from(reference_loader::smf::Violation { rule, offset });
        let right = |error: &Error, imports: Imports<'_>| {
            holds(|| same_refusal(error, &linked, &file, imports))
        };
        let record = linked.patches[2].record;
        assert!(right(&error(Rule::Import, record), &|_| None));
        assert!(!right(&error(Rule::Import, record + 24), &|_| None));
        assert!(!right(&error(Rule::Import, record), &far), "it is defined");
        assert!(!right(&error(Rule::RelocRange, record), &far), "a stub reaches everything");
        assert!(!right(&error(Rule::HostPlatform, 6), &far), "it is for every platform");
    }
}
