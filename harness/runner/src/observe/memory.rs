//! Where the bytes of images are looked up: in a process, or in what its loader says about them.

use std::ops::Range;

use harness_protocol::Image;
use nix::unistd::Pid;

use crate::sys;
use crate::sys::maps::Mapping;

/// Why bytes are not there to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// At this address nothing can be read.
    Unreadable(u64),
    /// The harness cannot know what is there.
    Unknown,
}

/// Memory with addresses.
pub(crate) trait Memory {
    /// Fills `into` from `address` on.
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Absent>;

    /// What is mapped where; `None` where the harness cannot know.
    fn mappings(&self) -> Option<&[Mapping]>;
}

/// The memory of a process that is there to be looked into.
#[derive(Debug)]
pub(crate) struct Process<'a> {
    pub(crate) pid: Pid,
    pub(crate) mappings: &'a [Mapping],
}

impl Memory for Process<'_> {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Absent> {
        sys::memory::read(self.pid, address, into).map_err(Absent::Unreadable)
    }

    fn mappings(&self) -> Option<&[Mapping]> {
        Some(self.mappings)
    }
}

/// The bytes of images as their loader reports them. What lies elsewhere is unknown.
#[derive(Debug)]
pub(crate) struct Reported<'a>(pub(crate) &'a [Image]);

impl Memory for Reported<'_> {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Absent> {
        let length = into.len();
        let bytes = self.0.iter().find_map(|image| {
            let range = range(address.checked_sub(image.base)?, length)?;
            image.bytes.as_ref()?.0.get(range)
        });
        let bytes = bytes.ok_or(Absent::Unknown)?;
        into.copy_from_slice(bytes);
        Ok(())
    }

    fn mappings(&self) -> Option<&[Mapping]> {
        None
    }
}

fn range(start: u64, length: usize) -> Option<Range<usize>> {
    let start = usize::try_from(start).ok()?;
    Some(start..start.checked_add(length)?)
}
