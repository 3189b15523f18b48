//! Modules that find each other, come, go and change while they are in use.

use std::path::PathBuf;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use harness_protocol::{Returned, TypeName};
use reference_loader::smf::{Error, Module, ModuleRegistry, Rule};
use tempfile::TempDir;

use super::calls::call;
use super::encode::*;
use super::files::full;
use super::memory::permissions;
use super::storm;

/// A folder for modules.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, file: &Smf) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, file.encode()).unwrap();
        path
    }
}

/// A module whose function `name` returns `value`.
fn answering(name: &str, value: i32) -> Smf {
    let mut code = vec![0xb8]; // mov eax, value
    code.extend(value.to_le_bytes());
    code.push(0xc3);
    Smf {
        sections: vec![section(CODE, 16, &code)],
        symbols: vec![symbol(name, FUNCTION, GLOBAL, 0, 6)],
        ..Smf::default()
    }
}

/// A module whose function `name` jumps to the import `target`.
fn forwarding(name: &str, target: &str) -> Smf {
    Smf {
        sections: vec![
            section(CODE, 16, &[0xe9, 0, 0, 0, 0]), // jmp target
            relocs(&[relocation(1, 1, PLT32, -4)]),
        ],
        symbols: vec![symbol(name, FUNCTION, GLOBAL, 0, 5), import(target, FUNCTION, GLOBAL)],
        ..Smf::default()
    }
}

