//! What a module looks like in memory.

use reference_loader::smf::{Error, Image, LoadOptions, Module, Rule, no_imports, relocate};
use rstest::rstest;

use super::encode::*;
use super::files::{RELOADABLE, full, patched};
use super::memory::{is_mapped, mappings, peek, peek_word, permissions, resident};

/// An address that nothing near can reach.
const FAR: u64 = 0x7000_0000_0000_1234;

fn puts(name: &str) -> Option<u64> {
    (name == "puts").then_some(FAR)
}

fn load(file: &Smf) -> Module {
    Module::load(&file.encode(), &puts).unwrap()
}

fn relative(module: &Module, offset: u64) -> i64 {
    let bytes = peek(module.code().base + offset, 4);
    i64::from(i32::from_le_bytes(bytes.try_into().unwrap()))
}

#[test]
fn images_hold_the_sections_and_zeros() {
    let module = load(&Smf { sections: full().sections[..4].to_vec(), ..full() });
    let (code, data) = (module.code(), module.data());
    assert_eq!((code.size, data.size), (40, 4144));
    assert_eq!(peek(code.base, 40), [[0xc3; 32].as_slice(), &[0; 8]].concat());
    assert_eq!(peek(data.base, 8), b"constant");
    assert_eq!(peek(data.base + 4096, 8), b"variable");
    assert_eq!(peek(data.base + 4104, 40), [0; 40]);
}

#[test]
fn every_relocation_is_applied_by_its_formula() {
    let module = load(&full());
    let (code, data) = (module.code().base, module.data().base);
    // Pc32: helper − 4 − P
    assert_eq!(relative(&module, 0), 16 - 4);
    // Plt32: a stub − 4 − P, since `puts` is far away
    let stub = (code + 8).wrapping_add_signed(4 + relative(&module, 8));
    assert_eq!(peek(stub, 6), [0xff, 0x25, 0, 0, 0, 0]);
    assert_eq!(peek_word(stub + 6), FAR);
    assert_eq!(permissions(stub).as_deref(), Some("r-xp"));
    // Abs64: counter + 1
    assert_eq!(peek_word(code + 16), data + 4096 + 1);
    // GotPcRel: a slot − 4 − P
    let slot = (code + 32).wrapping_add_signed(4 + relative(&module, 32));
    assert_eq!(peek_word(slot), data);
    assert_eq!(permissions(slot).as_deref(), Some("r--p"));
}

#[test]
fn what_is_near_is_called_without_a_stub() {
    let file = full().encode();
    let far = Module::load(&file, &puts).unwrap();
    let near = far.code().base + 39;
    let module = Module::load(&file, &|_: &str| Some(near)).unwrap();
    let place = module.code().base + 8;
    assert_eq!(relative(&module, 8), near.wrapping_sub(place).cast_signed() - 4);
}

#[test]
fn permissions_follow_the_types() {
    let module = load(&full());
    let (code, data) = (module.code().base, module.data().base);
    let expected = [(code, "r-xp"), (data, "r--p"), (data + 4096, "rw-p")];
    for (address, wanted) in expected {
        assert_eq!(permissions(address).as_deref(), Some(wanted));
    }
    assert!(mappings().iter().all(|mapping| !mapping.permissions.contains("wx")));
}

#[test]
fn nothing_is_beside_an_image() {
    let module = load(&full());
    for Image { base, size } in [module.code(), module.data()] {
        let end = (base + size).next_multiple_of(4096);
        for address in [base - 1, end] {
            assert_eq!(permissions(address).as_deref(), Some("---p"), "{address:#x}");
        }
    }
}

#[test]
fn zeros_that_nobody_touches_take_no_memory() {
    let size = 512 << 20;
    let module = load(&Smf { sections: vec![bss(4096, size)], ..Smf::default() });
    let Image { base, size: mapped } = module.data();
    assert_eq!((mapped, resident(base, base + size)), (size, 0));
    assert_eq!(peek(base + size - 8, 8), [0; 8]);
}

