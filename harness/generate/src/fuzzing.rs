//! What a fuzzer starts from: a dictionary of the spec's constants, and valid files as seeds.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;

use blobspec::Format;
use blobspec::format::{Check, Constant, Endian, Meaning, Operand};
use harness_protocol::{Vector, Want};

use crate::suite::Suite;

/// Largest seed in bytes: what libFuzzer takes as the largest input when nothing else is said.
pub const MAX_SEED_BYTES: usize = 4096;

/// Where fuzzing starts: fuzz target → file name → file, a few files for each kind of answer.
///
/// `parse_tables` gets the plain valid files, the first vector that breaks each rule, and the first that each
/// reading of a choice answers differently. `parse_header` gets the plain files, the file cut inside the
/// header, and of the other two those which differ from their base in the header alone. A format whose modules
/// are linked has one target, `load_FORMAT`, which gets what `parse_tables` does and the modules that are loaded.
#[must_use]
pub fn seeds(suite: &Suite) -> BTreeMap<String, BTreeMap<String, Vec<u8>>> {
    let links = |vector: &&Vector| !vector.expect.images.is_empty();
    if suite.vectors.iter().any(|vector| links(&vector)) {
        let small = |vector: &&Vector| vector.bytes.0.len() <= MAX_SEED_BYTES;
        let all = suite.vectors.iter().filter(small);
        let judged = one_of_each(all.clone().filter(|vector| vector.want == Want::Validate));
        return BTreeMap::from([(
            format!("load_{}", suite.format),
            named(judged.chain(all.filter(links))),
        )]);
    }
    let small: Vec<&Vector> = suite
        .vectors
        .iter()
        .filter(|vector| vector.want == Want::Validate && vector.bytes.0.len() <= MAX_SEED_BYTES)
        .collect();
    let header = Header::of(&small);
    let about_header = || small.iter().copied().filter(|vector| header.alone_differs(vector));
    let cut = small.iter().copied().filter(|vector| vector.bytes.0.len() < header.end);
    BTreeMap::from([
        ("parse_header".to_owned(), named(one_of_each(about_header()).chain(cut))),
        ("parse_tables".to_owned(), named(one_of_each(small.iter().copied()))),
    ])
}

/// Every plain file, and the first vector of each rule and reading.
fn one_of_each<'a>(vectors: impl Iterator<Item = &'a Vector>) -> impl Iterator<Item = &'a Vector> {
    let mut shown = HashSet::new();
    vectors.filter(move |vector| {
        let readings = vector.readings.iter().flat_map(|(choice, answers)| {
            answers.keys().map(move |reading| (choice.clone(), reading.clone()))
        });
        let broken = vector.expect.rule.iter().map(|rule| (rule.clone(), String::new()));
        let fresh = broken.chain(readings).filter(|topic| shown.insert(topic.clone())).count();
        fresh > 0 || is_plain(vector)
    })
}

fn is_plain(vector: &Vector) -> bool {
    vector.id.split('/').nth(1) == Some("base")
}

fn named<'a>(vectors: impl Iterator<Item = &'a Vector>) -> BTreeMap<String, Vec<u8>> {
    let mut seen = HashSet::new();
    vectors
        .filter(|vector| seen.insert(&vector.bytes.0))
        .map(|vector| {
            let slug =
                vector.id.replace(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c), "-");
            (format!("seed-{slug}"), vector.bytes.0.clone())
        })
        .collect()
}

/// The first region of the format, as the vectors show it.
struct Header<'a> {
    /// Offset of the first byte after it.
    end: usize,
    plain: BTreeMap<&'a str, &'a [u8]>,
}

