//! What SMF vectors say of a loaded module, held against the codec's linker and against an evaluator of a few
//! lines that knows nothing but pieces, patches and little-endian numbers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use blobspec::{Format, Readings, Spec};
use harness_codec::link::link;
use harness_codec::{Verdict, decode};
use harness_generate::generate;
use harness_generate::limits::MAX_VECTOR_BYTES;
use harness_protocol::linked::{ExpectedImage, Sum, Way};
use harness_protocol::scenario::Step;
use harness_protocol::{Stage, Vector, Want};
use rstest::rstest;

struct Made {
    format: Format,
    vectors: Vec<Vector>,
}

static SMF: LazyLock<Made> = LazyLock::new(|| {
    let spec: Spec = blobspec::builtin("smf").unwrap().unwrap();
    let vectors = generate(&spec, &Readings::new()).unwrap().vectors;
    Made { format: spec.format().clone(), vectors }
});

/// Vectors that a loader must load.
fn loaded() -> impl Iterator<Item = &'static Vector> {
    let loads = |vector: &&Vector| vector.want == Want::Load && vector.expect.accepts();
    SMF.vectors.iter().filter(loads)
}

/// The largest images that are put together byte by byte here: 64 KiB.
const LARGEST: u64 = 64 << 10;

/// Where the evaluator puts the slots of the module: one for each symbol address, far from both images.
fn slot(base: u64, symbol: u64) -> u64 {
    base.wrapping_add(0x100_0000).wrapping_add((symbol & 0xffff) * 8)
}

fn evaluate(image: &ExpectedImage, bases: [u64; 2]) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(image.size).unwrap()];
    let mut put = |at: u64, new: &[u8]| {
        let at = usize::try_from(at).unwrap();
        bytes[at..at + new.len()].copy_from_slice(new);
    };
    let number = |sum: &Sum| {
        let base = |name: &String| match name.as_str() {
            "code" => bases[0],
            "data" => bases[1],
            other => panic!("no image {other}"),
        };
        let plus = sum.plus.iter().fold(sum.constant, |sum, name| sum.wrapping_add(base(name)));
        sum.minus.iter().fold(plus, |sum, name| sum.wrapping_sub(base(name)))
    };
    for piece in &image.pieces {
        put(piece.at, &piece.bytes.0);
    }
    for patch in &image.patches {
        let symbol = number(&patch.symbol);
        let target = if patch.way == Way::Slot { slot(bases[0], symbol) } else { symbol };
        let value = target.wrapping_add(number(&patch.rest));
        put(patch.at, &value.to_le_bytes()[..usize::from(patch.width)]);
    }
    bytes
}

/// The document's formulas: nothing but Abs64 has an A without a P.
#[rstest]
#[case::near([0x1_0000_0000, 0x1_0010_0000])]
#[case::far([0x6000_0000_0000, 0x5fff_fff0_0000])]
fn predicted_images_are_those_of_the_linker(#[case] bases: [u64; 2]) {
    let mut compared = 0;
    for vector in loaded().filter(|v| v.expect.images.iter().all(|image| image.size <= LARGEST)) {
        let file = &vector.bytes.0;
        let linked = link(&SMF.format, &decode(&SMF.format, file).model, file).unwrap();
        let imports = |name: &str| vector.imports.get(name).copied();
        let address = |symbol: usize| linked.address(symbol, imports).unwrap().at(&bases);
        let slots = |symbol: usize| slot(bases[0], address(symbol));
        // A call that reaches only through a stub has no bytes that follow from the formula.
        let Ok(images) = linked.relocated(&SMF.format, file, &bases, imports, slots) else {
            assert!(vector.expect.stages.contains(&Stage::Unresolvable), "{}", vector.id);
            continue;
        };
        let predicted: Vec<Vec<u8>> =
            vector.expect.images.iter().map(|image| evaluate(image, bases)).collect();
        assert!(images.unwrap() == predicted, "{}", vector.id);
        compared += 1;
    }
    assert!(compared > 100, "only {compared} of the vectors were compared");
}

/// Every kind of relocation to every kind of target, and at the first and last place, at both bases.
#[rstest]
fn every_relocation_is_loaded(
    #[values("none", "abs64", "pc32", "plt32", "gotpcrel")] kind: &str,
    #[values("low", "high")] base: &str,
) {
    let has = |what: &str| {
        let id = format!("smf/loading/{kind}/{what}/x86_64/{base}");
        SMF.vectors.iter().find(|vector| vector.id == id).map(|vector| &vector.expect)
    };
    for target in ["to-before", "to-after", "to-weak", "to-data", "to-zeros", "to-constant"] {
        assert!(has(target).is_some_and(|expect| expect.accepts()), "{kind} {target}");
    }
    for place in ["at-first", "at-unaligned", "at-last"] {
        assert!(has(place).is_some_and(|expect| expect.accepts()), "{kind} {place}");
    }
    if kind == "none" {
        let undefined = has("import-undefined").unwrap();
        return assert_eq!(undefined.stages, [Stage::Loaded], "None resolves nothing");
    }
    assert_eq!(has("import-undefined").unwrap().rule.as_deref(), Some("SMF-IMPORT"));
    if kind == "abs64" {
        assert!(has("import-high").unwrap().accepts());
        assert!(has("weak-import-undefined").unwrap().accepts());
    }
    if matches!(kind, "pc32" | "plt32") {
        for end in ["highest", "lowest"] {
            assert!(has(&format!("value-{end}")).unwrap().accepts(), "{kind} {end}");
            let past = has(&format!("value-past-{end}")).unwrap();
            assert_eq!(past.rule.as_deref(), Some("SMF-RELOC-RANGE"), "{kind} {end}");
        }
    }
}

