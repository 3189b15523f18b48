//! Laws of decoding.

use blobspec::format::Content;
use harness_codec::{Decoded, Node, Span, Value, decode, model_json};
use proptest::prelude::*;

use crate::{Mutation, SPECIMENS, Specimen};

/// A specimen and a mutated file of it.
pub(crate) fn mutated() -> impl Strategy<Value = (&'static Specimen, Vec<u8>)> {
    let mutation = prop_oneof![
        4 => (any::<u16>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        2 => (any::<u16>(), prop_oneof![any::<u32>(), 0_u32..300]).prop_map(|(at, word)| Mutation::Word(at, word)),
        1 => any::<u16>().prop_map(Mutation::Cut),
        1 => (any::<u16>(), proptest::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
    ];
    let mutations = proptest::collection::vec(mutation, 0..4);
    (any::<prop::sample::Index>(), any::<prop::sample::Index>(), mutations).prop_map(
        |(specimen, file, mutations)| {
            let specimen = &SPECIMENS[specimen.index(SPECIMENS.len())];
            let mut file = specimen.files[file.index(specimen.files.len())].clone();
            mutations.iter().for_each(|mutation| mutation.apply(&mut file));
            (specimen, file)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_decode_to_something(file in proptest::collection::vec(any::<u8>(), 0..2048)) {
        for specimen in SPECIMENS.iter() {
            check(specimen, &file);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn mutated_files_decode_to_something((specimen, file) in mutated()) {
        check(specimen, &file);
    }
}

#[test]
fn every_vector_keeps_the_laws() {
    for specimen in SPECIMENS.iter() {
        for file in &specimen.files {
            check(specimen, file);
        }
    }
}

fn check(specimen: &Specimen, file: &[u8]) {
    let decoded = decode(&specimen.format, file);
    in_order(specimen, &decoded, file);
    for (region, spec) in decoded.model.regions.iter().zip(&specimen.format.regions) {
        let length = u32::try_from(file.len()).unwrap();
        assert!(region.span.start <= region.span.end && region.span.end <= length, "{region:?}");
        let inside = region.count.iter().chain([&region.node]);
        siblings(region.span, inside);
        match &spec.content {
            Content::Payloads(_) => scattered(region.span, &region.node),
            Content::Inside { payloads, .. } => {
                let held = &decoded.model.regions[*payloads].node;
                for (list, payload) in region.node.children().iter().zip(held.children()) {
                    siblings(payload.span, (list.value != Value::Absent).then_some(list));
                    nested(list);
                }
            }
            _ => nested(&region.node),
        }
    }
    let _ = model_json(&specimen.format, &decoded.model, file);
}

/// Violations are ordered by stage, rule and offset; the verdict is the first one's.
fn in_order(specimen: &Specimen, decoded: &Decoded, file: &[u8]) {
    let rules = &specimen.format.rules;
    let key = |v: &harness_codec::Violation| (rules[v.rule].stage, v.rule, v.offset);
    assert!(decoded.violations.is_sorted_by_key(key), "{:?}", decoded.violations);
    assert!(decoded.violations.iter().all(|v| rules[v.rule].active), "{:?}", decoded.violations);
    let complete = decoded.model.regions.len() == specimen.format.regions.len();
    match &decoded.verdict {
        harness_codec::Verdict::Valid => assert!(decoded.violations.is_empty() && complete),
        harness_codec::Verdict::Rejected { stage, rule, offset, .. } => {
            let first = &decoded.violations[0];
            let expected = (rules[first.rule].stage, &rules[first.rule].id, first.offset);
            assert_eq!((*stage, rule, *offset), expected, "{file:02x?}");
        }
    }
}

/// Payloads lie inside their region in any order.
fn scattered(region: Span, payloads: &Node) {
    for payload in payloads.children().iter().filter(|payload| payload.value != Value::Absent) {
        siblings(region, [payload]);
    }
}

/// Children lie inside their parent, one after the other.
fn nested(node: &Node) {
    siblings(node.span, node.children());
    node.children().iter().for_each(nested);
}

fn siblings<'a>(parent: Span, children: impl IntoIterator<Item = &'a Node>) {
    let mut end = parent.start;
    for child in children {
        assert!(end <= child.span.start && child.span.start <= child.span.end, "{child:?}");
        end = child.span.end;
    }
    assert!(end <= parent.end, "children of {parent:?} end at {end}");
}