#[test]
fn modules_without_code_or_without_anything_load() {
    let module = load(&Smf { sections: vec![section(RODATA, 1, b"only")], ..Smf::default() });
    assert_eq!((module.code(), peek(module.data().base, 4)), (Image::default(), b"only".to_vec()));
    let base = FREE + 0x2000_0000;
    let options = LoadOptions { base: Some(base), ..LoadOptions::default() };
    let module = Module::load_with(&Smf::default().encode(), &no_imports, &options).unwrap();
    assert_eq!((module.code(), module.data()), (Image::default(), Image::default()));
    assert!(!is_mapped(base - 4096, base + 4096), "nothing was mapped for it");
}

/// An address that is free now, far from where the system maps by itself.
const FREE: u64 = 0x1234_5600_0000;

#[rstest]
#[case::code(full(), FREE)]
#[case::data(Smf { sections: vec![section(DATA, 8, b"only")], ..Smf::default() }, FREE + 0x1000_0000)]
fn the_lowest_image_lies_where_it_is_wished(#[case] file: Smf, #[case] base: u64) {
    let options = LoadOptions { base: Some(base), ..LoadOptions::default() };
    let bytes = file.encode();
    let load = || Module::load_with(&bytes, &puts, &options).unwrap();
    let lowest = |module: &Module| {
        let images = [module.code(), module.data()].into_iter().filter(|image| image.size > 0);
        images.map(|image| image.base).min()
    };
    let first = load();
    assert_eq!(lowest(&first), Some(base));
    assert!(is_mapped(base - 4096, base + 0x1_0000));
    assert_ne!(lowest(&load()), Some(base), "it is taken");
    drop(first);
    assert!(!is_mapped(base - 4096, base + 0x1_0000), "nothing is left of it");
    assert_eq!(lowest(&load()), Some(base));
}

#[rstest]
#[case(0)]
#[case(4096)]
#[case(FREE + 1)]
#[case(u64::MAX)]
fn wishes_that_cannot_be_granted_are_ignored(#[case] base: u64) {
    let options = LoadOptions { base: Some(base), ..LoadOptions::default() };
    let module = Module::load_with(&full().encode(), &puts, &options).unwrap();
    assert_ne!(module.code().base, base);
    assert_eq!(module.code().base % 4096, 0);
}

#[test]
fn a_host_may_allow_less() {
    let load = |max_image_bytes| {
        let options = LoadOptions { max_image_bytes, ..LoadOptions::default() };
        Module::load_with(&full().encode(), &puts, &options).map(drop)
    };
    load(40 + 4144).unwrap();
    let error = load(40 + 4143).unwrap_err();
    assert_eq!((error.rule(), error.offset()), (Some(Rule::ImageSize), Some(240)));
}

#[test]
fn only_imports_that_are_used_need_a_definition() {
    let file = full().encode();
    let error = Module::load(&file, &no_imports).unwrap_err();
    assert!(matches!(&error, Error::Undefined { name, offset: 504 } if name == "puts"), "{error}");
    Module::load(&patched(file.clone(), "516=00"), &no_imports).unwrap(); // none
    Module::load(&patched(file, "512=01"), &no_imports).unwrap(); // of helper
}

#[test]
fn a_weak_import_is_zero_unless_someone_defines_it() {
    let file = patched(full().encode(), "536=05"); // abs64 of maybe
    let value = |maybe: Option<u64>| {
        let imports = |name: &str| if name == "maybe" { maybe } else { Some(FAR) };
        let module = Module::load(&file, &imports).unwrap();
        peek_word(module.code().base + 16)
    };
    assert_eq!((value(None), value(Some(41))), (1, 42));
}

#[rstest]
#[case::pc32_of_far("512=04 516=02", 504)]
#[case::addend("496=ffffffff00000000", 480)]
#[case::stub_with_addend("520=ffffffff00000000", 504)]
#[case::slot_with_addend("568=ffffffff00000000", 552)]
#[case::first_of_two("496=ffffffff00000000 568=ffffffff00000000", 480)]
fn values_that_do_not_fit_are_refused(#[case] edits: &str, #[case] offset: u64) {
    let error = Module::load(&patched(full().encode(), edits), &puts).unwrap_err();
    assert_eq!((error.rule(), error.offset()), (Some(Rule::RelocRange), Some(offset)));
}

#[test]
fn an_import_is_missing_before_a_value_does_not_fit() {
    let file = patched(full().encode(), "496=ffffffff00000000");
    assert_eq!(Module::load(&file, &no_imports).unwrap_err().rule(), Some(Rule::Import));
}

