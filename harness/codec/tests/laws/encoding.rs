//! Laws of encoding: what was decoded is written again, byte for byte.

use harness_codec::{Draft, Verdict, decode, encode};
use proptest::prelude::*;

use crate::decoding::mutated;
use crate::{SPECIMENS, Specimen};

/// A pinned draft gives the file back, a relaxed one of a valid file does so, too.
fn check(specimen: &Specimen, file: &[u8]) {
    let format = &specimen.format;
    let decoded = decode(format, file);
    let Some(pinned) = Draft::pinned(format, &decoded.model, file) else { return };
    let again = encode(format, &pinned).unwrap_or_else(|error| panic!("{error}"));
    assert!(
        again.bytes == file,
        "{} {:?}\n{file:02x?}\n{:02x?}",
        format.id,
        decoded.violations,
        again.bytes
    );
    if decoded.verdict == Verdict::Valid {
        let relaxed =
            encode(format, &pinned.relaxed(format)).unwrap_or_else(|error| panic!("{error}"));
        assert!(relaxed.bytes == file, "{}\n{file:02x?}\n{:02x?}", format.id, relaxed.bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn mutated_files_are_written_as_they_were((specimen, file) in mutated()) {
        check(specimen, &file);
    }
}

#[test]
fn every_vector_is_written_as_it_was() {
    for specimen in SPECIMENS.iter() {
        let (mut decoded, mut valid) = (0, 0);
        for file in &specimen.files {
            check(specimen, file);
            let verdict = decode(&specimen.format, file);
            decoded += usize::from(verdict.model.regions.len() == specimen.format.regions.len());
            valid += usize::from(verdict.verdict == Verdict::Valid);
        }
        // The law is not an empty one.
        assert!(
            decoded > 20 && valid > 10,
            "{}: {decoded} decode, {valid} are valid",
            specimen.format.id
        );
    }
}

/// The container's header with tables in another order than the encoder's, and bytes between them.
#[test]
fn tables_may_lie_anywhere() {
    let specimen = SPECIMENS.iter().find(|s| s.format.id == "container").unwrap();
    let format = &specimen.format;
    let region = |name: &str| format.region(name).unwrap();
    let rich = specimen.files.iter().map(|file| (file, decode(format, file))).find(|(_, d)| {
        d.verdict == Verdict::Valid
            && !d.model.regions[region("sections")].node.children().is_empty()
    });
    let (file, decoded) = rich.unwrap();
    let mut draft = Draft::pinned(format, &decoded.model, file).unwrap().relaxed(format);
    assert!(
        draft.regions.iter().all(|region| region.at.is_none()),
        "the encoder's own layout is not pinned"
    );
    // The contents go first, sections and relocations after them with a gap, the rest follows.
    draft.regions[region("contents")].at = Some(80);
    draft.regions[region("sections")].at = Some(4104);
    draft.regions[region("relocations")].at = Some(8192);
    draft.regions[region("symbols")].at = Some(16_384);
    draft.gaps.push(harness_codec::Gap { at: 8000, bytes: b"between the tables".to_vec() });
    let moved = encode(format, &draft).unwrap().bytes;
    assert_eq!(decode(format, &moved).verdict, Verdict::Valid);
    assert_eq!(&moved[8000..8018], b"between the tables");
    check(specimen, &moved);
}
