//! The memory of a run: where it lies, which pages were written, what an instruction that traps had written
//! before.
//!
//! Memory belongs to this program and is only lent to the engine, so that filling it costs a copy and no call.

use std::io;

use harness_sandbox::limits::{PAGE, POISON};
use harness_sandbox::{Fill, Permissions, Region};
use memmap2::MmapMut;

/// All memory of a run, by ascending address.
#[derive(Default)]
pub(crate) struct Memory {
    regions: Vec<Mapped>,
    /// What the current instruction wrote over, to take it back when it traps.
    overwritten: Vec<Overwritten>,
    /// Which instruction that is.
    instruction: u64,
}

/// A region, in whole pages.
pub(crate) struct Mapped {
    /// Its first address.
    pub(crate) start: u64,
    /// Bytes that the setup asked for.
    pub(crate) size: u64,
    /// What may be done with it.
    pub(crate) permissions: Permissions,
    /// What it is filled with.
    fill: Fill,
    /// Where bytes were put that are not its filling.
    filled_over: (usize, usize),
    /// Its content.
    pages: MmapMut,
    /// Which pages were written, once each.
    dirty: Vec<usize>,
    /// Whether a page is among them.
    is_dirty: Vec<bool>,
}

/// Bytes as they were before the current instruction wrote there.
struct Overwritten {
    region: usize,
    offset: usize,
    length: usize,
    bytes: [u8; 8],
}

/// What lies at the end of a region.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// The rest of its last page, when bytes are counted.
    Slack(u64),
    /// Nothing.
    Nothing(u64),
}

impl Mapped {
    /// Address of the first byte that does not exist.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.pages.len() as u64
    }

    /// Its size in whole pages, in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.pages.len() as u64
    }

    /// The content of its whole pages.
    pub(crate) fn pages(&self) -> &[u8] {
        &self.pages
    }

    /// Where its content lies, for the engine.
    pub(crate) fn pointer(&mut self) -> *mut u8 {
        self.pages.as_mut_ptr()
    }

    fn new(region: &Region) -> io::Result<Self> {
        let length = usize::try_from(whole_pages(region.size)).map_err(io::Error::other)?;
        let mut mapped = Self {
            start: region.address,
            size: region.size,
            permissions: region.permissions,
            fill: region.fill,
            filled_over: (0, 0),
            pages: MmapMut::map_anon(length)?,
            dirty: Vec::new(),
            is_dirty: vec![false; length / PAGE as usize],
        };
        if region.fill == Fill::Poison {
            mapped.refill(0, length);
        }
        Ok(mapped)
    }

    /// Whether `region` differs from this one in its bytes at most.
    fn is_like(&self, region: &Region) -> bool {
        (self.start, self.size, self.permissions, self.fill)
            == (region.address, region.size, region.permissions, region.fill)
    }

    /// Makes the content what `region` says: only what was written or filled over needs to be touched.
    fn reset(&mut self, region: &Region) {
        for page in std::mem::take(&mut self.dirty) {
            self.is_dirty[page] = false;
            self.refill(page * PAGE as usize, (page + 1) * PAGE as usize);
        }
        let (from, to) = self.filled_over;
        self.refill(from, to);
        // `check` saw that the bytes lie in the region, which lies in memory.
        let from = region.offset as usize;
        let to = from + region.bytes.len();
        self.pages[from..to].copy_from_slice(&region.bytes);
        self.filled_over = (from, to);
    }

    /// Fills `from..to`, and zero beyond the region's size.
    fn refill(&mut self, from: usize, to: usize) {
        let poisoned = match self.fill {
            Fill::Poison => to.min(self.size as usize).max(from),
            Fill::Zero => from,
        };
        self.pages[poisoned..to].fill(0);
        let poison = POISON.to_le_bytes();
        let phase = from % 8;
        let (first, rest) =
            self.pages[from..poisoned].split_at_mut(((8 - phase) % 8).min(poisoned - from));
        first.copy_from_slice(&poison[phase..][..first.len()]);
        for word in rest.chunks_mut(8) {
            word.copy_from_slice(&poison[..word.len()]);
        }
    }
}

