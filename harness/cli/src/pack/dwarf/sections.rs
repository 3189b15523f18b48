//! The debug sections with their relocations applied.
//!
//! In a relocatable object every reference from one debug section to another, and every address of code,
//! is still zero and waits for the linker.

use object::read::{Object as _, ObjectSection as _, ObjectSymbol as _};
use object::{Relocation, RelocationKind, RelocationTarget, SectionIndex};

use crate::pack::PackError;
use crate::pack::elf::Object;
use crate::pack::layout::Layout;

/// The bytes of section `name`, as a linker would leave them that puts the packed sections at their places
/// in the blob and every other at address 0. Empty when there is no such section.
pub(super) fn relocated(
    object: &Object<'_>,
    layout: &Layout,
    name: &str,
) -> Result<Vec<u8>, PackError> {
    let Some(section) = object.file.section_by_name(name) else { return Ok(Vec::new()) };
    let unreadable = |reason: String| PackError::DebugSection { section: name.to_owned(), reason };
    let data = section.uncompressed_data().map_err(|error| unreadable(error.to_string()))?;
    let mut bytes = data.into_owned();
    for (offset, relocation) in section.relocations() {
        // Others are offsets of thread-local variables, which no signature needs.
        if relocation.kind() == RelocationKind::Absolute {
            apply(object, layout, &mut bytes, offset, &relocation)
                .ok_or_else(|| unreadable(format!("a relocation at {offset:#x} is damaged")))?;
        }
    }
    Ok(bytes)
}

fn apply(
    object: &Object<'_>,
    layout: &Layout,
    bytes: &mut [u8],
    offset: u64,
    relocation: &Relocation,
) -> Option<()> {
    let place = bytes.get_mut(usize::try_from(offset).ok()?..)?;
    let address = target(object, layout, relocation)?.wrapping_add_signed(relocation.addend());
    match relocation.size() {
        32 => {
            let place = place.first_chunk_mut::<4>()?;
            let [a, b, c, d, ..] = address.to_le_bytes();
            let implicit = implicit(relocation, u32::from_le_bytes(*place));
            *place = u32::from_le_bytes([a, b, c, d]).wrapping_add(implicit).to_le_bytes();
        }
        64 => {
            let place = place.first_chunk_mut::<8>()?;
            let implicit = implicit(relocation, u64::from_le_bytes(*place));
            *place = address.wrapping_add(implicit).to_le_bytes();
        }
        _ => return None,
    }
    Some(())
}

/// The part of the addend that stands in the place, on machines that keep it there.
fn implicit<T: Default>(relocation: &Relocation, in_place: T) -> T {
    if relocation.has_implicit_addend() { in_place } else { T::default() }
}

fn target(object: &Object<'_>, layout: &Layout, relocation: &Relocation) -> Option<u64> {
    let start = |index: Option<SectionIndex>| index.and_then(|i| layout.start(i)).unwrap_or(0);
    match relocation.target() {
        RelocationTarget::Symbol(index) => {
            let symbol = object.file.symbol_by_index(index).ok()?;
            start(symbol.section_index()).checked_add(symbol.address())
        }
        RelocationTarget::Section(index) => Some(start(Some(index))),
        _ => Some(0),
    }
}
