//! Whether a setup makes sense. It comes from another process: nothing about it is taken on trust.

use harness_sandbox::limits::PAGE;
use harness_sandbox::{Architecture, Permissions, Region, Setup};

use crate::limits::MAX_MEMORY;
use crate::memory::whole_pages;

/// Says what is wrong with `setup`, if anything.
pub(super) fn check(setup: &Setup) -> Result<(), String> {
    if setup.calls.is_empty() {
        return Err("it makes no call".into());
    }
    if setup.calls.iter().any(|call| call.registers.architecture() != setup.architecture) {
        return Err(format!("it has registers that are not of {}", setup.architecture));
    }
    let mut free = 0;
    let mut total = 0_u64;
    for region in &setup.regions {
        let end = check_region(region, setup.architecture, free)?;
        if (region.address..end).contains(&setup.landing) {
            return Err(format!("the landing lies in {}", region.name));
        }
        total = total.saturating_add(end - region.address);
        if total > MAX_MEMORY {
            return Err(format!("it has more than {MAX_MEMORY} bytes of memory"));
        }
        free = end;
    }
    Ok(())
}

/// Checks one region, which must not start below `free`; gives its end.
fn check_region(region: &Region, architecture: Architecture, free: u64) -> Result<u64, String> {
    let Region { name, address, size, .. } = region;
    let length = whole_pages(*size);
    let end = match architecture {
        Architecture::X86_32 => 1 << 32,
        Architecture::X86_64 => 1 << 47,
        Architecture::Arm64 => 1 << 48,
    };
    if address % PAGE != 0 {
        return Err(format!("{name} starts at {address:#x}, which is no page"));
    }
    if *size == 0 || length > MAX_MEMORY {
        return Err(format!("{name} has {size} bytes"));
    }
    if *address < free {
        return Err(format!("{name} overlaps what lies before it"));
    }
    if address.checked_add(length).is_none_or(|last| last > end) {
        return Err(format!("{name} goes beyond the addresses of {architecture}"));
    }
    let bytes = region.offset.checked_add(region.bytes.len() as u64);
    if bytes.is_none_or(|bytes| bytes > *size) {
        return Err(format!("{name} has more bytes than room"));
    }
    if region.kept && region.permissions != Permissions::Rw {
        return Err(format!("{name} is kept but cannot be written"));
    }
    Ok(address + length)
}
