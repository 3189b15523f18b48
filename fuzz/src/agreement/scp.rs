//! SCP: the header alone, and whole files.

use blobspec::Format;
use harness_codec::{Decoded, Model, decode, model_json};
use reference_loader::{Error, File, Header};

use super::{Refusal, accepted, repaired, same_refusal};
use crate::{SCP, rule_coverage};

/// Checks the header alone: the same fields, or the same first violation among the rules about it.
///
/// # Panics
/// When the two readings differ.
pub fn header(file: &[u8]) {
    let decoded = decode(&SCP, file);
    rule_coverage::record(&decoded);
    same_header(&decoded, file);
}

fn same_header(decoded: &Decoded, file: &[u8]) {
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
        (Err(error), _) => same_rejection(&error, decoded),
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
    if let Some(repaired) = repaired(&SCP, file) {
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
    same_file(&SCP, &decoded, file);
}

fn same_file(format: &Format, decoded: &Decoded, file: &[u8]) {
    match reference_loader::validate(file) {
        Ok(theirs) => {
            accepted(decoded);
            same_spans(&theirs, &decoded.model, file);
            if let Some(model) = reference_loader::model(&theirs) {
                assert_eq!(model, model_json(format, &decoded.model, file), "the models differ");
            }
        }
        Err(error) => same_rejection(&error, decoded),
    }
}

fn same_rejection(error: &Error, decoded: &Decoded) {
    let refusal = Refusal {
        stage: error.stage().map(|stage| stage.name()),
        rule: error.rule().map(reference_loader::Rule::id),
        offset: error.offset(),
        message: error.to_string(),
    };
    same_refusal(&refusal, decoded);
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

#[cfg(test)]
mod tests {
    use harness_codec::{Span, Verdict, Violation};
    use harness_generate::Suite;

    use super::*;
    use crate::testing::{Random, SCP_SUITE, holds, other_readings, rules_not_missed, small, spec};

    #[test]
    fn every_vector_is_seen_alike() {
        for vector in &SCP_SUITE.vectors {
            let seen = holds(|| {
                header(&vector.bytes.0);
                file_and_repaired(&vector.bytes.0);
            });
            assert!(seen, "{} ({})", vector.id, vector.edit);
        }
    }

    #[test]
    fn mutated_vectors_are_seen_alike() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for vector in small(&SCP_SUITE) {
            for _ in 0..20 {
                let file = random.mutated(&vector.bytes.0);
                let seen = holds(|| file_and_repaired(&file));
                assert!(seen, "{} as {file:02x?}", vector.id);
            }
        }
    }

    // The rest plants differences: a property that cannot fail shows nothing by holding.

    #[test]
    fn a_codec_that_lacks_any_one_rule_is_noticed() {
        let missed = rules_not_missed(&SCP, &SCP_SUITE, same_file);
        assert!(missed.is_empty(), "{missed:?}");
    }

    #[test]
    fn a_codec_that_reads_the_document_otherwise_is_noticed() {
        let [noticed, missed] = other_readings(&spec("scp"), &SCP_SUITE, same_file);
        assert!(missed.is_empty(), "{missed:?}");
        assert!(noticed.contains(&"scp.flag-bits=ignored".to_owned()), "{noticed:?}");
        assert!(noticed.len() > 10, "{noticed:?}");
    }

    /// The first vector that the codec rejects, decoded.
    fn rejected(suite: &Suite) -> (&[u8], Decoded) {
        let vector = suite.vectors.iter().find(|vector| vector.expect.rule.is_some()).unwrap();
        (&vector.bytes.0, decode(&SCP, &vector.bytes.0))
    }

    #[test]
    fn another_verdict_is_noticed() {
        let suite = &*SCP_SUITE;
        let (file, honest) = rejected(suite);
        assert!(holds(|| same_file(&SCP, &honest, file)));
        let with = |change: fn(Verdict) -> Verdict| Decoded {
            verdict: change(honest.verdict.clone()),
            ..honest.clone()
        };
        let doctored = [
            with(|_| Verdict::Valid),
            with(|verdict| match verdict {
                Verdict::Rejected { stage, rule, offset, detail } => {
                    Verdict::Rejected { stage, rule, offset: offset + 1, detail }
                }
                Verdict::Valid => verdict,
            }),
            with(|verdict| match verdict {
                Verdict::Rejected { stage, offset, detail, .. } => {
                    Verdict::Rejected { stage, rule: "SCP-STR-UTF8".into(), offset, detail }
                }
                Verdict::Valid => verdict,
            }),
            with(|verdict| match verdict {
                Verdict::Rejected { rule, offset, detail, .. } => Verdict::Rejected {
                    stage: blobspec::format::Stage::Unmappable,
                    rule,
                    offset,
                    detail,
                },
                Verdict::Valid => verdict,
            }),
        ];
        for decoded in doctored {
            assert_ne!(decoded.verdict, honest.verdict);
            assert!(!holds(|| same_file(&SCP, &decoded, file)), "{:?}", decoded.verdict);
        }
    }

    #[test]
    fn another_rejection_of_a_valid_file_is_noticed() {
        let suite = &*SCP_SUITE;
        let file = &suite.vectors[0].bytes.0;
        let honest = decode(&SCP, file);
        assert_eq!(honest.verdict, Verdict::Valid);
        let violation = Violation { rule: 0, offset: 0, detail: String::new() };
        let verdict = rejected(suite).1.verdict;
        let decoded = Decoded { verdict, violations: vec![violation], ..honest };
        assert!(!holds(|| same_file(&SCP, &decoded, file)));
    }

    #[test]
    fn other_spans_are_noticed_in_every_region() {
        let suite = &*SCP_SUITE;
        let file = &suite.vectors[0].bytes.0;
        let honest = decode(&SCP, file);
        assert!(holds(|| same_file(&SCP, &honest, file)));
        for name in ["functions", "types", "dependencies", "slack", "code"] {
            let mut decoded = honest.clone();
            let node = &mut decoded.model.regions[SCP.region(name).unwrap()].node;
            let node = match &mut node.value {
                harness_codec::Value::List(elements) => elements.last_mut().unwrap(),
                _ => node,
            };
            node.span = Span { start: node.span.start - 1, ..node.span };
            assert!(!holds(|| same_file(&SCP, &decoded, file)), "{name}");
        }
    }

    #[test]
    fn another_value_of_any_header_field_is_noticed() {
        let suite = &*SCP_SUITE;
        let file = &suite.vectors[0].bytes.0;
        let honest = decode(&SCP, file);
        assert!(holds(|| same_header(&honest, file)));
        let fields = honest.model.regions[0].node.children().len();
        let mut changed = 0;
        for field in 0..fields {
            let mut decoded = honest.clone();
            let harness_codec::Value::Record(nodes) = &mut decoded.model.regions[0].node.value
            else {
                panic!("the header is no record");
            };
            let harness_codec::Value::Uint(value) = &mut nodes[field].value else { continue };
            *value ^= 1;
            changed += 1;
            assert!(!holds(|| same_header(&decoded, file)), "field {field}");
        }
        assert_eq!(changed, 8);
    }
}
