//! Modules that come, go and change while they are in use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use harness_protocol::{Returned, Stage};
use reference_loader::registry::Function;
use reference_loader::{Error, Registry, Version};

use crate::encode::Scp;
use crate::files::exporting;

const V1: Version = Version { major: 1, minor: 0 };
const V2: Version = Version { major: 2, minor: 0 };

/// A file whose function `answer` returns `value`, with these dependencies. Equal names share a string.
fn answering(value: i32, dependencies: &[(&str, u32)]) -> Vec<u8> {
    let mut code = vec![0xb8]; // mov eax, value
    code.extend(value.to_le_bytes());
    code.push(0xc3);
    let mut file = exporting(&[("answer", &code, &[], 3)]);
    for (name, version) in dependencies {
        let name = name.as_bytes();
        let known = file.strings.iter().position(|text| text == name);
        let index = known.unwrap_or(file.strings.len());
        let offset = file.strings[..index].iter().map(|text| text.len() as u32 + 1).sum();
        file.dependencies.push((offset, *version));
        if known.is_none() {
            file.strings.push(name.to_vec());
        }
    }
    file.encode()
}

#[expect(unsafe_code, reason = "calls the code of these tests")]
fn ask(function: &Function) -> i32 {
    // SAFETY: the only functions here are those of `answering`, which load a register and return.
    match unsafe { function.call(&[]) }.unwrap().returned {
        Returned::Int32 { value } => value,
        other => panic!("{other:?}"),
    }
}

fn answer(registry: &Registry) -> i32 {
    ask(&registry.function("answer").unwrap())
}

#[test]
fn the_first_module_in_load_order_answers() {
    let registry = Registry::new();
    registry.load("one", V1, &answering(1, &[])).unwrap();
    registry.load("two", V1, &answering(2, &[])).unwrap();
    assert_eq!((answer(&registry), registry.names()), (1, vec!["one".into(), "two".into()]));
    registry.reload("one", V1, &answering(3, &[])).unwrap();
    assert_eq!(answer(&registry), 3);
    registry.unload("one").unwrap();
    assert_eq!(answer(&registry), 2);
    registry.unload("two").unwrap();
    assert!(registry.function("answer").is_none());
}

#[test]
fn a_name_is_loaded_once() {
    let registry = Registry::new();
    registry.load("one", V1, &answering(1, &[])).unwrap();
    let error = registry.load("one", V2, &answering(2, &[])).unwrap_err();
    assert!(matches!(error, Error::NameTaken(_)));
    assert!(matches!(registry.unload("two"), Err(Error::NoModule(_))));
    assert!(matches!(registry.reload("two", V1, &answering(2, &[])), Err(Error::NoModule(_))));
    assert_eq!((answer(&registry), registry.version("one")), (1, Some(V1)));
}

#[test]
fn old_code_lives_as_long_as_someone_may_call_it() {
    let registry = Registry::new();
    registry.load("one", V1, &answering(1, &[])).unwrap();
    let (first, module) = (registry.function("answer").unwrap(), registry.module("one").unwrap());
    let weak = Arc::downgrade(&module);
    drop(module);
    registry.reload("one", V2, &answering(2, &[])).unwrap();
    let second = registry.function("answer").unwrap();
    registry.unload("one").unwrap();
    assert_eq!((ask(&first), ask(&second)), (1, 2));
    assert!(weak.upgrade().is_some());
    drop(first);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_failed_reload_changes_nothing() {
    let registry = Registry::new();
    registry.load("one", V1, &answering(1, &[])).unwrap();
    let foreign = Scp { architecture: 1, ..Scp::default() }.encode();
    for bad in [vec![], foreign, answering(2, &[("absent", 0)]), answering(2, &[("one", 0)])] {
        registry.reload("one", V2, &bad).unwrap_err();
        assert_eq!((answer(&registry), registry.version("one")), (1, Some(V1)));
    }
}

#[test]
fn dependencies_are_loaded_before_and_recent_enough() {
    let registry = Registry::new();
    let load = |minimum| registry.load("user", V1, &answering(1, &[("base", minimum)]));
    let missing = load(0).unwrap_err();
    assert!(matches!(&missing, Error::MissingDependency { name, .. } if name == "base"));
    assert_eq!(missing.stage(), Some(Stage::Unresolvable));
    registry.load("base", Version::new(1, 5), &answering(0, &[])).unwrap();
    let old = load(0x0001_0006).unwrap_err();
    assert_eq!(
        old.to_string(),
        "dependency `base` is loaded in version 1.5, but 1.6 or later is required (at offset 0x3b)"
    );
    assert_eq!(old.stage(), Some(Stage::Unresolvable));
    assert!(load(0x0002_0000).is_err());
    assert!(load(0x0001_0005).is_ok());
}

#[test]
fn the_higher_of_two_minimum_versions_counts() {
    let registry = Registry::new();
    registry.load("base", Version::new(1, 5), &answering(0, &[])).unwrap();
    for (first, second) in [(0x0001_0006, 0), (0, 0x0001_0006)] {
        let file = answering(1, &[("base", first), ("base", second)]);
        assert!(matches!(registry.load("user", V1, &file), Err(Error::OldDependency { .. })));
    }
    registry.load("user", V1, &answering(1, &[("base", 0), ("base", 0x0001_0005)])).unwrap();
}

#[test]
fn what_others_depend_on_stays() {
    let registry = Registry::new();
    registry.load("base", V2, &answering(0, &[])).unwrap();
    registry.load("user", V1, &answering(1, &[("base", 0x0002_0000)])).unwrap();
    let error = registry.unload("base").unwrap_err();
    assert_eq!(error.to_string(), "module `base` is required by `user`");
    let error = registry.reload("base", V1, &answering(9, &[])).unwrap_err();
    assert!(matches!(error, Error::Required { .. }));
    registry.reload("base", V2, &answering(8, &[])).unwrap();
    assert_eq!(answer(&registry), 8);
    registry.reload("base", Version::new(2, 1), &answering(7, &[])).unwrap();
    assert_eq!(answer(&registry), 7);
    registry.unload("user").unwrap();
    registry.unload("base").unwrap();
}

#[test]
fn threads_call_while_the_code_is_replaced() {
    const RELOADS: i32 = 300;
    const CALLERS: usize = 4;
    let registry = Registry::new();
    registry.load("one", V1, &answering(0, &[])).unwrap();
    let (done, start) = (AtomicBool::new(false), Barrier::new(CALLERS + 1));
    thread::scope(|scope| {
        let caller = || {
            start.wait();
            let mut last = 0;
            while !done.load(Ordering::Acquire) {
                let now = answer(&registry);
                assert!(now >= last, "{now} after {last}: older code for a newer call");
                last = now;
            }
            assert_eq!(answer(&registry), RELOADS);
        };
        for _ in 0..CALLERS {
            scope.spawn(caller);
        }
        start.wait();
        for value in 1..=RELOADS {
            registry.reload("one", V1, &answering(value, &[])).unwrap();
        }
        done.store(true, Ordering::Release);
    });
}