/// Something is written at the very first byte of an image and at the very last.
#[test]
fn the_first_and_the_last_byte_are_relocated() {
    for kind in ["abs64", "pc32", "plt32", "gotpcrel"] {
        let patches = loaded().flat_map(|v| {
            v.expect.images.iter().flat_map(|image| image.patches.iter().map(|p| (image.size, p)))
        });
        let places: Vec<(u64, u64, u64)> = patches
            .filter(|(_, patch)| patch.relocation == kind)
            .map(|(size, patch)| (size, patch.at, u64::from(patch.width)))
            .collect();
        assert!(places.iter().any(|(_, at, _)| *at == 0), "{kind}");
        assert!(places.iter().any(|(size, at, width)| at + width == *size), "{kind}");
        assert!(places.iter().any(|(_, at, width)| at % width != 0), "{kind}");
    }
}

#[test]
fn scenarios_carry_modules_that_are_right_unless_their_step_says_otherwise() {
    let mut modules = 0;
    for vector in SMF.vectors.iter().filter(|vector| vector.want == Want::Scenario) {
        let text = serde_json::to_string(vector).unwrap();
        assert_eq!(&serde_json::from_str::<Vector>(&text).unwrap(), vector);
        for step in &vector.steps {
            let (Step::Load { bytes: Some(bytes), .. } | Step::Reload { bytes: Some(bytes), .. }) =
                &step.step
            else {
                continue;
            };
            let valid = decode(&SMF.format, &bytes.0).verdict == Verdict::Valid;
            let malformed = step.expect.stages.contains(&Stage::Malformed);
            assert_eq!(valid, !malformed, "{}", vector.id);
            modules += 1;
        }
    }
    assert!(modules > 20, "{modules}");
}

/// Handles are given before they are used, and every kind of step is there.
#[test]
fn scenarios_use_what_they_loaded() {
    let mut kinds = BTreeSet::new();
    for vector in SMF.vectors.iter().filter(|vector| vector.want == Want::Scenario) {
        let mut known: BTreeSet<&str> = BTreeSet::new();
        for step in &vector.steps {
            let expect = &step.expect;
            let named = expect.same_as.iter().chain(&expect.other_than);
            let named = named.chain(expect.address.iter().map(|address| &address.handle));
            for handle in named {
                assert!(known.contains(handle.as_str()), "{}: {handle}", vector.id);
            }
            kinds.insert(match &step.step {
                Step::Load { handle, .. } | Step::Reload { handle, .. } => {
                    known.insert(handle);
                    "load"
                }
                Step::Call { handle, .. } | Step::Find { handle, .. } => {
                    assert!(known.contains(handle.as_str()), "{}: {handle}", vector.id);
                    "use"
                }
                Step::Unload { .. } => "unload",
                Step::Resolve { .. } => "resolve",
                Step::Release { .. } => "release",
            });
        }
    }
    let expected = ["load", "unload", "resolve", "use"];
    assert!(expected.iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
}

#[test]
fn no_vector_is_over_the_cap() {
    for vector in &SMF.vectors {
        let steps = vector.steps.iter().filter_map(|step| match &step.step {
            Step::Load { bytes, .. } | Step::Reload { bytes, .. } => bytes.as_ref(),
            _ => None,
        });
        for bytes in steps.chain([&vector.bytes]) {
            assert!(bytes.0.len() <= MAX_VECTOR_BYTES, "{}", vector.id);
        }
    }
}

/// Permissions start at pages, and each differs from the one before.
#[test]
fn segments_are_pages_of_their_own() {
    let mut several = 0;
    for image in loaded().flat_map(|vector| &vector.expect.images) {
        let starts: Vec<u64> = image.segments.iter().map(|segment| segment.at).collect();
        assert!(starts.is_sorted_by(|a, b| a < b) && starts.iter().all(|at| at % 4096 == 0));
        assert!(image.segments.windows(2).all(|two| two[0].permissions != two[1].permissions));
        assert_eq!(starts.is_empty(), image.size == 0, "{image:?}");
        several += usize::from(starts.len() > 1);
    }
    assert!(several > 10, "{several}");
}
