//! Sections that all hold the same bytes: each record is looked at once, and the answer stays the same.

use harness_codec::{Draft, decode, model_json};

use crate::{CODE, RELOC, Section, contents_at, file, relocation, reported, smf};

/// So many Reloc sections from `start` on, each over all of `records` from its own place.
fn overlapping(sections: u64, step: u64, records: &[u8]) -> Vec<u8> {
    let at = contents_at(sections);
    let size = records.len() as u64;
    let section = |index: u64| {
        let from = (index * step) % size;
        let length = (size - from) / 24 * 24;
        (RELOC, at + from, length, 0, 0)
    };
    let sections: Vec<Section> = (0..sections).map(section).collect();
    file(&sections, records, &[])
}

#[test]
fn sections_that_share_bytes_overlap() {
    let records = vec![0; 240];
    let bytes = overlapping(100, 0, &records);
    assert_eq!(reported(&bytes), Some(("SMF-SECTION-OVERLAP".to_owned(), contents_at(100))));
    let decoded = decode(&smf(), &bytes);
    assert!(Draft::pinned(&smf(), &decoded.model, &bytes).is_none());
    assert!(model_json(&smf(), &decoded.model, &bytes)["contents"].is_null());
}

/// The only record of an unknown type, seen by the last section alone.
#[test]
fn a_record_that_only_a_late_section_has_is_looked_at() {
    let mut records = vec![0; 24 * 40 + 8];
    let late = 24 * 20 + 5; // no section before starts at such a place
    records[late + 12] = 9;
    let mut sections: Vec<Section> = Vec::new();
    let at = contents_at(61);
    for _ in 0..60 {
        sections.push((RELOC, at, 24 * 12, 0, 0));
    }
    let tail = (RELOC, at + 5, 24 * 40, 0, 0);
    sections.push((CODE, at, 0, 0, 1));
    let clean = file(&sections, &records, &[]);
    assert_eq!(reported(&clean).unwrap().0, "SMF-SECTION-OVERLAP");
    *sections.last_mut().unwrap() = tail;
    let found = reported(&file(&sections, &records, &[]));
    assert_eq!(found, Some(("SMF-RELOC-TYPE".to_owned(), at + late as u64 + 12)));
}

/// Of two bad records the one that the table meets first, although it lies behind the other.
#[test]
fn the_order_of_the_table_holds_past_the_cap_too() {
    let mut records = relocation((0, 0, 0, 0)).repeat(40);
    records[24 * 12 + 12] = 9;
    records[24 * 30 + 12] = 9;
    let at = contents_at(62);
    let mut sections: Vec<Section> = vec![(RELOC, at, 24 * 12, 0, 0); 60];
    sections.push((RELOC, at + 24 * 28, 24 * 12, 0, 0));
    sections.push((RELOC, at, 24 * 28, 0, 0));
    let found = reported(&file(&sections, &records, &[]));
    assert_eq!(found, Some(("SMF-RELOC-TYPE".to_owned(), at + 24 * 30 + 12)));
    sections.swap(60, 61);
    let found = reported(&file(&sections, &records, &[]));
    assert_eq!(found, Some(("SMF-RELOC-TYPE".to_owned(), at + 24 * 12 + 12)));
}
