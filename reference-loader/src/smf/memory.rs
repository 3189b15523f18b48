//! The images of a module in memory: one reservation, in which code, stubs, data and slots lie apart from
//! each other, with pages between them that cannot be accessed.

use std::io;
use std::ops::Range;

use super::error::Error;
use super::file::File;
use super::layout::Permissions;
use super::link::{Linkage, Places, copy, fill_code};
use super::quota::{Demand, Quota};
use crate::sys::pages::{Pages, Protection, page_size};

/// Where the parts lie, in bytes from the start of the reservation.
#[derive(Debug)]
struct Plan {
    code: Range<usize>,
    stubs: Range<usize>,
    data: Range<usize>,
    slots: Range<usize>,
    /// Size of the reservation.
    length: usize,
}

impl Plan {
    /// A plan for parts of these sizes; a part of no bytes takes no room. `None` when the sum exceeds the
    /// address space.
    fn of(code: usize, stubs: usize, data: usize, slots: usize, page: usize) -> Option<Self> {
        let mut next = page;
        let mut part = |size: usize| {
            let start = next;
            if size > 0 {
                next =
                    start.checked_add(size)?.checked_next_multiple_of(page)?.checked_add(page)?;
            }
            Some(start..start.checked_add(size)?)
        };
        let (code, stubs, data, slots) = (part(code)?, part(stubs)?, part(data)?, part(slots)?);
        Some(Self { code, stubs, data, slots, length: next })
    }
}

/// The mapped images. Without any bytes to map there is no mapping.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Keeps the mapping.
    _pages: Option<Pages>,
    places: Places,
}

impl Memory {
    /// Maps and relocates the images of `file`, with the lowest at `base` if that is given and free.
    pub(crate) fn map(
        file: &File<'_>,
        linkage: &Linkage,
        base: Option<u64>,
        quota: &dyn Quota,
    ) -> Result<Self, Error> {
        let layout = file.layout();
        if layout.total() == 0 {
            return Ok(Self { _pages: None, places: Places::default() });
        }
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let (code, data) = (size(layout.code()), size(layout.data()));
        let page = page_size();
        let plan = Plan::of(code, linkage.stub_bytes(), data, linkage.slot_bytes(), page);
        let too_large = || refused(usize::MAX, io::ErrorKind::OutOfMemory.into());
        let plan = plan.ok_or_else(too_large)?;
        let base = base.and_then(|base| usize::try_from(base).ok()?.checked_sub(page));
        let pages =
            granted(quota, Demand::Reserve { bytes: plan.length }, plan.length).and_then(|()| {
                Pages::reserve(plan.length, base).map_err(|e| refused(plan.length, e))
            })?;
        let mut mapper = Mapper { file, plan, pages, quota };
        mapper.map_data()?;
        let places = mapper.map_code(linkage)?;
        Ok(Self { _pages: Some(mapper.pages), places })
    }

    /// Where the parts lie.
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }
}

/// What one load has at hand.
struct Mapper<'a> {
    file: &'a File<'a>,
    plan: Plan,
    pages: Pages,
    quota: &'a dyn Quota,
}

