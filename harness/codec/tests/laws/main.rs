//! What holds for every file of every format: the built-in ones and those that the language is tried on.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod decoding;
mod encoding;

use std::sync::LazyLock;

use blobspec::{Format, Readings, Spec};

/// A format with files to start from: its vectors, valid and broken.
pub struct Specimen {
    /// The format.
    pub format: Format,
    /// The files that are small enough to be mutated often.
    pub files: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Specimen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.format.id)
    }
}

/// The formats.
pub static SPECIMENS: LazyLock<Vec<Specimen>> = LazyLock::new(|| {
    let formats = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/tests/formats/");
    let own = ["container", "bytecode", "mission"].map(|name| format!("{formats}{name}.yaml"));
    let builtin =
        blobspec::BUILTIN.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let read = |path: String| {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        (path, text)
    };
    builtin.chain(own.map(read)).map(|(name, text)| specimen(&name, &text)).collect()
});

fn specimen(name: &str, text: &str) -> Specimen {
    let spec = Spec::load(name, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let suite = harness_generate::generate(&spec, &Readings::new())
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let files = suite.vectors.into_iter().map(|vector| vector.bytes.0);
    Specimen { format: spec.format().clone(), files: files.filter(|f| f.len() <= 2048).collect() }
}

/// A change of a file.
#[derive(Clone, Debug)]
pub enum Mutation {
    /// Sets the byte at a place (as a fraction of the length).
    Set(u16, u8),
    /// Sets the four bytes from there.
    Word(u16, u32),
    /// Cuts the file there.
    Cut(u16),
    /// Puts bytes in there.
    Insert(u16, Vec<u8>),
}

impl Mutation {
    /// Changes `file`.
    pub fn apply(&self, file: &mut Vec<u8>) {
        let at = |place: u16| usize::from(place) * file.len() / 65_536;
        match self {
            Self::Set(place, byte) => {
                let at = at(*place);
                file.iter_mut().skip(at).take(1).for_each(|target| *target = *byte);
            }
            Self::Word(place, word) => {
                let at = at(*place);
                file.iter_mut().skip(at).zip(word.to_le_bytes()).for_each(|(t, byte)| *t = byte);
            }
            Self::Cut(place) => file.truncate(at(*place)),
            Self::Insert(place, bytes) => {
                let at = at(*place);
                file.splice(at..at, bytes.iter().copied());
            }
        }
    }
}