fn ask(module: &Module, name: &str) -> i32 {
    match call(module, name, &[], TypeName::Int32).unwrap() {
        Returned::Int32 { value } => value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_is_loaded_once_whatever_its_path() {
    let folder = Folder::new();
    let path = folder.write("a.smf", &answering("f", 1));
    std::fs::create_dir(folder.0.path().join("sub")).unwrap();
    let registry = ModuleRegistry::new();
    let first = registry.load(&path).unwrap();
    let second = registry.load(folder.0.path().join("sub/../a.smf")).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(registry.paths(), [path.canonicalize().unwrap()]);
    assert!(registry.module(&path).is_some());
}

#[test]
fn threads_that_race_map_a_file_once() {
    const RACERS: usize = 8;
    let folder = Folder::new();
    for round in 0..20 {
        let path = folder.write(&format!("{round}.smf"), &full());
        let registry = ModuleRegistry::with_host(|_: &str| Some(0x1000));
        let start = Barrier::new(RACERS);
        let load = || {
            start.wait();
            registry.load(&path).unwrap()
        };
        let modules: Vec<_> = thread::scope(|scope| {
            let racers: Vec<_> = (0..RACERS).map(|_| scope.spawn(load)).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert!(modules.iter().all(|module| Arc::ptr_eq(module, &modules[0])));
        assert_eq!(registry.paths().len(), 1);
    }
}

#[test]
fn imports_are_found_in_load_order_and_own_definitions_first() {
    let folder = Folder::new();
    let registry = ModuleRegistry::with_host(|name: &str| (name == "only_host").then_some(77));
    let one = registry.load(folder.write("one", &answering("f", 1))).unwrap();
    registry.load(folder.write("two", &answering("f", 2))).unwrap();
    let user = registry.load(folder.write("user", &forwarding("user", "f"))).unwrap();
    assert_eq!(ask(&user, "user"), 1);
    assert_eq!(registry.resolve_symbol("f"), one.symbol("f"));
    assert_eq!(registry.resolve_symbol("only_host"), Some(77));
    assert_eq!(registry.resolve_symbol("absent"), None);
    // A module that defines what it imports, even for itself alone.
    let mut own = forwarding("own", "f");
    own.sections.insert(1, answering("f", 3).sections[0].clone());
    own.symbols.push(symbol("f", FUNCTION, LOCAL, 16, 6));
    let own = registry.load(folder.write("own", &own)).unwrap();
    assert_eq!(ask(&own, "own"), 3);
    assert!(own.dependencies().is_empty());
}

#[test]
fn an_import_never_satisfies_an_import_nor_does_a_local_or_weak_symbol() {
    let folder = Folder::new();
    let registry = ModuleRegistry::new();
    let mut importing = answering("other", 0);
    importing.symbols.push(import("f", FUNCTION, GLOBAL)); // which nothing uses
    importing.symbols.push(symbol("g", FUNCTION, LOCAL, 0, 6));
    importing.symbols.push(symbol("h", FUNCTION, WEAK, 0, 6));
    importing.symbols.push(symbol("t", TYPE, GLOBAL, 1, 1));
    registry.load(folder.write("importing", &importing)).unwrap();
    for name in ["f", "g", "h", "t"] {
        assert_eq!(registry.resolve_symbol(name), None);
        let user = folder.write("user", &forwarding("user", name));
        let error = registry.load(&user).unwrap_err();
        assert_eq!(error.rule(), Some(Rule::Import));
        assert!(error.to_string().starts_with(&*user.to_string_lossy()), "{error}");
    }
    assert_eq!(registry.paths().len(), 1, "what failed is not there");
}

#[test]
fn unloaded_code_stays_while_someone_holds_it() {
    let folder = Folder::new();
    let registry = ModuleRegistry::new();
    let base = folder.write("base", &answering("f", 5));
    let held = registry.load(&base).unwrap();
    let user = registry.load(folder.write("user", &forwarding("user", "f"))).unwrap();
    let weak = Arc::downgrade(&held);
    std::fs::remove_file(&base).unwrap(); // the file need not be there any more
    drop(registry.unload(&base).unwrap());
    assert!(registry.module(&base).is_none() && registry.resolve_symbol("f").is_none());
    assert!(matches!(registry.unload(&base), Err(Error::NoModule(_))));
    assert_eq!(ask(&held, "f"), 5);
    drop(held);
    assert_eq!(ask(&user, "user"), 5, "the importer keeps it");
    registry.unload(folder.0.path().join("user")).unwrap();
    let address = user.code().base;
    assert_eq!(permissions(address).as_deref(), Some("r-xp"));
    drop(user);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_reload_takes_the_place_and_old_handles_stay() {
    let folder = Folder::new();
    let registry = ModuleRegistry::new();
    let path = folder.write("one", &answering("f", 1));
    let old = registry.load(&path).unwrap();
    let importer = folder.write("user", &forwarding("user", "f"));
    let user = registry.load(&importer).unwrap();
    registry.load(folder.write("two", &answering("f", 2))).unwrap();
    folder.write("one", &answering("f", 10));
    let new = registry.reload(&path).unwrap();
    assert_eq!((ask(&old, "f"), ask(&new, "f"), ask(&user, "user")), (1, 10, 1));
    assert_eq!(registry.resolve_symbol("f"), new.symbol("f"), "still first");
    assert_eq!(ask(&registry.reload(&importer).unwrap(), "user"), 10);
    assert_eq!(registry.paths().len(), 3);
    // What is not loaded yet is loaded.
    let fresh = registry.reload(folder.write("fresh", &answering("g", 4))).unwrap();
    assert_eq!((ask(&fresh, "g"), registry.paths().len()), (4, 4));
}

#[test]
fn a_failed_reload_changes_nothing() {
    let folder = Folder::new();
    let registry = ModuleRegistry::new();
    let path = folder.write("one", &answering("f", 1));
    let module = registry.load(&path).unwrap();
    let broken = answering("f", 2).encode();
    for bytes in [&broken[..70], b"", &forwarding("f", "f2").encode()] {
        std::fs::write(&path, bytes).unwrap();
        registry.reload(&path).unwrap_err();
        assert!(Arc::ptr_eq(&registry.load(&path).unwrap(), &module));
    }
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(registry.reload(&path), Err(Error::Unreadable { .. })));
    assert_eq!(ask(&registry.module(&path).unwrap(), "f"), 1);
    // The old version is no definition for its own successor.
    folder.write("one", &forwarding("g", "f"));
    assert_eq!(registry.reload(&path).unwrap_err().rule(), Some(Rule::Import));
}

#[test]
fn modules_that_import_from_each_other_go_in_the_end() {
    let folder = Folder::new();
    let registry = ModuleRegistry::new();
    let (one, two) = (folder.write("one", &answering("f", 1)), folder.0.path().join("two"));
    let mut versions = vec![Arc::downgrade(&registry.load(&one).unwrap())];
    folder.write("two", &forwarding("g", "f"));
    versions.push(Arc::downgrade(&registry.load(&two).unwrap()));
    let mut mutual = forwarding("f", "g");
    mutual.symbols.push(symbol("h", FUNCTION, GLOBAL, 0, 5));
    folder.write("one", &mutual);
    for path in [&one, &two, &one, &two, &one] {
        versions.push(Arc::downgrade(&registry.reload(path).unwrap()));
    }
    assert!(versions.iter().all(|version| version.strong_count() > 0), "each calls the one before");
    assert_eq!(ask(&registry.module(&one).unwrap(), "f"), 1);
    registry.unload(&one).unwrap();
    registry.unload(&two).unwrap();
    assert!(versions.iter().all(|version| version.strong_count() == 0));
}

#[test]
fn the_longest_chain_of_modules_is_dropped() {
    let folder = Folder::new();
    let registry = ModuleRegistry::new();
    // Two modules that take turns at defining what the other imports, without any code.
    let linked = |number: u32| Smf {
        sections: vec![section(CODE, 1, &[0; 8]), relocs(&[relocation(0, 1, ABS64, 0)])],
        symbols: vec![
            symbol(["a", "b"][number as usize % 2], FUNCTION, GLOBAL, 0, 8),
            import(["b", "a"][number as usize % 2], FUNCTION, WEAK),
        ],
        ..Smf::default()
    };
    let paths = [folder.write("a", &linked(0)), folder.write("b", &linked(1))];
    let first = Arc::downgrade(&registry.load(&paths[0]).unwrap());
    for number in 1..8000 {
        registry.reload(&paths[number % 2]).unwrap();
    }
    assert!(first.strong_count() > 0, "the chain reaches back to the first");
    let small = thread::Builder::new().stack_size(64 << 10);
    let dropped = small.spawn(move || drop(registry)).unwrap().join();
    assert!(dropped.is_ok() && first.strong_count() == 0);
}

extern "C" fn wait() -> i32 {
    GATE.wait(); // the code runs
    GATE.wait(); // its module was unloaded and replaced meanwhile
    42
}

static GATE: std::sync::LazyLock<Barrier> = std::sync::LazyLock::new(|| Barrier::new(2));

#[test]
fn a_module_is_unloaded_while_it_executes() {
    let folder = Folder::new();
    let registry = ModuleRegistry::with_host(|name: &str| {
        (name == "wait").then_some(wait as *const () as u64)
    });
    // sub rsp, 8; call wait; add rsp, 8; ret
    let code = [0x48, 0x83, 0xec, 8, 0xe8, 0, 0, 0, 0, 0x48, 0x83, 0xc4, 8, 0xc3];
    let waiting = Smf {
        sections: vec![section(CODE, 16, &code), relocs(&[relocation(5, 1, PLT32, -4)])],
        symbols: vec![symbol("run", FUNCTION, GLOBAL, 0, 14), import("wait", FUNCTION, GLOBAL)],
        ..Smf::default()
    };
    let path = folder.write("waiting", &waiting);
    let module = registry.load(&path).unwrap();
    let weak = Arc::downgrade(&module);
    let (result, results) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || result.send(ask(&module, "run")).unwrap());
        GATE.wait();
        drop(registry.reload(&path).unwrap());
        drop(registry.unload(&path).unwrap());
        assert!(weak.upgrade().is_some(), "the caller holds it");
        GATE.wait();
    });
    assert_eq!(results.recv(), Ok(42));
    assert!(weak.upgrade().is_none());
}

#[test]
fn no_call_is_torn_while_the_code_is_replaced() {
    let outcome = storm::run(4, 300);
    assert_eq!(outcome.torn, 0);
    assert!(outcome.calls >= 4 && outcome.left_mapped == 0, "{outcome:?}");
}
