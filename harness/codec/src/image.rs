//! Where the sections of an image come to lie in memory.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use blobspec::format::{IMAGE_PAGE, Image, ImageSource, Sections};

use crate::evaluate::Context;
use crate::model::{Node, Span};

/// An image as its file says it is, before anything is relocated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageLayout {
    /// Name of the image.
    pub name: String,
    /// Bytes that belong to it; [`u64::MAX`] where the sum is larger.
    pub size: u64,
    /// Its sections in the order of their addresses.
    pub sections: Vec<PlacedSection>,
}

/// A section in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedSection {
    /// Position in the table; 0 for an image that is one region.
    pub index: usize,
    /// File offset of its record, or of the region.
    pub offset: u64,
    /// Offset in the image.
    pub at: u64,
    /// Bytes in memory.
    pub size: u64,
    /// Bytes in the file.
    pub bytes: Span,
    /// `r`, `rw` or `rx`.
    pub permissions: String,
}

/// Bytes of every image.
pub(crate) fn sizes(context: &Context<'_>) -> Vec<u64> {
    layouts(context).into_iter().map(|layout| layout.size).collect()
}

/// Every image. Sizes and places saturate: what does not fit in 64 bits breaks a rule about sizes.
pub(crate) fn layouts(context: &Context<'_>) -> Vec<ImageLayout> {
    context.format.images.iter().map(|image| layout(context, image)).collect()
}

fn layout(context: &Context<'_>, image: &Image) -> ImageLayout {
    let sections = match &image.source {
        ImageSource::Region(region) => {
            let span = context.model.regions.get(*region).map(|region| region.node.span);
            let span = span.unwrap_or_default();
            let size = u64::try_from(span.range().len()).unwrap_or(u64::MAX);
            let permissions = image.permissions.clone();
            let offset = span.offset();
            vec![PlacedSection { index: 0, offset, at: 0, size, bytes: span, permissions }]
        }
        ImageSource::Sections(sections) => placed(context, image, sections),
    };
    let size = sections.iter().map(|section| section.at.saturating_add(section.size)).max();
    ImageLayout { name: image.name.clone(), size: size.unwrap_or(0), sections }
}

fn placed(context: &Context<'_>, image: &Image, sections: &Sections) -> Vec<PlacedSection> {
    let mut placed: Vec<PlacedSection> = Vec::new();
    let mut end = 0_u64;
    let table = context.elements(sections.table).iter().enumerate();
    for (index, element) in table.filter(|(_, e)| context.holds(&sections.filter, &[*e])) {
        let bytes = context.elements(sections.contents).get(index).map(|node| node.span);
        let bytes = bytes.unwrap_or_default();
        let number = |path: &Option<Vec<usize>>| {
            path.as_ref().and_then(|path| element.at(path)).and_then(Node::number)
        };
        let exception = sections.exceptions.iter().find(|(c, _)| context.holds(c, &[element]));
        let permissions = exception.map_or(&image.permissions, |(_, permissions)| permissions);
        let mut align = number(&sections.align).unwrap_or(1).max(1);
        if placed.last().is_some_and(|last| last.permissions != *permissions) {
            align = align.max(IMAGE_PAGE);
        }
        let at = end.checked_next_multiple_of(align).unwrap_or(u64::MAX);
        let in_file = u64::try_from(bytes.range().len()).unwrap_or(u64::MAX);
        let size = number(&sections.virtual_size).unwrap_or(in_file);
        end = at.saturating_add(size);
        let (offset, permissions) = (element.span.offset(), permissions.clone());
        placed.push(PlacedSection { index, offset, at, size, bytes, permissions });
    }
    placed
}
