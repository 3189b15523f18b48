//! Which sections make which image, and where in it they lie (choices smf.image, smf.alignment).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::sections::{Section, SectionType};
use crate::limits::SEGMENT_ALIGNMENT;

/// What may be done with a part of an image, once the module is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permissions {
    /// Read and execute: code.
    ReadExecute,
    /// Read and write: Data and Bss.
    ReadWrite,
    /// Read: RoData.
    Read,
}

/// Sizes of the two images in bytes, not rounded to pages. Sums that exceed 64 bits are held there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    code: u64,
    data: u64,
    /// Permissions of the last section in the data image.
    last: Option<Permissions>,
}

/// A section with its place in its image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(crate) section: Section,
    pub(crate) permissions: Permissions,
    /// Bytes from the start of the image that the permissions tell.
    pub(crate) start: u64,
}

impl Layout {
    /// The layout of `sections`, in table order.
    pub(crate) fn of(sections: impl Iterator<Item = Section>) -> Self {
        let mut layout = Self::default();
        for section in sections {
            layout.place(section);
        }
        layout
    }

    /// Places `section` behind those placed so far; `None` when it is not mapped.
    #[inline]
    pub(crate) fn place(&mut self, section: Section) -> Option<Placed> {
        let permissions = match section.kind()? {
            SectionType::Code => Permissions::ReadExecute,
            SectionType::Data | SectionType::Bss => Permissions::ReadWrite,
            SectionType::RoData => Permissions::Read,
            _ => return None,
        };
        let mut alignment = section.alignment.max(1);
        let end = if permissions == Permissions::ReadExecute {
            &mut self.code
        } else {
            if self.last.is_some_and(|last| last != permissions) {
                alignment = alignment.max(SEGMENT_ALIGNMENT);
            }
            self.last = Some(permissions);
            &mut self.data
        };
        let start = end.checked_next_multiple_of(alignment).unwrap_or(u64::MAX);
        *end = start.saturating_add(section.virtual_size);
        Some(Placed { section, permissions, start })
    }

    /// Size of the code image.
    #[must_use]
    pub fn code(&self) -> u64 {
        self.code
    }

    /// Size of the data image.
    #[must_use]
    pub fn data(&self) -> u64 {
        self.data
    }

    /// Size of both together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.code.saturating_add(self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: u32 = 1;
    const DATA: u32 = 2;
    const BSS: u32 = 3;
    const RODATA: u32 = 4;
    const RELOC: u32 = 6;

    fn places(sections: &[(u32, u64, u64)]) -> (Vec<u64>, Layout) {
        let mut layout = Layout::default();
        let place = |(type_code, virtual_size, alignment): &(u32, u64, u64)| {
            let (type_code, virtual_size, alignment) = (*type_code, *virtual_size, *alignment);
            layout.place(Section { type_code, virtual_size, alignment, ..Section::default() })
        };
        let starts = sections.iter().filter_map(place).map(|placed| placed.start).collect();
        (starts, layout)
    }

    #[test]
    fn sections_start_at_the_next_multiple() {
        let (starts, layout) = places(&[
            (CODE, 5, 16),
            (RELOC, 24, 1),
            (DATA, 3, 4096),
            (CODE, 1, 16),
            (BSS, 9, 8),
            (RODATA, 0, 1),
            (RODATA, 2, 2),
            (BSS, 1, 1),
        ]);
        assert_eq!(starts, [0, 0, 16, 8, 4096, 4096, 8192]);
        assert_eq!((layout.code(), layout.data(), layout.total()), (17, 8193, 8210));
    }

    #[test]
    fn sums_are_held_at_the_end() {
        let huge = u64::MAX - 1;
        assert_eq!(places(&[(CODE, huge, 1), (CODE, 5, 16)]).1.code(), u64::MAX);
        assert_eq!(places(&[(DATA, huge, 0), (RODATA, 0, 0)]).1.data(), u64::MAX);
        assert_eq!(places(&[(CODE, 1, 3), (CODE, 1, 3)]).0, [0, 3]);
    }
}