impl Memory {
    /// The regions, by ascending address.
    pub(crate) fn regions(&self) -> &[Mapped] {
        &self.regions
    }

    /// The regions, for the engine to map.
    pub(crate) fn regions_mut(&mut self) -> &mut [Mapped] {
        &mut self.regions
    }

    /// Whether `regions` differ from the present ones in their bytes at most.
    pub(crate) fn is_like(&self, regions: &[Region]) -> bool {
        self.regions.len() == regions.len()
            && self.regions.iter().zip(regions).all(|(mapped, region)| mapped.is_like(region))
    }

    /// New memory for `regions`, without their bytes yet.
    pub(crate) fn lay_out(regions: &[Region]) -> io::Result<Self> {
        let regions = regions.iter().map(Mapped::new).collect::<io::Result<_>>()?;
        Ok(Self { regions, ..Self::default() })
    }

    /// Makes the content what `regions` say, which must be like the present ones.
    pub(crate) fn reset(&mut self, regions: &[Region]) {
        self.overwritten.clear();
        for (mapped, region) in self.regions.iter_mut().zip(regions) {
            mapped.reset(region);
        }
    }

    /// The region that holds `address`.
    pub(crate) fn at(&self, address: u64) -> Option<&Mapped> {
        self.index(address).map(|index| &self.regions[index])
    }

    /// The bytes from `address` to the end of its region, at most `most`.
    pub(crate) fn bytes(&self, address: u64, most: usize) -> &[u8] {
        let Some(region) = self.at(address) else { return &[] };
        let rest = &region.pages[(address - region.start) as usize..];
        &rest[..rest.len().min(most)]
    }

    /// Eight bytes at `address`, if all exist.
    pub(crate) fn word(&self, address: u64) -> Option<u64> {
        self.bytes(address, 8).try_into().ok().map(u64::from_le_bytes)
    }

    /// Where an access of `length` bytes at `address` first leaves its region. `slack` says whether the rest of
    /// the last page is out of bounds.
    pub(crate) fn beyond(&self, address: u64, length: u64, slack: bool) -> Option<Beyond> {
        let region = self.at(address)?;
        let (last, bound) = (address.checked_add(length)?, region.start + region.size);
        if slack && last > bound && bound < region.end() {
            return Some(Beyond::Slack(address.max(bound)));
        }
        (last > region.end()).then(|| Beyond::Nothing(region.end()))
    }

    /// Notes that instruction number `instruction` is about to write `length` bytes at `address`.
    pub(crate) fn will_write(&mut self, address: u64, length: u64, instruction: u64) {
        if self.instruction != instruction {
            self.instruction = instruction;
            self.overwritten.clear();
        }
        let Some(index) = self.index(address) else { return };
        let region = &mut self.regions[index];
        let from = (address - region.start) as usize;
        let to = (from + length as usize).min(region.pages.len());
        for page in from / PAGE as usize..to.div_ceil(PAGE as usize) {
            if !std::mem::replace(&mut region.is_dirty[page], true) {
                region.dirty.push(page);
            }
        }
        for (piece, old) in region.pages[from..to].chunks(8).enumerate() {
            let mut bytes = [0; 8];
            bytes[..old.len()].copy_from_slice(old);
            let offset = from + 8 * piece;
            self.overwritten.push(Overwritten { region: index, offset, length: old.len(), bytes });
        }
    }

    /// Takes back what instruction number `instruction` wrote.
    pub(crate) fn take_back(&mut self, instruction: u64) {
        if self.instruction != instruction {
            return;
        }
        for old in self.overwritten.drain(..).rev() {
            self.regions[old.region].pages[old.offset..][..old.length]
                .copy_from_slice(&old.bytes[..old.length]);
        }
    }

    fn index(&self, address: u64) -> Option<usize> {
        let next = self.regions.partition_point(|region| region.start <= address);
        let index = next.checked_sub(1)?;
        (address < self.regions[index].end()).then_some(index)
    }
}

/// `size` rounded up to pages.
pub(crate) fn whole_pages(size: u64) -> u64 {
    size.div_ceil(PAGE).saturating_mul(PAGE)
}