impl Mapper<'_> {
    /// Fills the data image, segment by segment. Pages without bytes in the file are not touched.
    fn map_data(&mut self) -> Result<(), Error> {
        let file = self.file;
        let data = file.placed().filter(|placed| placed.permissions != Permissions::ReadExecute);
        let mut data = data.peekable();
        while let Some(first) = data.peek().copied() {
            let permissions = first.permissions;
            let segment = data.clone().take_while(|placed| placed.permissions == permissions);
            let mut end = first.start;
            while let Some(placed) = data.next_if(|placed| placed.permissions == permissions) {
                end = placed.start.saturating_add(placed.section.virtual_size);
            }
            let range = self.within(&self.plan.data, first.start, end);
            if let Some(bytes) = self.writable(range.clone(), false)? {
                for placed in segment {
                    let start = placed.start.saturating_sub(first.start);
                    copy(file.contents(&placed.section), bytes, start);
                }
                if permissions == Permissions::Read {
                    self.protect(range, Protection::Read)?;
                }
            }
        }
        Ok(())
    }

    /// Fills the code image, the stubs and the slots.
    fn map_code(&mut self, linkage: &Linkage) -> Result<Places, Error> {
        let (file, quota, places) = (self.file, self.quota, self.places());
        let code = self.plan.code.clone();
        let mostly_bytes = code_bytes(file) >= code.len() / 2;
        let Some(bytes) = self.writable(code.clone(), mostly_bytes)? else { return Ok(places) };
        fill_code(file, bytes);
        let (slots, stubs) = linkage.apply(file, &places, bytes, quota)?;
        self.protect(code, Protection::ReadExecute)?;
        self.publish(self.plan.slots.clone(), &slots, Protection::Read)?;
        self.publish(self.plan.stubs.clone(), &stubs, Protection::ReadExecute)?;
        Ok(places)
    }

    /// Copies `bytes`, if there are any, to `range`.
    fn publish(
        &mut self,
        range: Range<usize>,
        bytes: &[u8],
        protection: Protection,
    ) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        if let Some(memory) = self.writable(range.clone(), true)? {
            copy(bytes, memory, 0);
            self.protect(range, protection)?;
        }
        Ok(())
    }

    /// Where the parts lie. An image without bytes is at 0.
    fn places(&self) -> Places {
        let start = self.pages.address();
        let address = |part: &Range<usize>| {
            let address = if part.is_empty() { 0 } else { start.saturating_add(part.start) };
            u64::try_from(address).unwrap_or(u64::MAX)
        };
        let Plan { code, stubs, data, slots, .. } = &self.plan;
        let (code, data) = (address(code), address(data));
        Places { code, data, slots: address(slots), stubs: address(stubs) }
    }

    /// The bytes `start..end` of `part`, from the start of the reservation.
    fn within(&self, part: &Range<usize>, start: u64, end: u64) -> Range<usize> {
        let at = |offset: u64| {
            part.start.saturating_add(usize::try_from(offset).unwrap_or(usize::MAX)).min(part.end)
        };
        at(start)..at(end)
    }

    /// The bytes of `range`, to be filled; `None` if there are none. `all` says that most will be.
    fn writable(&mut self, range: Range<usize>, all: bool) -> Result<Option<&mut [u8]>, Error> {
        let bytes = range.len();
        if bytes == 0 {
            return Ok(None);
        }
        granted(self.quota, Demand::Protect { bytes }, bytes)?;
        let refusal = |error| refused(bytes, error);
        if all {
            self.pages.writable(range.clone()).map_err(refusal)?;
            self.pages.populate(&range);
        }
        self.pages.writable(range).map(Some).map_err(refusal)
    }

    fn protect(&mut self, range: Range<usize>, protection: Protection) -> Result<(), Error> {
        let bytes = range.len();
        granted(self.quota, Demand::Protect { bytes }, bytes)?;
        self.pages.protect(range, protection).map_err(|error| refused(bytes, error))
    }
}

/// Bytes of the code image that come from the file.
fn code_bytes(file: &File<'_>) -> usize {
    let code = file.placed().filter(|placed| placed.permissions == Permissions::ReadExecute);
    code.fold(0, |sum, placed| sum.saturating_add(file.contents(&placed.section).len()))
}

fn granted(quota: &dyn Quota, demand: Demand, bytes: usize) -> Result<(), Error> {
    let refusal = || refused(bytes, io::ErrorKind::OutOfMemory.into());
    if quota.grant(demand) { Ok(()) } else { Err(refusal()) }
}

fn refused(bytes: usize, source: io::Error) -> Error {
    Error::Unmappable { bytes, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_apart() {
        let plan = Plan::of(5000, 16, 4096, 8, 4096).unwrap();
        assert_eq!((plan.code, plan.stubs), (4096..9096, 16384..16400));
        assert_eq!((plan.data, plan.slots, plan.length), (24576..28672, 32768..32776, 40960));
    }

    #[test]
    fn the_first_part_that_there_is_comes_after_one_page() {
        let plan = Plan::of(0, 0, 1, 0, 4096).unwrap();
        assert_eq!((plan.code, plan.data, plan.length), (4096..4096, 4096..4097, 12288));
        assert!(Plan::of(usize::MAX - 4096, 0, 0, 0, 4096).is_none());
    }
}
