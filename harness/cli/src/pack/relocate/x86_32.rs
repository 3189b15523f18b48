//! Relocations of 32-bit x86 (System V ABI, Intel386 supplement). The addend stands in the place itself.

use object::elf::{
    R_386_32, R_386_GOT32, R_386_GOT32X, R_386_GOTOFF, R_386_GOTPC, R_386_NONE, R_386_PC32,
    R_386_PLT32, RelocationType,
};

use super::{Method, Place, RelocationFault};

const NO_TABLE: &str =
    "compile with -fno-pic: calls inside the object are position-independent even so";

pub(super) fn method(r_type: RelocationType) -> Result<Option<Method>, RelocationFault> {
    Ok(Some(match r_type {
        R_386_NONE => return Ok(None),
        R_386_PC32 | R_386_PLT32 => distance,
        R_386_32 => return Err(RelocationFault::Absolute),
        R_386_GOTPC | R_386_GOTOFF | R_386_GOT32 | R_386_GOT32X => {
            return Err(RelocationFault::Table(NO_TABLE));
        }
        _ => return Err(RelocationFault::Unsupported),
    }))
}

fn distance(place: &mut Place<'_>) -> Result<(), RelocationFault> {
    let addend = i32::from_le_bytes(*place.bytes(0)?);
    place.set_addend(addend.into());
    place.put_i32(place.distance())
}
