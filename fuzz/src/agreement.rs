//! The reference loader and the spec codec see every file alike.
//!
//! The two were written from the same document by different means and share no decoding code: where they
//! differ, one of them is wrong or the document has a gap. What all formats have in common is here.

pub mod scp;
pub mod smf;

use blobspec::Format;
use blobspec::format::Check;
use harness_codec::{Decoded, Draft, Item, Verdict, decode, encode};

/// Why the hand-written loader refuses a file.
pub(crate) struct Refusal {
    pub(crate) stage: Option<&'static str>,
    pub(crate) rule: Option<&'static str>,
    pub(crate) offset: Option<u64>,
    /// In its own words.
    pub(crate) message: String,
}

/// Checks that the codec refuses the file for the same reason.
///
/// # Panics
/// When it does not.
pub(crate) fn same_refusal(theirs: &Refusal, decoded: &Decoded) {
    let Verdict::Rejected { stage, rule, offset, .. } = &decoded.verdict else {
        panic!("the loader rejects what the codec accepts: {}", theirs.message);
    };
    assert_eq!(
        (theirs.rule, theirs.offset, theirs.stage),
        (Some(rule.as_str()), Some(*offset), Some(stage.name())),
        "the verdicts differ"
    );
}

/// Checks that the codec accepts the file too.
///
/// # Panics
/// When it does not.
pub(crate) fn accepted(decoded: &Decoded) {
    assert_eq!(decoded.verdict, Verdict::Valid, "the loader accepts what the codec rejects");
}

/// `file` with the checksums, hashes and counts that the rules of `format` ask for: almost no mutated file has
/// the right ones, and would be refused for that alone. `None` when it does not decode that far.
#[must_use]
pub fn repaired(format: &Format, file: &[u8]) -> Option<Vec<u8>> {
    let decoded = decode(format, file);
    let mut draft = Draft::pinned(format, &decoded.model, file)?;
    for rule in format.rules.iter().filter(|rule| rule.active) {
        let Check::Derived { target } = &rule.check else { continue };
        for site in draft.sites(target) {
            *draft.get_mut(&site)? = Item::Derived;
        }
    }
    encode(format, &draft).ok().map(|encoded| encoded.bytes)
}
