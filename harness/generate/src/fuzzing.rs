//! What a fuzzer starts from: a dictionary of the spec's constants, and valid files as seeds.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use blobspec::Format;
use blobspec::format::{Check, Constant, Endian, Meaning, Operand};

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
                number(format, target, *value, &mut tokens)
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
