//! Files made to cost more than they weigh: each would take minutes, or all memory, if work or storage grew
//! with the square of the file.

use reference_loader::{Module, Rule, model, validate};

use crate::encode::{Function, Scp};
use crate::files::host;

const ENTRIES: u32 = 200_000;

fn long_name() -> Vec<u8> {
    vec![b'a'; 8 << 20]
}

fn functions(name: impl Fn(u32) -> u32) -> Scp {
    let function = |index| Function { name: name(index), ..Function::default() };
    Scp {
        functions: (0..ENTRIES).map(function).collect(),
        strings: vec![long_name()],
        code: vec![0xc3],
        ..Scp::default()
    }
}

fn rule(file: &Scp) -> Option<Rule> {
    validate(&file.encode()).err()?.rule()
}

#[test]
fn tails_of_one_long_name() {
    assert_eq!(rule(&functions(|index| index)), Some(Rule::FuncNameStart));
}

#[test]
fn one_long_name_again_and_again() {
    assert_eq!(rule(&functions(|_| 0)), Some(Rule::FuncUnique));
}

#[test]
fn one_long_dependency_again_and_again() {
    let file = Scp {
        dependencies: (0..ENTRIES).map(|version| (0, version)).collect(),
        strings: vec![long_name()],
        architecture: host(),
        ..Scp::default()
    }
    .encode();
    Module::load(&file).unwrap();
    // The model would be 1.6 TB.
    assert!(model(&validate(&file).unwrap()).is_none());
}
