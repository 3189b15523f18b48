//! Where images come to lie, and the segments that they are made of.

use blobspec::format::ImageSource;
use harness_codec::link::ImageLayout;

use super::reading::Reading;
use super::{ModuleError, Origin};
use crate::limits::{MAX_IMAGE, PAGE};
use crate::{Architecture, Permissions, Segment};

/// The images of a module with their bases.
pub(super) struct Placement {
    pub(super) images: Vec<ImageLayout>,
    /// The base of each image; of an empty one, of the next.
    pub(super) bases: Vec<u64>,
    /// First page after the last image and its guard page.
    pub(super) after: u64,
}

impl Placement {
    /// Places the images from `base` on, each on pages of its own with an unmapped page after it. They stay within
    /// [`MAX_IMAGE`] of each other, so that 32-bit distances always reach.
    pub(super) fn new(
        images: Vec<ImageLayout>,
        architecture: Architecture,
        base: u64,
    ) -> Result<Self, ModuleError> {
        let refuse = |why| ModuleError::Base { base, why };
        if base == 0 || !base.is_multiple_of(PAGE) {
            return Err(refuse("it is not the start of a page above the first"));
        }
        let total = images.iter().fold(0_u64, |sum, image| sum.saturating_add(image.size));
        if total > MAX_IMAGE {
            return Err(ModuleError::Unsupported(format!(
                "its images have {total} bytes, at most {MAX_IMAGE} are run"
            )));
        }
        let mut after = base;
        let mut bases = Vec::new();
        for image in &images {
            bases.push(after);
            let pages = if image.size == 0 { 0 } else { image.size.next_multiple_of(PAGE) + PAGE };
            after = after.checked_add(pages).ok_or(refuse("it would not end"))?;
        }
        if architecture.pointer_size() == 4 && after.saturating_add(PAGE) > 1 << 32 {
            return Err(refuse("addresses have 32 bits"));
        }
        Ok(Self { images, bases, after })
    }

    /// The memory of the images as the file gives it, before relocation.
    pub(super) fn segments(&self, file: &[u8]) -> Result<Vec<Segment>, ModuleError> {
        let mut segments = Vec::new();
        for (image, base) in self.images.iter().zip(&self.bases) {
            segments.extend(segments_of(image, *base, file)?);
        }
        Ok(segments)
    }

    /// Which section, or region, each stretch of memory is from.
    pub(super) fn origins(&self, reading: &Reading<'_>) -> Vec<Origin> {
        let mut origins = Vec::new();
        for ((image, base), spec) in self.images.iter().zip(&self.bases).zip(&reading.format.images)
        {
            origins.extend(image.sections.iter().filter(|section| section.size > 0).map(
                |section| Origin {
                    address: base.wrapping_add(section.at),
                    size: section.size,
                    field: match &spec.source {
                        ImageSource::Region(region) => reading.path(*region, Vec::new()),
                        ImageSource::Sections(of) => reading.path(of.table, vec![section.index]),
                    },
                    offset: section.offset,
                    what: format!("image {}", image.name),
                    symbol: None,
                },
            ));
        }
        origins
    }
}

/// The segments of an image: sections that follow each other with the same permissions are one.
fn segments_of(image: &ImageLayout, base: u64, file: &[u8]) -> Result<Vec<Segment>, ModuleError> {
    let mut segments: Vec<Segment> = Vec::new();
    for section in image.sections.iter().filter(|section| section.size > 0) {
        let permissions = permissions(&section.permissions)?;
        let address = base.wrapping_add(section.at);
        if segments.last().is_none_or(|last| last.permissions != permissions) {
            let name = match segments.len() {
                0 => image.name.clone(),
                before => format!("{}.{}", image.name, before + 1),
            };
            segments.push(Segment { name, address, bytes: Vec::new(), size: 0, permissions });
        }
        let Some(segment) = segments.last_mut() else { continue };
        let at = address.wrapping_sub(segment.address);
        segment.size = at.saturating_add(section.size);
        let bytes = section.bytes.of(file);
        let known = bytes.len().min(usize::try_from(section.size).unwrap_or(usize::MAX));
        if known > 0 {
            segment.bytes.resize(usize::try_from(at).unwrap_or(usize::MAX), 0);
            segment.bytes.extend_from_slice(bytes.get(..known).unwrap_or_default());
        }
    }
    Ok(segments)
}

fn permissions(name: &str) -> Result<Permissions, ModuleError> {
    [Permissions::R, Permissions::Rw, Permissions::Rx]
        .into_iter()
        .find(|known| known.name() == name)
        .ok_or_else(|| ModuleError::Unsupported(format!("memory is never mapped `{name}` here")))
}

/// Bytes that a relocation writes.
pub(super) struct Write {
    pub(super) address: u64,
    pub(super) value: u64,
    /// How many of the value's bytes are written, from the low end.
    pub(super) width: usize,
}

/// Writes what relocations write; it lies inside an image, as the rules of the formats demand.
pub(super) fn apply(segments: &mut [Segment], writes: &[Write]) {
    for write in writes {
        let bytes = write.value.to_le_bytes().into_iter().take(write.width);
        for (address, byte) in (write.address..).zip(bytes) {
            let inside = |segment: &&mut Segment| {
                address.checked_sub(segment.address).is_some_and(|offset| offset < segment.size)
            };
            let Some(segment) = segments.iter_mut().find(inside) else { continue };
            let Ok(offset) = usize::try_from(address - segment.address) else { continue };
            if segment.bytes.len() <= offset {
                segment.bytes.resize(offset + 1, 0);
            }
            segment.bytes[offset] = byte;
        }
    }
}
