//! The code of a module in memory.

use std::ffi::c_void;
use std::ops::Range;

use crate::error::Error;
use crate::mapping::{Executable, Mapping};

/// A blob mapped as it stands, readable and executable. The one relocation of version 0.1 is
/// [`Image::entry`]: base + entry_offset (choice scp.relocation).
#[derive(Debug)]
pub struct Image {
    mapping: Mapping<Executable>,
}

impl Image {
    /// Maps a copy of `code`; an empty blob maps nothing.
    ///
    /// # Errors
    /// [`Error::Unmappable`] when the operating system refuses the memory or its protection.
    pub fn load(code: &[u8]) -> Result<Self, Error> {
        let refused = |source| Error::Unmappable { size: code.len(), source };
        let mut mapping = Mapping::new(code.len()).map_err(refused)?;
        mapping.bytes_mut().copy_from_slice(code);
        Ok(Self { mapping: mapping.publish().map_err(refused)? })
    }

    /// The code, as it lies in memory.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.mapping.bytes()
    }

    /// The addresses of the code; empty if there is none.
    #[must_use]
    pub fn addresses(&self) -> Range<usize> {
        let range = self.bytes().as_ptr_range();
        range.start.addr()..range.end.addr()
    }

    /// The address of the code at `entry_offset` bytes from the start; `None` outside the code.
    #[must_use]
    pub fn entry(&self, entry_offset: u64) -> Option<*const c_void> {
        let offset = usize::try_from(entry_offset).ok()?;
        self.bytes().get(offset).map(|first| std::ptr::from_ref(first).cast())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_base_plus_offset() {
        let image = Image::load(&[0xc3; 3]).unwrap();
        let base = image.addresses().start;
        assert_eq!(image.addresses().len(), 3);
        assert_eq!(image.entry(2).map(<*const c_void>::addr), Some(base + 2));
        assert_eq!((image.entry(3), image.entry(u64::MAX)), (None, None));
    }
}
