//! Memory: where stacks and buffers lie, and whether the program's segments leave room for them.

use harness_protocol::Argument;

use crate::limits::{
    GUARD, MAX_IMAGE, PAGE, STACK_SIZE, USER_END, WORK_LOW, WORK_LOW_32, WORK_SIZE,
};
use crate::machine::{Fill, Region};
use crate::{Architecture, Permissions, Program, Segment};

use super::{PlanError, landing};

/// What C allocators align memory to, and vector instructions need.
const BUFFER_ALIGNMENT: u64 = 16;

/// Stacks and buffers, laid one after the other with guards between them.
pub(super) struct Work {
    regions: Vec<Region>,
    low: u64,
    next: u64,
}

impl Work {
    pub(super) fn new(architecture: Architecture) -> Self {
        let low = match architecture {
            Architecture::X86_64 | Architecture::Arm64 => WORK_LOW,
            Architecture::X86_32 => WORK_LOW_32,
        };
        Self { regions: Vec::new(), low, next: low + GUARD }
    }

    /// Lays a stack; says where it ends.
    pub(super) fn stack(&mut self, call: Option<usize>) -> Result<u64, PlanError> {
        let name = call.map_or_else(|| "stack".into(), |call| format!("stack {call}"));
        let region = self.lay(name, STACK_SIZE, false)?;
        Ok(region.address + region.size)
    }

    /// Lays a buffer for each argument that points to one; says where they are. Each ends as close to the end
    /// of its region as its alignment allows, so that running off its end is a trap.
    pub(super) fn buffers(
        &mut self,
        args: &[Argument],
        call: Option<usize>,
    ) -> Result<Vec<(u64, usize)>, PlanError> {
        let of_call = call.map(|call| format!(" of call {call}")).unwrap_or_default();
        let buffers = args.iter().filter_map(Argument::buffer).enumerate();
        let lay = |(index, bytes): (usize, &[u8])| {
            let len = bytes.len() as u64;
            let size = len.max(1).next_multiple_of(PAGE);
            let region = self.lay(format!("buffer {index}{of_call}"), size, true)?;
            region.offset = (size - len) / BUFFER_ALIGNMENT * BUFFER_ALIGNMENT;
            region.bytes = bytes.to_vec();
            Ok((region.address + region.offset, bytes.len()))
        };
        buffers.map(lay).collect()
    }

    /// Puts bytes on the stack or into the buffer that holds `address`.
    pub(super) fn put(&mut self, address: u64, bytes: Vec<u8>) {
        for region in &mut self.regions {
            if (region.address..region.address + region.size).contains(&address) {
                region.offset = address - region.address;
                region.bytes = bytes;
                return;
            }
        }
    }

    /// Poisoned memory.
    fn lay(&mut self, name: String, size: u64, kept: bool) -> Result<&mut Region, PlanError> {
        let address = self.next;
        self.next = address + size + GUARD;
        let given = self.next - self.low;
        if given > WORK_SIZE {
            let (what, most) = ("bytes of stacks and buffers", WORK_SIZE as usize);
            return Err(PlanError::TooMany { what, given: given as usize, most });
        }
        let (permissions, fill) = (Permissions::Rw, Fill::Poison);
        let region =
            Region { name, address, size, permissions, fill, offset: 0, bytes: Vec::new(), kept };
        Ok(self.regions.push_mut(region))
    }
}

/// All memory by ascending address: the program's segments with stacks and buffers among them.
pub(super) fn regions(program: &Program, work: Work) -> Result<Vec<Region>, PlanError> {
    let end = match program.architecture {
        Architecture::X86_64 | Architecture::Arm64 => USER_END,
        Architecture::X86_32 => 1 << 32,
    };
    let reserved = (landing(program.architecture), work.next);
    let mut regions = work.regions;
    let mut total = 0_u64;
    for segment in program.segments.iter().filter(|segment| segment.size > 0) {
        checked(segment, end)?;
        total = total.saturating_add(segment.size);
        clear_of_work(segment, reserved)?;
        regions.push(region(segment));
    }
    super::at_most("bytes of memory in segments", total as usize, MAX_IMAGE as usize)?;
    regions.sort_by_key(|region| region.address);
    for pair in regions.windows(2) {
        if pair[0].address + pair[0].size.next_multiple_of(PAGE) > pair[1].address {
            return Err(overlap(&pair[0].name, &pair[1].name, pair[1].address));
        }
    }
    Ok(regions)
}

fn overlap(first: &str, second: &str, address: u64) -> PlanError {
    PlanError::Overlap { first: first.into(), second: second.into(), address }
}

fn region(segment: &Segment) -> Region {
    Region {
        name: segment.name.clone(),
        address: segment.address,
        size: segment.size,
        permissions: segment.permissions,
        fill: Fill::Zero,
        offset: 0,
        bytes: segment.bytes.clone(),
        kept: segment.permissions == Permissions::Rw,
    }
}

/// That a segment is one: on a page, with its bytes inside, below `end`.
fn checked(segment: &Segment, end: u64) -> Result<(), PlanError> {
    let fault = |why| {
        let (segment, address) = (segment.name.clone(), segment.address);
        Err(PlanError::Segment { segment, address, why })
    };
    if !segment.address.is_multiple_of(PAGE) {
        return fault("it does not start on a page");
    }
    if segment.bytes.len() as u64 > segment.size {
        return fault("it has more bytes than memory");
    }
    match segment.address.checked_add(segment.size) {
        Some(last) if last <= end => Ok(()),
        _ => fault("it leaves the addresses that there are"),
    }
}

/// That a segment keeps its distance from the page of the landing, stacks, buffers and their guards.
fn clear_of_work(segment: &Segment, (landing, end): (u64, u64)) -> Result<(), PlanError> {
    let start = landing / PAGE * PAGE;
    if segment.address < end && start < segment.address + segment.size {
        let address = segment.address.max(start);
        return Err(overlap(&segment.name, "the memory of stacks and buffers", address));
    }
    Ok(())
}
