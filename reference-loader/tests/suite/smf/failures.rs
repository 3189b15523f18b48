//! The n-th thing that a load asks of the system is refused, for every n.

use std::sync::Mutex;

use harness_protocol::Stage;
use reference_loader::smf::{Demand, Error, LoadOptions, Module, Quota};

use super::encode::*;
use super::files::full;
use super::memory::is_mapped;

/// Grants all demands but one.
#[derive(Default)]
struct AllBut {
    refused: usize,
    asked: Mutex<Vec<Demand>>,
}

impl Quota for AllBut {
    fn grant(&self, demand: Demand) -> bool {
        let mut asked = self.asked.lock().unwrap();
        asked.push(demand);
        asked.len() != self.refused
    }
}

/// A file whose sections and relocations are not in ascending order, so that they are sorted.
fn disordered() -> Smf {
    let mut file = full();
    file.sections.swap(0, 5);
    file.sections[4] = relocs(&[
        relocation(32, 2, GOTPCREL, -4),
        relocation(8, 4, PLT32, -4),
        relocation(16, 3, ABS64, 1),
    ]);
    file.sections.push(section(RODATA, 1, b"more"));
    file.symbols.push(symbol("helper", FUNCTION, GLOBAL, 32, 1)); // the first of this name is local
    file
}

/// `file` with two sections' places in the file exchanged.
fn crossed(file: &Smf) -> Vec<u8> {
    let mut bytes = file.encode();
    let (first, second) = (72 + 56 + 8, 72 + 2 * 56 + 8); // rodata and data, of equal size
    let offset = bytes[first..first + 8].to_vec();
    bytes.copy_within(second..second + 8, first);
    bytes[second..second + 8].copy_from_slice(&offset);
    bytes
}

const BASE: u64 = 0x2345_6780_0000;

#[test]
fn every_refusal_is_a_clean_error_and_leaves_nothing() {
    let bytes = crossed(&disordered());
    let load = |refused| {
        let quota = AllBut { refused, ..AllBut::default() };
        let options = LoadOptions { base: Some(BASE), quota: &quota, ..LoadOptions::default() };
        let far = |_: &str| Some(0x7000_0000_0000_0000);
        let result = Module::load_with(&bytes, &far, &options);
        (result, quota.asked.into_inner().unwrap())
    };
    let (module, demands) = load(0);
    assert_eq!(module.unwrap().code().base, BASE);
    let count =
        |wanted: fn(&Demand) -> bool| demands.iter().filter(|&demand| wanted(demand)).count();
    // Three data segments (two read-only), code, slots and stubs; sorted sections and relocations, names,
    // definitions, their index, links and their index, slots, stubs.
    assert_eq!(count(|demand| matches!(demand, Demand::Reserve { .. })), 1);
    assert_eq!(count(|demand| matches!(demand, Demand::Protect { .. })), 5 + 6);
    assert_eq!(count(|demand| matches!(demand, Demand::Allocate { .. })), 9);
    for refused in 1..=demands.len() {
        let (result, asked) = load(refused);
        let error = result.unwrap_err();
        assert_eq!(error.stage(), Some(Stage::Unmappable), "{error}");
        assert_eq!(asked.len(), refused, "nothing is asked after a refusal");
        match asked.last() {
            Some(Demand::Allocate { bytes: wanted }) => {
                assert!(matches!(error, Error::OutOfMemory { bytes } if bytes == *wanted));
            }
            _ => assert!(matches!(error, Error::Unmappable { .. })),
        }
        assert!(!is_mapped(BASE - 4096, BASE + 0x10_0000), "demand {refused} leaks");
    }
}

#[test]
fn what_is_reserved_is_no_larger_than_the_file_deserves() {
    let bytes = disordered().encode();
    let quota = AllBut::default();
    let options = LoadOptions { quota: &quota, ..LoadOptions::default() };
    drop(Module::load_with(&bytes, &|_: &str| Some(0), &options).unwrap());
    for demand in quota.asked.into_inner().unwrap() {
        if let Demand::Allocate { bytes: wanted } = demand {
            assert!(wanted < bytes.len(), "{demand:?}");
        }
    }
}

#[test]
fn counts_without_bytes_reserve_nothing() {
    let mut bytes = full().encode();
    for count in [12, 32] {
        let saved = bytes.clone();
        bytes[count..count + 4].fill(0xff);
        let quota = AllBut::default();
        let options = LoadOptions { quota: &quota, ..LoadOptions::default() };
        Module::load_with(&bytes, &|_: &str| Some(0), &options).unwrap_err();
        assert_eq!(quota.asked.into_inner().unwrap(), []);
        bytes = saved;
    }
}
