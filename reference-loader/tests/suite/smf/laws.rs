//! What holds for every module.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use reference_loader::smf::{
    Module, Places, Relocated, model, no_imports, parse, relocate, validate,
};

use super::encode::*;
use super::files::full;
use super::memory::peek;

/// Where the tests put a module; everything within reach of 32 bits.
const HERE: Places =
    Places { code: 0x5000_0000, data: 0x5100_0000, slots: 0x5200_0000, stubs: 0x5300_0000 };
const THERE: Places =
    Places { code: 0x6000_1000, data: 0x6200_3000, slots: 0x6300_0000, stubs: 0x6400_0000 };

/// Where the host's symbols are: near both places.
fn host(name: &str) -> Option<u64> {
    let number: u64 = name.strip_prefix("host")?.parse().ok()?;
    Some(0x5800_0000 + 16 * number)
}

/// Starts of the sections in both images, and the images' sizes, by the document.
fn starts(sections: &[Section]) -> (Vec<u64>, u64, u64) {
    let (mut code, mut data, mut last) = (0_u64, 0_u64, None);
    let place = |section: &Section| match section.kind {
        CODE => {
            let start = code.next_multiple_of(section.alignment);
            code = start + section.virtual_size;
            start
        }
        DATA | BSS | RODATA => {
            let read_only = section.kind == RODATA;
            let apart = last.is_some_and(|last| last != read_only);
            last = Some(read_only);
            let alignment = if apart { section.alignment.max(4096) } else { section.alignment };
            let start = data.next_multiple_of(alignment);
            data = start + section.virtual_size;
            start
        }
        _ => 0,
    };
    let starts = sections.iter().map(place).collect();
    (starts, code, data)
}

fn any_section(kind: u32) -> impl Strategy<Value = Section> {
    let bytes = vec(any::<u8>(), if kind == BSS { 0..1 } else { 1..80 });
    (bytes, 1_u64..40, 0_u32..8).prop_map(move |(bytes, zeros, shift)| Section {
        kind,
        virtual_size: bytes.len() as u64 + zeros,
        alignment: 1 << shift,
        bytes: if kind == BSS { vec![] } else { bytes },
    })
}

fn any_sections() -> impl Strategy<Value = Vec<Section>> {
    let data = proptest::sample::select(vec![DATA, BSS, RODATA]).prop_flat_map(any_section);
    let (code, data) = (vec(any_section(CODE), 1..4), vec(data, 1..5));
    (code, data).prop_flat_map(|(code, data)| Just([code, data].concat()).prop_shuffle())
}

/// Symbols of all sorts in images of these sizes.
fn any_symbols(code: u64, data: u64) -> impl Strategy<Value = Vec<Symbol>> {
    let one = (any::<Index>(), 0_u8..6).prop_map(move |(index, sort)| {
        let within = |size: u64| index.index(size as usize) as u64;
        match sort {
            0 => symbol("", FUNCTION, GLOBAL, within(code), 1),
            1 => symbol("", FUNCTION, LOCAL, within(code), 0),
            2 => symbol("", DATUM, WEAK, within(data), 1),
            3 => symbol("", CONSTANT, LOCAL, within(data), 1),
            4 => import("host", FUNCTION, GLOBAL),
            _ => import("host", DATUM, WEAK),
        }
    });
    vec(one, 1..12).prop_map(|mut symbols| {
        for (number, symbol) in symbols.iter_mut().enumerate() {
            symbol.name = format!("{}{number}", if symbol.name.is_empty() { "s" } else { "host" });
        }
        symbols
    })
}

/// Relocations of places that are apart from each other.
fn any_relocations(code: u64, symbols: u32) -> impl Strategy<Value = Vec<Relocation>> {
    let places: Vec<u64> = (0..code.saturating_sub(7)).step_by(8).collect();
    let most = places.len();
    subsequence(places, 0..=most).prop_flat_map(move |places| {
        let rest = vec((0..symbols, 0_u32..5, -64_i64..64), places.len());
        rest.prop_map(move |rest| {
            let both = places.iter().zip(rest);
            both.map(|(place, (symbol, kind, addend))| relocation(*place, symbol, kind, addend))
                .collect()
        })
    })
}

/// A module that loads, with its relocations apart from it.
fn any_module() -> impl Strategy<Value = (Smf, Vec<Relocation>)> {
    any_sections().prop_flat_map(|sections| {
        let (_, code, data) = starts(&sections);
        any_symbols(code, data).prop_flat_map(move |symbols| {
            let file = Smf { sections: sections.clone(), symbols, ..Smf::default() };
            let relocations = any_relocations(code, file.symbols.len() as u32);
            (Just(file), relocations)
        })
    })
}

