//! Address space of a module's own, and pages in it that are filled and then protected.
#![expect(unsafe_code, reason = "maps, protects and unmaps memory")]

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, mprotect, munmap};

/// Bytes of a page.
pub(crate) fn page_size() -> usize {
    rustix::param::page_size()
}

/// What may be done with pages once they are filled. Nothing is ever writable and executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    Read,
    ReadExecute,
}

/// A reservation of address space. Its pages cannot be accessed until they are made
/// [writable](Pages::writable); dropping it unmaps all of it.
#[derive(Debug)]
pub(crate) struct Pages {
    start: NonNull<c_void>,
    length: NonZeroUsize,
}

// SAFETY: the address space belongs to the process, not to a thread, and nothing of `Pages` is tied to the
// thread that made it.
unsafe impl Send for Pages {}

// SAFETY: through a shared reference only addresses can be asked for.
unsafe impl Sync for Pages {}

impl Pages {
    /// Reserves `length` bytes, at `wish` if that is given and free, else wherever there is room.
    ///
    /// # Errors
    /// When the system has no such address space to give.
    pub(crate) fn reserve(length: usize, wish: Option<usize>) -> io::Result<Self> {
        let nothing = || io::Error::from(io::ErrorKind::InvalidInput);
        let length = NonZeroUsize::new(length).ok_or_else(nothing)?;
        let wished = wish
            .and_then(NonZeroUsize::new)
            .and_then(|wish| map(Some(wish), length, MapFlags::MAP_FIXED_NOREPLACE).ok());
        let start = wished.map_or_else(|| map(None, length, MapFlags::empty()), Ok)?;
        Ok(Self { start, length })
    }

    /// Address of the first page, exposed: code may use it.
    pub(crate) fn address(&self) -> usize {
        self.start.as_ptr().expose_provenance()
    }

    /// Makes `range` (bytes from the start; it begins with a page) writable. Before that it cannot be
    /// accessed and holds zeros; [`protect`](Pages::protect) says what comes after.
    ///
    /// # Errors
    /// When the range does not lie in the reservation, or the system refuses.
    pub(crate) fn writable(&mut self, range: Range<usize>) -> io::Result<&mut [u8]> {
        let length = range.len();
        let first = self.change(range, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE)?;
        // SAFETY: `change` found the bytes of `range` in the reservation, one mapping, and made their pages
        // readable and writable; the system initialised them with zeros. The borrow of `self` keeps every
        // other access, and every further change, away.
        Ok(unsafe { NonNull::slice_from_raw_parts(first, length).as_mut() })
    }

    /// Lets the system find memory for all of `range` (as above; it is writable) at once, instead of page by
    /// page as it is written. A system that does not know how is none the worse.
    pub(crate) fn populate(&mut self, range: &Range<usize>) {
        if range.start <= range.end && range.end <= self.length.get() {
            // SAFETY: `range.start` lies in the reservation, or just behind it, as was just tested.
            let first = unsafe { self.start.byte_add(range.start) };
            // SAFETY: this changes no content; the pages belong to `self` alone.
            let _ = unsafe { madvise(first, range.len(), MmapAdvise::MADV_POPULATE_WRITE) };
        }
    }

    /// Gives `range` (as above) its lasting protection.
    ///
    /// # Errors
    /// As [`Pages::writable`].
    pub(crate) fn protect(&mut self, range: Range<usize>, to: Protection) -> io::Result<()> {
        let flags = match to {
            Protection::Read => ProtFlags::PROT_READ,

            Protection::ReadExecute => ProtFlags::PROT_READ | ProtFlags::PROT_EXEC,
        };
        self.change(range, flags).map(drop)
    }

    /// Changes the protection of `range` and returns its first byte.
    fn change(&mut self, range: Range<usize>, flags: ProtFlags) -> io::Result<NonNull<u8>> {
        if range.start > range.end || range.end > self.length.get() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: `range.start` lies in the reservation, or just behind it, as was just tested.
        let first = unsafe { self.start.byte_add(range.start) };
        // SAFETY: `range` lies in the reservation, which belongs to `self` alone; `&mut self` says that
        // nobody holds a slice of it.
        unsafe { mprotect(first, range.len(), flags) }?;
        Ok(first.cast())
    }
}

fn map(
    wish: Option<NonZeroUsize>,
    length: NonZeroUsize,
    flags: MapFlags,
) -> nix::Result<NonNull<c_void>> {
    // Without MAP_NORESERVE the system would account for a Bss section that is never touched.
    let flags = flags | MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
    // SAFETY: a new private anonymous mapping, which replaces none: `flags` never holds MAP_FIXED alone.
    unsafe { mmap_anonymous(wish, length, ProtFlags::PROT_NONE, flags) }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the reservation was made by `map` with this length and belongs to `self` alone, which is
        // gone after this. Whoever runs code in it answers for keeping its module alive.
        let unmapped = unsafe { munmap(self.start, self.length.get()) };
        debug_assert!(unmapped.is_ok(), "a mapping of this process can be unmapped: {unmapped:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_stays() {
        let page = page_size();
        let mut pages = Pages::reserve(2 * page, None).unwrap();
        pages.writable(page..page + 1).unwrap()[0] += 1;
        pages.protect(page..page + 1, Protection::Read).unwrap();
        assert_eq!(pages.writable(page..page + 2).unwrap(), [1, 0]);
    }

    #[test]
    fn outside_is_refused() {
        let page = page_size();
        let mut pages = Pages::reserve(page, None).unwrap();
        for range in [0..page + 1, page..2 * page, 1..2] {
            assert!(pages.writable(range.clone()).is_err());
            assert!(pages.protect(range, Protection::Read).is_err());
        }
        assert!(Pages::reserve(0, None).is_err() && Pages::reserve(usize::MAX / 2, None).is_err());
    }

    #[test]
    fn a_wish_is_granted_where_there_is_room() {
        let page = page_size();
        let first = Pages::reserve(page, None).unwrap();
        let address = first.address();
        assert_ne!(Pages::reserve(page, Some(address)).unwrap().address(), address);
        assert!(Pages::reserve(page, Some(address + 1)).is_ok());
    }
}
