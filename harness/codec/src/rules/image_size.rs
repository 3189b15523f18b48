//! `image-size`: the images of a file are not too large.

use blobspec::format::{Format, ImageSource};

use super::workbench::distinct;
use super::{Proposal, Sink, Workbench};
use crate::draft::Site;
use crate::evaluate::Context;

pub(super) fn check(context: &Context<'_>, images: &[usize], max: u64, sink: &mut Sink) {
    sink.exercise();
    let layouts = crate::image::layouts(context);
    let mut sections: Vec<(usize, usize, u64, u64)> = images
        .iter()
        .filter_map(|image| layouts.get(*image).map(|layout| (*image, layout)))
        .flat_map(|(image, layout)| {
            let end = |s: &crate::image::PlacedSection| s.at.saturating_add(s.size);
            layout.sections.iter().map(move |s| (s.index, image, end(s), s.offset))
        })
        .collect();
    sections.sort_unstable();
    let mut ends = std::collections::BTreeMap::new();
    for (_, image, end, offset) in sections {
        ends.insert(image, end);
        let total = ends.values().fold(0_u64, |sum, end| sum.saturating_add(*end));
        if total > max {
            sink.report(offset, || format!("the images take {total} bytes, {max} are allowed"));
            return;
        }
    }
}

/// Sections of the largest size that is allowed, one byte more, and so large that sums wrap.
pub(super) fn propose(bench: &Workbench<'_>, images: &[usize], max: u64) -> Vec<Proposal> {
    let context = Context::new(bench.format, bench.file, bench.model);
    let layouts = crate::image::layouts(&context);
    let total = images.iter().filter_map(|image| layouts.get(*image)).map(|l| l.size).sum::<u64>();
    let mut proposals = Vec::new();
    for &image in images {
        let Some((table, path)) = virtual_size(bench.format, image) else { continue };
        let Some(last) = layouts.get(image).and_then(|layout| layout.sections.last()) else {
            continue;
        };
        let rest = max.saturating_sub(total).saturating_add(last.size);
        let steps = std::iter::once(last.index).chain(path.iter().copied()).collect();
        let site = Site { region: table, steps };
        let values = [
            ("total-max", Some(rest)),
            ("total-past-max", rest.checked_add(1)),
            ("total-twice-max", max.checked_mul(2)),
            ("total-4-gib", Some(1 << 32)),
            ("total-wraps-to-0", Some(0_u64.wrapping_sub(last.at))),
            ("total-half", Some(1 << 63)),
            ("total-largest", Some(u64::MAX)),
        ];
        for (name, value) in distinct(values, u64::MAX) {
            let twin = (name == "total-past-max").then(|| bench.name(&site, "total-max"));
            proposals.extend(bench.set(&site, name, value).map(|p| p.beside(twin)));
        }
    }
    proposals
}

/// The table and the field that says how many bytes a section of the image takes.
fn virtual_size(format: &Format, image: usize) -> Option<(usize, &[usize])> {
    match &format.images.get(image)?.source {
        ImageSource::Sections(sections) => {
            Some((sections.table, sections.virtual_size.as_deref()?))
        }
        ImageSource::Region(_) => None,
    }
}
