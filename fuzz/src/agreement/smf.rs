//! SMF: whole files, and what the accepted ones become in memory.

use blobspec::Format;
use harness_codec::{Decoded, Node, Value, decode, model_json};
use reference_loader::smf::{Error, File, Rule, model, validate};

use super::{Refusal, accepted, repaired, same_refusal};
use crate::{SMF, linking, loading, rule_coverage};

/// Checks `file` as it is and, since almost every mutated file has a wrong hash or count, once more with these
/// repaired: else hardly a mutated file would ever be linked.
///
/// # Panics
/// When the two readings differ.
pub fn file_and_repaired(file: &[u8]) {
    whole_file(file);
    if let Some(repaired) = repaired(&SMF, file).filter(|repaired| repaired != file) {
        whole_file(&repaired);
    }
}

/// Checks one file: the same verdict by the same rule at the same offset, or the same model, the same bytes
/// after relocation at several places, and the same memory once it is loaded.
///
/// # Panics
/// When the two readings differ.
pub fn whole_file(file: &[u8]) {
    let decoded = decode(&SMF, file);
    rule_coverage::record(&decoded);
    if let Some(theirs) = same_file(&SMF, &decoded, file) {
        linking::same_everywhere(&decoded, file, &theirs);
        loading::same_memory(&decoded, file);
    }
}

/// Checks the verdict and the model; the file, if it is accepted.
pub(crate) fn same_file<'a>(
    format: &Format,
    decoded: &Decoded,
    file: &'a [u8],
) -> Option<File<'a>> {
    match validate(file) {
        Ok(theirs) => {
            accepted(decoded);
            same_places(format, &theirs, decoded);
            if let Some(model) = model(&theirs) {
                let ours = model_json(format, &decoded.model, file);
                for (region, theirs) in model.as_object().into_iter().flatten() {
                    assert_eq!(Some(theirs), ours.get(region), "the models differ in {region}");
                }
            }
            Some(theirs)
        }
        Err(error) => {
            same_refusal(&refusal(&error), decoded);
            None
        }
    }
}

pub(crate) fn refusal(error: &Error) -> Refusal {
    Refusal {
        stage: error.stage().map(|stage| stage.name()),
        rule: error.rule().map(Rule::id),
        offset: error.offset(),
        message: error.to_string(),
    }
}

/// Every record starts at the same byte, and contents and names are the same stretches.
fn same_places(format: &Format, theirs: &File<'_>, decoded: &Decoded) {
    let region = |name: &str| {
        let index = format.region(name).unwrap_or_else(|| panic!("no region {name}"));
        decoded.model.regions[index].node.children()
    };
    let start = |node: &Node| node.span.offset();
    let starts = |name: &str| region(name).iter().map(start).collect::<Vec<_>>();
    let sections: Vec<u64> = theirs.sections().iter().map(|section| section.record).collect();
    assert_eq!(sections, starts("sections"), "the section tables differ");
    let symbols: Vec<u64> = theirs.symbols().iter().map(|symbol| symbol.record).collect();
    assert_eq!(symbols, starts("symbols"), "the symbol tables differ");
    let lists = region("relocations").iter().filter(|list| list.value != Value::Absent);
    let ours: Vec<Vec<u64>> =
        lists.map(|list| list.children().iter().map(start).collect()).collect();
    let lists = theirs.relocations();
    let lists = lists.map(|list| list.iter().map(|relocation| relocation.record).collect());
    assert_eq!(lists.collect::<Vec<Vec<u64>>>(), ours, "the relocations differ");
    for (section, payload) in theirs.sections().iter().zip(region("contents")) {
        let ours = if payload.value == Value::Absent { 0 } else { payload.span.range().len() };
        assert_eq!(theirs.contents(&section).len(), ours, "contents differ");
    }
}

#[cfg(test)]
mod tests {
    use harness_codec::Verdict;

    use super::*;
    use crate::testing::{Random, SMF_SUITE, holds, other_readings, rules_not_missed, small, spec};

    fn look(format: &Format, decoded: &Decoded, file: &[u8]) {
        same_file(format, decoded, file);
    }

    #[test]
    fn every_vector_is_seen_alike() {
        for vector in &SMF_SUITE.vectors {
            let seen = holds(|| file_and_repaired(&vector.bytes.0));
            assert!(seen, "{} ({})", vector.id, vector.edit);
        }
    }

    #[test]
    fn mutated_vectors_are_seen_alike() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for vector in small(&SMF_SUITE) {
            for _ in 0..3 {
                let file = random.mutated(&vector.bytes.0);
                let seen = holds(|| file_and_repaired(&file));
                assert!(seen, "{} as {file:02x?}", vector.id);
            }
        }
    }

    #[test]
    fn hashes_and_counts_are_repaired() {
        let vector =
            SMF_SUITE.vectors.iter().find(|vector| vector.id.contains("base/rich")).unwrap();
        let file = &vector.bytes.0;
        assert_eq!(repaired(&SMF, file).as_ref(), Some(file), "a right file stays as it is");
        let mut broken = file.clone();
        broken[36] ^= 1; // exported_count
        let symbols = u64::from_le_bytes(broken[24..32].try_into().unwrap());
        broken[usize::try_from(symbols).unwrap() + 4] ^= 1; // the hash of the first name
        assert_ne!(decode(&SMF, &broken).verdict, Verdict::Valid);
        assert_eq!(repaired(&SMF, &broken).as_ref(), Some(file));
    }

    #[test]
    fn a_codec_that_lacks_any_one_rule_is_noticed() {
        let missed = rules_not_missed(&SMF, &SMF_SUITE, look);
        assert!(missed.is_empty(), "{missed:?}");
    }

    /// Whether an undefined weak symbol is an error only shows when a file is linked.
    #[test]
    fn a_codec_that_reads_the_document_otherwise_is_noticed() {
        let [noticed, missed] = other_readings(&spec("smf"), &SMF_SUITE, look);
        assert_eq!(missed, ["smf.weak=error"]);
        assert!(noticed.contains(&"smf.duplicate-symbol=reject".to_owned()), "{noticed:?}");
        assert!(noticed.len() > 10, "{noticed:?}");
    }

    #[test]
    fn other_places_are_noticed_in_every_table() {
        let vector =
            SMF_SUITE.vectors.iter().find(|vector| vector.id.contains("base/rich")).unwrap();
        let file = &vector.bytes.0;
        let honest = decode(&SMF, file);
        assert!(holds(|| look(&SMF, &honest, file)));
        for name in ["sections", "symbols", "relocations", "contents"] {
            let mut decoded = honest.clone();
            let mut node = &mut decoded.model.regions[SMF.region(name).unwrap()].node;
            while let Value::List(elements) = &mut node.value {
                let present = |node: &&mut Node| node.value != Value::Absent;
                node = elements.iter_mut().rfind(present).unwrap();
            }
            node.span.start -= 1;
            assert!(!holds(|| look(&SMF, &decoded, file)), "{name}");
        }
    }
}