impl<'a> Header<'a> {
    /// Its end is where a file can be cut without breaking the rule that an empty file breaks.
    fn of(vectors: &[&'a Vector]) -> Self {
        let missing = vectors
            .iter()
            .find(|vector| vector.bytes.0.is_empty())
            .and_then(|vector| vector.expect.rule.as_deref());
        let long_enough = vectors
            .iter()
            .filter(|vector| missing.is_some() && vector.expect.rule.as_deref() != missing)
            .map(|vector| vector.bytes.0.len());
        let plain = vectors.iter().filter(|vector| is_plain(vector));
        Self {
            end: long_enough.min().unwrap_or(0),
            plain: plain.map(|vector| (vector.base.as_str(), vector.bytes.0.as_slice())).collect(),
        }
    }

    fn alone_differs(&self, vector: &Vector) -> bool {
        let rest = |file: &'a [u8]| file.get(self.end..);
        let Some(base) = self.plain.get(vector.base.as_str()) else { return false };
        vector.bytes.0.get(self.end..).is_some_and(|tail| Some(tail) == rest(base))
    }
}

/// A libFuzzer dictionary: constants, codes, bits, limits and their neighbours, in the file's byte order.
#[must_use]
pub fn dictionary(format: &Format) -> String {
    let mut tokens: BTreeSet<(String, Vec<u8>)> = BTreeSet::new();
    for rule in &format.rules {
        match &rule.check {
            Check::Const { target, value: Constant::Bytes(bytes) } => {
                tokens.insert((format.path_of(target), bytes.clone()));
            }
            Check::Const { target, value: Constant::Number(value) } => {
                number(format, target, *value, &mut tokens);
            }
            Check::Range { target, min, max } => {
                for end in [min, max].into_iter().flatten() {
                    if let Operand::Literal(value) = end {
                        number(format, target, *value, &mut tokens);
                        number(format, target, value.wrapping_add(1), &mut tokens);
                    }
                }
            }
            _ => {}
        }
    }
    for record in &format.records {
        for field in &record.fields {
            let Some(scalar) = field.field_type.scalar() else { continue };
            let path = format!("{}.{}", record.name, field.name);
            let values: Vec<u64> = match scalar.meaning {
                Meaning::Enum(index) => {
                    format.enums[index].values.iter().map(|value| value.code).collect()
                }
                Meaning::Flags(index) => {
                    format.flags[index].bits.iter().map(|(_, bit)| 1 << bit).collect()
                }
                Meaning::Number => {
                    vec![0, 1, scalar.max() >> 1, (scalar.max() >> 1) + 1, scalar.max()]
                }
            };
            tokens.extend(
                values.into_iter().map(|value| (path.clone(), bytes(format, value, scalar.width))),
            );
        }
    }
    let mut seen = BTreeSet::new();
    let mut text = format!(
        "# {} {}: made from its spec by `harness generate`\n",
        format.title, format.version
    );
    for (name, bytes) in tokens.into_iter().filter(|(_, bytes)| seen.insert(bytes.clone())) {
        let escaped: String = bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "\\x{byte:02x}");
            text
        });
        let _ = writeln!(
            text,
            "{}=\"{escaped}\"",
            name.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
        );
    }
    text
}

fn number(
    format: &Format,
    target: &blobspec::format::Target,
    value: u64,
    tokens: &mut BTreeSet<(String, Vec<u8>)>,
) {
    let width = format
        .leaf(target)
        .and_then(|field| field.field_type.scalar())
        .map_or(8, |scalar| scalar.width);
    tokens.insert((format.path_of(target), bytes(format, value, width)));
}

fn bytes(format: &Format, value: u64, width: u8) -> Vec<u8> {
    let width = usize::from(width);
    match format.endian {
        Endian::Little => value.to_le_bytes()[..width].to_vec(),
        Endian::Big => value.to_be_bytes()[8 - width..].to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite() -> Suite {
        let spec = blobspec::builtin("scp").unwrap().unwrap();
        crate::generate(&spec, &blobspec::Readings::new()).unwrap()
    }

    #[test]
    fn seeds_break_every_rule_and_differ_under_every_reading() {
        let suite = suite();
        let seeds = seeds(&suite);
        let tables: HashSet<&Vec<u8>> = seeds["parse_tables"].values().collect();
        let topics = |seeded: bool| {
            let known = suite.vectors.iter().filter(|vector| {
                vector.want == Want::Validate
                    && vector.bytes.0.len() <= MAX_SEED_BYTES
                    && (!seeded || tables.contains(&vector.bytes.0))
            });
            known
                .flat_map(|vector| {
                    let readings = vector.readings.iter().flat_map(|(choice, answers)| {
                        answers.keys().map(move |reading| format!("{choice}={reading}"))
                    });
                    vector.expect.rule.iter().cloned().chain(readings)
                })
                .collect::<BTreeSet<String>>()
        };
        assert!(topics(false).len() > 40, "{:?}", topics(false));
        assert_eq!(topics(true), topics(false));
    }

    #[test]
    fn seeds_for_the_header_leave_the_tables_alone() {
        let suite = suite();
        let seeds = seeds(&suite);
        let tails: HashSet<&[u8]> = suite
            .vectors
            .iter()
            .filter(|vector| is_plain(vector))
            .map(|vector| &vector.bytes.0[32..])
            .collect();
        let header = &seeds["parse_header"];
        assert!(header.values().any(|file| file.is_empty()));
        assert!(header.values().any(|file| file.len() == 30));
        for (name, file) in header.iter().filter(|(_, file)| file.len() >= 32) {
            assert!(tails.contains(&file[32..]), "{name}");
        }
    }

    #[test]
    fn seeds_are_small_named_by_their_vector_and_the_same_every_time() {
        let seeds = seeds(&suite());
        assert_eq!(seeds, super::seeds(&suite()));
        for (target, files) in &seeds {
            assert!((20..200).contains(&files.len()), "{target}: {}", files.len());
            for (name, file) in files {
                assert!(name.starts_with("seed-scp-") && !name.contains('/'), "{name}");
                assert!(file.len() <= MAX_SEED_BYTES, "{name}");
            }
        }
    }
}
