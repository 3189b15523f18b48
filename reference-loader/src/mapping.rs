//! Memory that is writable or executable, never both: the type says which (choice scp.rwx; clause “Use
//! memory protection (DEP/NX) for security”).

use std::io;

use memmap2::{Mmap, MmapMut};

use crate::sys;

/// State of a [`Mapping`] that can be filled. Holds no memory when the mapping is empty.
#[derive(Debug)]
pub struct Writable(Option<MmapMut>);

/// State of a [`Mapping`] that can be executed and no longer be written.
#[derive(Debug)]
pub struct Executable(Option<Mmap>);

/// Private pages of this process in the state `S`.
#[derive(Debug)]
pub struct Mapping<S> {
    state: S,
}

impl Mapping<Writable> {
    /// Maps `length` zero bytes; nothing at all for 0.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn new(length: usize) -> io::Result<Self> {
        let memory = if length == 0 { None } else { Some(sys::map_writable(length)?) };
        Ok(Self { state: Writable(memory) })
    }

    /// The bytes, to be filled.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.state.0.as_deref_mut().unwrap_or_default()
    }

    /// Gives up writing for executing.
    ///
    /// # Errors
    /// When the operating system refuses; the pages are unmapped then.
    pub fn publish(self) -> io::Result<Mapping<Executable>> {
        let memory = self.state.0.map(sys::protect_executable).transpose()?;
        Ok(Mapping { state: Executable(memory) })
    }
}

impl Mapping<Executable> {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.state.0.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_published() {
        let mut mapping = Mapping::new(3).unwrap();
        mapping.bytes_mut().copy_from_slice(b"abc");
        assert_eq!(mapping.publish().unwrap().bytes(), b"abc");
    }

    #[test]
    fn nothing_maps_nothing() {
        let mapping = Mapping::new(0).unwrap().publish().unwrap();
        assert!(mapping.bytes().is_empty() && mapping.state.0.is_none());
    }

    #[test]
    fn more_than_there_is_is_an_error() {
        assert!(Mapping::new(usize::MAX / 2).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_agrees_on_the_permissions() {
        let mut mapping = Mapping::new(1).unwrap();
        mapping.bytes_mut()[0] = 0xc3;
        let mapping = mapping.publish().unwrap();
        let address = mapping.bytes().as_ptr().addr();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let holds = |line: &&str| {
            let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
            let at = |text| usize::from_str_radix(text, 16).unwrap();
            (at(start)..at(end)).contains(&address)
        };
        let line = maps.lines().find(holds).unwrap();
        assert_eq!(line.split(' ').nth(1), Some("r-xp"));
    }
}
