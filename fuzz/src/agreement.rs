//! The reference loader and the spec codec see every file alike.
//!
//! The two were written from the same document by different means and share no decoding code: where they
//! differ, one of them is wrong or the document has a gap.

use harness_codec::{Decoded, Model, Verdict, decode, model_json};
use reference_loader::{Error, File, Header};

use crate::{SCP, rule_coverage};

/// Checks the header alone: the same fields, or the same first violation among the rules about it.
///
/// # Panics
/// When the two readings differ.
pub fn header(file: &[u8]) {
    let decoded = decode(&SCP, file);
    rule_coverage::record(&decoded);
    match (Header::parse(file), decoded.model.regions.first()) {
        (Ok(header), Some(region)) => {
            let fields: Vec<u64> =
                region.node.children().iter().filter_map(harness_codec::Node::number).collect();
            let theirs = [
                u64::from(header.version_major),
                u64::from(header.version_minor),
                u64::from(header.header_size),
                header.code_blob_size,
                u64::from(header.architecture),
                u64::from(header.calling_convention),
                u64::from(header.flags),
                u64::from(header.checksum),
            ];
            assert_eq!(theirs.as_slice(), fields, "fields of the header differ");
        }
        (Err(error), _) => same_rejection(&error, &decoded),
        (Ok(header), None) => {
            panic!("the loader reads {header:?}, the codec {:?}", decoded.verdict)
        }
    }
}

/// Checks `file` as it is and, since almost every mutated file has a wrong checksum, once more with the
/// checksum repaired: else the rules behind the checksum would hardly ever be compared.
///
/// # Panics
/// When the two readings differ.
pub fn file_and_repaired(file: &[u8]) {
    whole_file(file);
    if let Some(repaired) = with_right_checksum(file) {
        whole_file(&repaired);
    }
}

/// Checks one file: the same verdict by the same rule at the same offset, or the same model and spans.
///
/// # Panics
/// When the two readings differ.
pub fn whole_file(file: &[u8]) {
    let decoded = decode(&SCP, file);
    rule_coverage::record(&decoded);
    match reference_loader::validate(file) {
        Ok(theirs) => {
            assert_eq!(
                decoded.verdict,
                Verdict::Valid,
                "the loader accepts what the codec rejects"
            );
            same_spans(&theirs, &decoded.model, file);
            if let Some(model) = reference_loader::model(&theirs) {
                assert_eq!(model, model_json(&SCP, &decoded.model, file), "the models differ");
            }
        }
        Err(error) => same_rejection(&error, &decoded),
    }
}

fn same_rejection(error: &Error, decoded: &Decoded) {
    let Verdict::Rejected { stage, rule, offset, .. } = &decoded.verdict else {
        panic!("the loader rejects what the codec accepts: {error}");
    };
    let theirs = (
        error.rule().map(reference_loader::Rule::id),
        error.offset(),
        error.stage().map(|s| s.name()),
    );
    assert_eq!(
        theirs,
        (Some(rule.as_str()), Some(*offset), Some(stage.name())),
        "the verdicts differ"
    );
}

/// Every table entry starts at the same byte, and slack and code are the same stretches.
fn same_spans(theirs: &File<'_>, model: &Model, file: &[u8]) {
    let region = |name: &str| {
        let index = SCP.region(name).unwrap_or_else(|| panic!("no region {name}"));
        &model.regions[index].node
    };
    let starts = |name: &str| {
        region(name).children().iter().map(|node| node.span.offset()).collect::<Vec<_>>()
    };
    assert_eq!(
        theirs.functions().map(|entry| entry.offset).collect::<Vec<_>>(),
        starts("functions")
    );
    assert_eq!(theirs.types().map(|entry| entry.offset).collect::<Vec<_>>(), starts("types"));
    assert_eq!(
        theirs.dependencies().map(|entry| entry.offset).collect::<Vec<_>>(),
        starts("dependencies")
    );
    let place = |bytes: &[u8]| {
        let start = bytes.as_ptr().addr() - file.as_ptr().addr();
        start..start + bytes.len()
    };
    assert_eq!(place(theirs.slack()), region("slack").span.range(), "the slack differs");
    assert_eq!(place(theirs.code()), region("code").span.range(), "the code differs");
}

/// `file` with the checksum that the spec asks for; `None` when it does not decode that far.
#[must_use]
pub fn with_right_checksum(file: &[u8]) -> Option<Vec<u8>> {
    let decoded = decode(&SCP, file);
    let draft = harness_codec::Draft::pinned(&SCP, &decoded.model, file)?;
    let target =
        SCP.rules.iter().find(|rule| rule.id == "SCP-HEADER-CHECKSUM").map(|rule| &rule.check)?;
    let blobspec::format::Check::Derived { target } = target else { return None };
    let site = draft.sites(target).into_iter().next()?;
    let draft = draft.with(&site, harness_codec::Item::Derived)?;
    harness_codec::encode(&SCP, &draft).ok().map(|encoded| encoded.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vector_is_seen_alike() {
        let spec = blobspec::builtin("scp").unwrap().unwrap();
        let suite = harness_generate::generate(&spec, &blobspec::Readings::new()).unwrap();
        for vector in &suite.vectors {
            let seen = std::panic::catch_unwind(|| {
                header(&vector.bytes.0);
                file_and_repaired(&vector.bytes.0);
            });
            assert!(seen.is_ok(), "{} ({})", vector.id, vector.edit);
        }
    }

    #[test]
    fn mutated_vectors_are_seen_alike() {
        let spec = blobspec::builtin("scp").unwrap().unwrap();
        let suite = harness_generate::generate(&spec, &blobspec::Readings::new()).unwrap();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64; // xorshift: the same files in every run
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let small = suite.vectors.iter().filter(|vector| (1..2000).contains(&vector.bytes.0.len()));
        for vector in small {
            for _ in 0..20 {
                let mut file = vector.bytes.0.clone();
                for _ in 0..=next() % 3 {
                    let at = usize::try_from(next()).unwrap() % file.len();
                    file[at] = [0, 1, 0x7f, 0x80, 0xff, next().to_le_bytes()[0]]
                        [usize::try_from(next() % 6).unwrap()];
                }
                let seen = std::panic::catch_unwind(|| file_and_repaired(&file));
                assert!(seen.is_ok(), "{} as {file:02x?}", vector.id);
            }
        }
    }
}
