//! Rules of the section table and of what it leads to.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use std::iter::once;

use super::overlap::{self, Stretch};
use super::{Findings, fits};
use crate::cursor::wide;
use crate::limits::MAX_ALIGNMENT;
use crate::smf::error::Error;
use crate::smf::file::File;
use crate::smf::header;
use crate::smf::layout::Layout;
use crate::smf::quota::Quota;
use crate::smf::rule::Rule;
use crate::smf::sections::{Section, SectionType};

pub(super) fn check(
    file: &File<'_>,
    quota: &dyn Quota,
    findings: &mut Findings,
) -> Result<(), Error> {
    let table = file.sections();
    let apart = table.is_empty() || table.start() >= wide(header::SIZE);
    findings.require(apart, Rule::SectionTablePlace, table.start());
    for section in table.iter() {
        memory(&section, findings);
    }
    if findings.before(Rule::SectionOverlap) {
        return Ok(());
    }
    let header = Stretch { start: 0, end: wide(header::SIZE), record: 0 };
    let bytes = table.iter().filter_map(|section| {
        let (start, end) = section.extent()?;
        Some(Stretch { start, end, record: section.record })
    });
    overlap::find(once(header).chain(bytes), quota, |stretch| {
        findings.report(Rule::SectionOverlap, stretch.start);
    })
}

/// Rules of a section that is mapped.
fn memory(section: &Section, findings: &mut Findings) {
    match section.kind() {
        Some(SectionType::Code | SectionType::Data | SectionType::RoData) => {
            let inside = section.size <= section.virtual_size;
            findings.require(inside, Rule::SectionVirtualSize, section.virtual_size_at());
        }
        Some(SectionType::Bss) => {}
        _ => return,
    }
    let (alignment, at) = (section.alignment, section.alignment_at());
    let known = (1..=MAX_ALIGNMENT).contains(&alignment);
    findings.require(known, Rule::SectionAlignRange, at);
    findings.require(alignment.is_power_of_two(), Rule::SectionAlignPower, at);
}

/// The first section record, in table order, up to which both images exceed `max` bytes together.
pub(super) fn first_beyond(file: &File<'_>, max: u64) -> Option<u64> {
    let mut layout = Layout::default();
    let beyond = |section: &Section| {
        layout.place(*section).is_some() && !fits(layout.code(), layout.data(), max)
    };
    file.sections().iter().find(beyond).map(|section| section.record)
}
