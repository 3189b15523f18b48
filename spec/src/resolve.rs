//! From a document to a format: every name is looked up once, here.

mod conditions;
mod images;
mod layout;
mod linking;
mod paths;
mod rules;
mod types;

use indexmap::IndexMap;

use crate::error::SpecError;
use crate::format::{Enum, Format, Record};
use crate::source::Document;

/// The result of looking something up.
type Resolved<T> = Result<T, Box<SpecError>>;

/// Looks up every name of `document`, which was read from `text`.
///
/// # Errors
/// The first name that means nothing, or a combination that cannot be right.
pub(crate) fn format(file: &str, text: &str, document: &Document) -> Resolved<Format> {
    let mut resolver = Resolver { file, text, document, records: Vec::new(), enums: Vec::new() };
    resolver.plain_names()?;
    resolver.unique_names()?;
    resolver.records = resolver.resolve_records()?;
    resolver.records = resolver.resolve_counts()?;
    resolver.enums = resolver.resolve_enums()?;
    let (regions, images) = (resolver.resolve_regions()?, resolver.resolve_images()?);
    let (relocations, linking) = (resolver.resolve_relocations()?, resolver.resolve_linking()?);
    let rules = resolver.resolve_rules(&regions)?;
    let header = &document.format;
    Ok(Format {
        id: header.id.clone(),
        title: header.title.clone(),
        version: header.version.clone(),
        endian: header.endian,
        extensions: header.extensions.clone(),
        source: header.source.clone(),
        clauses: document.clauses.clone(),
        flags: resolver.resolve_flags()?,
        opcodes: resolver.resolve_opcodes()?,
        enums: resolver.enums,
        records: resolver.records,
        regions,
        images,
        linking,
        relocations,
        rules,
    })
}

/// What is known while names are looked up.
struct Resolver<'a> {
    file: &'a str,
    text: &'a str,
    document: &'a Document,
    records: Vec<Record>,
    enums: Vec<Enum>,
}

impl Resolver<'_> {
    /// An error about `word` in the definition that `path` leads to.
    fn fail(&self, path: &[&str], word: &str, message: String) -> Box<SpecError> {
        let at = crate::locate::mention(self.text, path, word);
        SpecError::at(self.file, self.text, at, message, None)
    }

    /// An error about the second definition that `path` leads to.
    fn twice(&self, path: &[&str], message: String) -> Box<SpecError> {
        let at = crate::locate::second_definition(self.text, path);
        let help = "names and ids are unique; give this one another".to_owned();
        SpecError::at(self.file, self.text, at, message, Some(help))
    }

    /// An error about a name that means nothing, with the names that would.
    fn unknown<'n>(
        &self,
        path: &[&str],
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) -> Box<SpecError> {
        let known: Vec<&str> = known.into_iter().collect();
        let at = crate::locate::mention(self.text, path, name);
        let help = nearest(name, &known).map_or_else(
            || {
                format!(
                    "known: {}",
                    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
                )
            },
            |near| format!("did you mean `{near}`?"),
        );
        let message = format!("{} names {what} `{name}`, which does not exist", path.join("."));
        SpecError::at(self.file, self.text, at, message, Some(help))
    }

    fn region_index(&self, path: &[&str], name: &str) -> Resolved<usize> {
        let names = || self.document.regions.iter().map(|region| region.name.as_str());
        names().position(|n| n == name).ok_or_else(|| self.unknown(path, "region", name, names()))
    }

    fn index_in<T>(
        &self,
        path: &[&str],
        what: &str,
        map: &IndexMap<String, T>,
        name: &str,
    ) -> Resolved<usize> {
        map.get_index_of(name)
            .ok_or_else(|| self.unknown(path, what, name, map.keys().map(String::as_str)))
    }

    fn clause_exists(&self, path: &[&str], clause: Option<&str>) -> Resolved<()> {
        let ids = || self.document.clauses.iter().map(|clause| clause.id.as_str());
        match clause {
            Some(id) if !ids().any(|known| known == id) => {
                Err(self.unknown(path, "clause", id, ids()))
            }
            _ => Ok(()),
        }
    }

    /// Names that become parts of vector ids and of file names.
    fn plain_names(&self) -> Resolved<()> {
        let id = &self.document.format.id;
        let regions = self.document.regions.iter().map(|region| ("regions", &region.name));
        for (list, name) in std::iter::once(("format", id)).chain(regions) {
            if !is_plain(name) {
                let message = format!(
                    "`{name}` cannot be a name: lower-case letters, digits, `_` and `-`, starting with a letter"
                );
                return Err(self.fail(&[list], name, message));
            }
        }
        Ok(())
    }

    fn unique_names(&self) -> Resolved<()> {
        let document = self.document;
        let regions = document.regions.iter().map(|region| region.name.as_str());
        let rules = document.rules.iter().map(|rule| rule.id.as_str());
        let clauses = document.clauses.iter().map(|clause| clause.id.as_str());
        for (list, names) in [
            ("regions", &mut regions.into_iter() as &mut dyn Iterator<Item = &str>),
            ("rules", &mut rules.into_iter()),
            ("clauses", &mut clauses.into_iter()),
        ] {
            if let Some(name) = repeated(names) {
                return Err(self.twice(&[list, name], format!("`{name}` stands twice in {list}")));
            }
        }
        for (name, record) in &document.records {
            if let Some(field) = repeated(record.fields.iter().map(|field| field.name.as_str())) {
                let message = format!("record {name} has two fields `{field}`");
                return Err(self.twice(&["records", name, "fields", field], message));
            }
        }
        Ok(())
    }
}

fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = std::collections::HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

/// The known name that `name` is probably a misspelling of.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let (distance, near) =
        known.iter().map(|candidate| (edit_distance(name, candidate), *candidate)).min()?;
    (distance <= 2.max(name.len() / 4)).then_some(near)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &cb) in b.iter().enumerate() {
            let cost = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn is_plain(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(inner)
}

/// Width in bytes of an unsigned integer type.
fn unsigned_width(name: &str) -> Option<u8> {
    match name {
        "u8" => Some(1),
        "u16" => Some(2),
        "u32" => Some(4),
        "u64" => Some(8),
        _ => None,
    }
}

/// Bytes written as hexadecimal digits, spaces allowed.
fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16))
        .collect::<Option<_>>()?;
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .chunks(2)
        .map(|pair| {
            pair.iter().try_fold(0_u8, |byte, digit| {
                byte.checked_mul(16)?.checked_add(u8::try_from(*digit).ok()?)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_bytes() {
        assert_eq!(hex_bytes("c0 03 5f d6"), Some(vec![0xc0, 0x03, 0x5f, 0xd6]));
        assert_eq!(hex_bytes("c"), None);
        assert_eq!(hex_bytes("header.x"), None);
    }

    #[test]
    fn a_misspelling_is_recognised() {
        assert_eq!(nearest("heder", &["header", "code"]), Some("header"));
        assert_eq!(nearest("zzz", &["header", "code"]), None);
    }
}