#[test]
fn values_at_the_ends_of_32_bits_fit() {
    let places = reference_loader::smf::Places { code: 0x10_0000_0000, ..Default::default() };
    let at = |target: u64| {
        let file = Smf {
            sections: vec![section(CODE, 1, &[0; 8]), relocs(&[relocation(2, 0, PC32, 1)])],
            symbols: vec![import("f", FUNCTION, GLOBAL)],
            ..Smf::default()
        };
        let bytes = file.encode();
        let file = reference_loader::smf::parse(&bytes).unwrap();
        let relocated = relocate(&file, &places, &|_: &str| Some(target));
        relocated.map(|relocated| relocated.code[2..6].to_vec()).map_err(|error| error.rule())
    };
    let place = places.code + 2;
    assert_eq!(at(place + 0x7fff_fffe), Ok(vec![0xff, 0xff, 0xff, 0x7f]));
    assert_eq!(at(place + 0x7fff_ffff), Err(Some(Rule::RelocRange)));
    assert_eq!(at(place - 0x8000_0001), Ok(vec![0, 0, 0, 0x80]));
    assert_eq!(at(place - 0x8000_0002), Err(Some(Rule::RelocRange)));
}

#[test]
fn symbols_are_found_by_name() {
    let mut file = full();
    file.symbols.push(symbol("main", FUNCTION, GLOBAL, 32, 1)); // a second one
    let module = load(&file);
    let (code, data) = (module.code().base, module.data().base);
    assert_eq!(module.symbol("main"), Some(code));
    assert_eq!(module.symbol("helper"), Some(code + 16));
    assert_eq!((module.symbol("table"), module.symbol("counter")), (Some(data), Some(data + 4096)));
    assert_eq!(
        (module.symbol("puts"), module.symbol("Point"), module.symbol("")),
        (None, Some(7), None)
    );
    let exports: Vec<_> = module.exports().collect();
    assert_eq!(exports, [("main", code), ("table", data), ("Point", 7), ("main", code + 32)]);
    assert_eq!(module.export("main"), Some(code));
    assert_eq!((module.export("counter"), module.export("Point")), (None, None));
    assert!(module.function("helper").is_some() && module.function("table").is_none());
}

#[test]
fn neighbours_in_the_string_table_are_not_one_name() {
    let module = load(&full());
    for name in ["main", "helper", "table", "counter", "Point"] {
        assert!(module.symbol(name).is_some(), "{name}");
        for other in [format!("{name}\0"), format!("{name}s"), name[1..].to_owned()] {
            assert_eq!(module.symbol(&other), None, "{other:?}");
        }
    }
    assert_eq!(module.symbol("main\0helper"), None);
}

#[test]
fn the_first_lookups_may_come_from_several_threads() {
    let module = load(&full());
    let code = module.code().base;
    std::thread::scope(|scope| {
        let found = [(); 8].map(|()| scope.spawn(|| module.symbol("helper")));
        for thread in found {
            assert_eq!(thread.join().unwrap(), Some(code + 16));
        }
    });
}

#[test]
fn a_name_may_be_local_first_and_exported_later() {
    let mut file = full();
    file.symbols.push(symbol("helper", FUNCTION, GLOBAL, 32, 1));
    let module = load(&file);
    let code = module.code().base;
    assert_eq!(module.symbol("helper"), Some(code + 16));
    assert_eq!(module.export("helper"), Some(code + 32));
}

#[test]
fn a_module_knows_what_its_header_says() {
    let module = load(&Smf { entry_point: 24, ..full() });
    assert_eq!(module.entry_point().unwrap().addr() as u64, module.code().base + 24);
    assert!(module.is_reloadable() && module.source_hash() == 0x5050_5050_5050_5050);
    let module = load(&Smf { flags: 0, ..full() });
    assert!(module.entry_point().is_none() && !module.is_reloadable());
    assert!(load(&Smf { flags: RELOADABLE, ..full() }).is_reloadable());
}

#[test]
fn modules_go_from_thread_to_thread() {
    fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<Module>();
    is_shared::<reference_loader::smf::ModuleRegistry>();
}
