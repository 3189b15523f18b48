//! What tests of several properties start from.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use blobspec::format::Check;
use blobspec::{Format, Readings, Spec};
use harness_codec::{Decoded, decode};
use harness_generate::Suite;
use harness_protocol::Vector;

use crate::module_file::{ModuleFile, Relocation, Section, Symbol, relocation, section, symbol};

pub(crate) fn spec(id: &str) -> Spec {
    blobspec::builtin(id).unwrap().unwrap()
}

pub(crate) static SCP_SUITE: LazyLock<Suite> = LazyLock::new(|| suite("scp"));

pub(crate) static SMF_SUITE: LazyLock<Suite> = LazyLock::new(|| suite("smf"));

fn suite(id: &str) -> Suite {
    harness_generate::generate(&spec(id), &Readings::new()).unwrap()
}

/// Vectors whose files are small.
pub(crate) fn small(suite: &Suite) -> impl Iterator<Item = &Vector> {
    suite.vectors.iter().filter(|vector| (1..2000).contains(&vector.bytes.0.len()))
}

/// Whether a property holds, as libFuzzer would see it.
pub(crate) fn holds(property: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(property)).is_ok()
}

/// Numbers that are the same in every run: xorshift.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[3]).collect()
    }

    /// `file` with a few bytes changed.
    pub(crate) fn mutated(&mut self, file: &[u8]) -> Vec<u8> {
        let mut file = file.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(file.len());
            file[at] = [0, 1, 0x7f, 0x80, 0xff, self.next().to_le_bytes()[0]][self.below(6)];
        }
        file
    }
}

/// How the property of a format looks at a file as a codec of `Format` decodes it.
pub(crate) type Look = fn(&Format, &Decoded, &[u8]);

fn differs(format: &Format, vector: &Vector, look: Look) -> bool {
    let file = &vector.bytes.0;
    !holds(|| look(format, &decode(format, file), file))
}

/// Ids of rules that could be missing from the codec without `look` noticing, on the vectors that break them.
pub(crate) fn rules_not_missed(format: &Format, suite: &Suite, look: Look) -> Vec<String> {
    // Mappings and links are not seen in the file, and where bytes do not decode there is nothing to go on with.
    let elsewhere = |check: &Check| {
        matches!(
            check,
            Check::Mapping { .. }
                | Check::Bounds { .. }
                | Check::HostPlatform { .. }
                | Check::Resolved { .. }
                | Check::RelocationRange { .. }
        )
    };
    let rules = format.rules.iter().filter(|rule| rule.active && !elsewhere(&rule.check));
    let unnoticed = rules.filter(|rule| {
        let mut lacking = format.clone();
        let same = lacking.rules.iter_mut().filter(|known| known.id == rule.id);
        same.for_each(|known| known.active = false);
        let id = Some(rule.id.as_str());
        let mut breaking =
            suite.vectors.iter().filter(|vector| vector.expect.rule.as_deref() == id);
        !breaking.any(|vector| differs(&lacking, vector, look))
    });
    unnoticed.map(|rule| rule.id.clone()).collect()
}

/// Choices of which the codec could take another reading: those that `look` notices, and those that it does not.
pub(crate) fn other_readings(spec: &Spec, suite: &Suite, look: Look) -> [Vec<String>; 2] {
    let [mut noticed, mut missed] = [Vec::new(), Vec::new()];
    for (choice, known) in spec.choices() {
        for reading in known.readings.keys() {
            if Some(reading.as_str()) == spec.default_reading(choice) {
                continue;
            }
            let readings = Readings::from([(choice.to_owned(), reading.clone())]);
            let format = spec.under(&readings).unwrap();
            let seen = suite.vectors.iter().any(|vector| differs(&format, vector, look));
            if seen { &mut noticed } else { &mut missed }.push(format!("{choice}={reading}"));
        }
    }
    [noticed, missed]
}

/// A module for this processor with a relocation of every kind: to its code, its data, and to `far`.
pub(crate) fn linked_module() -> Vec<u8> {
    let section = |kind, bytes: &[u8], virtual_size| Section {
        kind,
        bytes: bytes.to_vec(),
        virtual_size,
        alignment: 16,
    };
    let symbol = |name: &str, kind, binding, value, size| Symbol {
        name: name.into(),
        kind,
        binding,
        value,
        size,
    };
    let relocation = |offset, symbol, kind| Relocation { offset, symbol, kind, addend: -4 };
    let file = ModuleFile {
        arm64: cfg!(target_arch = "aarch64"),
        sections: vec![
            section(section::CODE, &[0xcc; 48], 64),
            section(section::DATA, &[7; 16], 32),
        ],
        symbols: vec![
            symbol("f", symbol::FUNCTION, symbol::GLOBAL, 5, 1),
            symbol("d", symbol::DATA, symbol::GLOBAL, 8, 8),
            symbol("far", symbol::FUNCTION, symbol::GLOBAL, 0, 0),
            symbol("perhaps", symbol::FUNCTION, symbol::WEAK, 0, 0),
        ],
        relocations: vec![vec![
            relocation(0, 1, relocation::ABS64),
            relocation(8, 0, relocation::PC32),
            relocation(12, 2, relocation::PLT32),
            relocation(16, 1, relocation::GOTPCREL),
            relocation(20, 3, relocation::ABS64),
            relocation(28, 0, relocation::NONE),
        ]],
    };
    file.encode()
}

/// The folder of a corpus.
pub(crate) fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(target)
}

/// Checks that the corpus of `target` has a seed for each of `features` and that it shows what it is named
/// after. With `BLESS=1` in the environment the seeds are made anew: the smallest of many random inputs.
pub(crate) fn seeds_show(
    target: &str,
    features: &[&str],
    shown: impl Fn(&[u8]) -> Vec<&'static str>,
) {
    let folder = corpus(target);
    let file = |feature: &str| folder.join(format!("seed-{feature}"));
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(&folder).unwrap();
        for (feature, input) in searched(features, &shown) {
            fs::write(file(feature), input).unwrap();
        }
    }
    for feature in features {
        let input = fs::read(file(feature)).unwrap_or_else(|error| panic!("{feature}: {error}"));
        assert!(shown(&input).contains(feature), "seed-{feature} shows {:?}", shown(&input));
    }
}

/// For each feature the shortest input that shows it.
fn searched<'a>(
    features: &[&'a str],
    shown: impl Fn(&[u8]) -> Vec<&'static str>,
) -> Vec<(&'a str, Vec<u8>)> {
    let mut random = Random(0x5eed_5eed_5eed_5eed);
    let mut found: Vec<(&str, Vec<u8>)> = Vec::new();
    for _ in 0..60_000 {
        let length = 16 + random.below(400);
        let mut input = random.bytes(length);
        // Arbitrary asks a byte whether there is one more element: its lowest bit says yes.
        for byte in &mut input {
            *byte = if random.below(3) == 0 { 1 } else { *byte };
        }
        let shown = shown(&input);
        for feature in features.iter().filter(|feature| shown.contains(feature)) {
            match found.iter_mut().find(|(known, _)| known == feature) {
                Some((_, best)) if best.len() <= input.len() => {}
                Some((_, best)) => best.clone_from(&input),
                None => found.push((feature, input.clone())),
            }
        }
    }
    found
}