fn with(file: &Smf, relocations: &[Relocation]) -> Vec<u8> {
    let mut file = file.clone();
    file.sections.push(relocs(relocations));
    file.encode()
}

fn at(bytes: &[u8], places: &Places) -> Relocated {
    relocate(&parse(bytes).unwrap(), places, &host).unwrap()
}

/// The S of a relocation, by the document.
fn target(file: &Smf, relocation: &Relocation, places: &Places) -> u64 {
    let symbol = &file.symbols[relocation.symbol as usize];
    match symbol.kind {
        _ if symbol.binding != LOCAL && symbol.value == 0 && symbol.size == 0 => {
            host(&symbol.name).unwrap()
        }
        FUNCTION => places.code + symbol.value,
        _ => places.data + symbol.value,
    }
}

/// The code with zeros where it is relocated, and the value that each relocated place leads to, in the order
/// of places: S + A.
fn meaning(
    mut relocated: Relocated,
    relocations: &[Relocation],
    places: &Places,
) -> (Vec<u8>, Vec<u64>) {
    let mut sorted = relocations.to_vec();
    sorted.sort_unstable();
    let mut values = Vec::new();
    for relocation in sorted.iter().filter(|relocation| relocation.kind != NONE) {
        let offset = relocation.offset as usize;
        let width = if relocation.kind == ABS64 { 8 } else { 4 };
        let place = &mut relocated.code[offset..offset + width];
        let wide = place.try_into().map(u64::from_le_bytes);
        let narrow = || i64::from(i32::from_le_bytes((&*place).try_into().unwrap()));
        let relative = || (places.code + relocation.offset).wrapping_add_signed(narrow());
        values.push(match relocation.kind {
            ABS64 => wide.unwrap(),
            GOTPCREL => {
                let slot = relative().wrapping_add_signed(-relocation.addend) - places.slots;
                let slot = &relocated.slots[slot as usize..][..8];
                u64::from_le_bytes(slot.try_into().unwrap()).wrapping_add_signed(relocation.addend)
            }
            _ => relative(),
        });
        place.fill(0);
    }
    (relocated.code, values)
}

/// The code image without relocations, by the document.
fn unrelocated(file: &Smf) -> Vec<u8> {
    let (starts, code, _) = starts(&file.sections);
    let mut image = vec![0; code as usize];
    for (section, start) in file.sections.iter().zip(starts) {
        if section.kind == CODE {
            image[start as usize..][..section.bytes.len()].copy_from_slice(&section.bytes);
        }
    }
    image
}

proptest! {
    #[test]
    fn without_relocations_the_images_are_the_files_bytes(file in any_sections()) {
        let file = Smf { sections: file, ..Smf::default() };
        let module = Module::load(&file.encode(), &no_imports).unwrap();
        let (starts, code, data) = starts(&file.sections);
        prop_assert_eq!((module.code().size, module.data().size), (code, data));
        prop_assert_eq!(peek(module.code().base, code), unrelocated(&file));
        for (section, start) in file.sections.iter().zip(starts) {
            let base = if section.kind == CODE { module.code().base } else { module.data().base };
            let bytes = peek(base + start, section.virtual_size);
            let (from_file, zeros) = bytes.split_at(section.bytes.len());
            prop_assert_eq!(from_file, &*section.bytes);
            prop_assert!(zeros.iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn every_place_leads_to_its_symbol((file, relocations) in any_module()) {
        let bytes = with(&file, &relocations);
        for places in [HERE, THERE] {
            let (code, values) = meaning(at(&bytes, &places), &relocations, &places);
            let used = relocations.iter().filter(|relocation| relocation.kind != NONE);
            let wanted: Vec<_> = used.map(|relocation| {
                target(&file, relocation, &places).wrapping_add_signed(relocation.addend)
            }).collect();
            prop_assert_eq!(values, wanted);
            let mut plain = unrelocated(&file);
            for relocation in relocations.iter().filter(|relocation| relocation.kind != NONE) {
                let width = if relocation.kind == ABS64 { 8 } else { 4 };
                plain[relocation.offset as usize..][..width].fill(0);
            }
            prop_assert_eq!(code, plain, "nothing else changes");
        }
    }

    #[test]
    fn two_bases_differ_by_what_the_formulas_say((file, relocations) in any_module()) {
        let bytes = with(&file, &relocations);
        let (here, there) = (at(&bytes, &HERE).code, at(&bytes, &THERE).code);
        let mut moved = here;
        for relocation in relocations.iter().filter(|relocation| relocation.kind != NONE) {
            let place = &mut moved[relocation.offset as usize..];
            let target = |places: &Places| target(&file, relocation, places);
            let code = THERE.code.wrapping_sub(HERE.code);
            let difference = match relocation.kind {
                ABS64 => target(&THERE).wrapping_sub(target(&HERE)),
                GOTPCREL => (THERE.slots - HERE.slots).wrapping_sub(code),
                _ => target(&THERE).wrapping_sub(target(&HERE)).wrapping_sub(code),
            };
            if relocation.kind == ABS64 {
                let value = u64::from_le_bytes(place[..8].try_into().unwrap());
                place[..8].copy_from_slice(&value.wrapping_add(difference).to_le_bytes());
            } else {
                let value = u32::from_le_bytes(place[..4].try_into().unwrap());
                place[..4].copy_from_slice(&value.wrapping_add(difference as u32).to_le_bytes());
            }
        }
        prop_assert_eq!(moved, there);
    }

    #[test]
    fn mapped_is_as_computed((file, relocations) in any_module()) {
        // Slots and stubs lie where the loader likes.
        let direct = |relocation: &Relocation| matches!(relocation.kind, NONE | ABS64);
        let relocations: Vec<_> = relocations.into_iter().filter(direct).collect();
        let bytes = with(&file, &relocations);
        let module = Module::load(&bytes, &host).unwrap();
        let places = Places { code: module.code().base, data: module.data().base, ..Places::default() };
        prop_assert_eq!(peek(places.code, module.code().size), at(&bytes, &places).code);
    }

    #[test]
    fn the_order_of_relocations_changes_nothing(
        (file, relocations, shuffled) in any_module().prop_flat_map(|(file, relocations)| {
            let shuffled = Just(relocations.clone()).prop_shuffle();
            (Just(file), Just(relocations), shuffled)
        })
    ) {
        let first = meaning(at(&with(&file, &relocations), &HERE), &relocations, &HERE);
        let second = meaning(at(&with(&file, &shuffled), &HERE), &shuffled, &HERE);
        prop_assert_eq!(first, second);
    }

    #[test]
    fn the_order_of_symbols_changes_nothing(
        (file, relocations, order) in any_module().prop_flat_map(|(file, relocations)| {
            let order: Vec<u32> = (0..file.symbols.len() as u32).collect();
            (Just(file), Just(relocations), Just(order).prop_shuffle())
        })
    ) {
        let symbols = order.iter().map(|old| file.symbols[*old as usize].clone()).collect();
        let renumbered: Vec<_> = relocations.iter().map(|relocation| {
            let new = order.iter().position(|old| *old == relocation.symbol).unwrap();
            Relocation { symbol: new as u32, ..*relocation }
        }).collect();
        let other = Smf { symbols, ..file.clone() };
        let first = meaning(at(&with(&file, &relocations), &HERE), &relocations, &HERE).1;
        let second = meaning(at(&with(&other, &renumbered), &HERE), &renumbered, &HERE).1;
        prop_assert_eq!(first, second);
    }

    #[test]
    fn sections_that_keep_their_addresses_may_move((file, relocations) in any_module()) {
        // Code first, then data, each in its order; and something that is not mapped between them.
        let (code, data): (Vec<_>, Vec<_>) =
            file.sections.iter().cloned().partition(|section| section.kind == CODE);
        let sections = [vec![section(TYPE_INFO, 0, b"types")], code, data].concat();
        let other = Smf { sections, ..file.clone() };
        let (first, second) = (with(&file, &relocations), with(&other, &relocations));
        prop_assert_eq!(at(&first, &HERE), at(&second, &HERE));
    }

    #[test]
    fn bytes_of_any_origin_are_read_without_panic(bytes in vec(any::<u8>(), 0..400)) {
        let _ = validate(&bytes);
        let framed = [&full().encode()[..6], &*bytes].concat();
        let _ = Module::load(&framed, &host);
    }

    #[test]
    fn damaged_files_are_read_without_panic(
        edits in vec((any::<Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<Index>()),
    ) {
        let mut bytes = full().encode();
        for (index, value) in edits {
            let place = index.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(file) = parse(&bytes) {
            prop_assert!(model(&file).is_some());
            prop_assert_eq!(file.validate().is_ok(), validate(&bytes).is_ok());
            let _ = relocate_small(&bytes);
        }
        if let Ok(module) = Module::load(&bytes, &|_: &str| Some(0)) {
            prop_assert!(validate(&bytes).is_ok() && module.exports().count() <= 7);
        }
    }
}

/// [`relocate`], for files whose code is small enough to be computed in a test.
fn relocate_small(bytes: &[u8]) -> Option<Relocated> {
    let file = parse(bytes).ok()?;
    let small = file.layout().code() < 1 << 20;
    if small { relocate(&file, &HERE, &host).ok() } else { None }
}
