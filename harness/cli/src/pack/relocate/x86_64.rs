//! Relocations of 64-bit x86 (System V ABI, AMD64 supplement, table 4.10).

use object::elf::{
    R_X86_64_32, R_X86_64_32S, R_X86_64_64, R_X86_64_GOT32, R_X86_64_GOT64, R_X86_64_GOTOFF64,
    R_X86_64_GOTPC32, R_X86_64_GOTPC64, R_X86_64_GOTPCREL, R_X86_64_GOTPCREL64, R_X86_64_GOTPCRELX,
    R_X86_64_NONE, R_X86_64_PC32, R_X86_64_PC64, R_X86_64_PLT32, R_X86_64_REX_GOTPCRELX,
    RelocationType,
};

use super::{Method, Place, RelocationFault};

const NO_TABLE: &str = "declare it static or hidden, and compile with -fPIC -mcmodel=small";

pub(super) fn method(r_type: RelocationType) -> Result<Option<Method>, RelocationFault> {
    Ok(Some(match r_type {
        R_X86_64_NONE => return Ok(None),
        // A procedure linkage table is only needed for what is defined elsewhere.
        R_X86_64_PC32 | R_X86_64_PLT32 => distance_32,
        R_X86_64_PC64 => distance_64,
        R_X86_64_GOTPCRELX | R_X86_64_REX_GOTPCRELX => without_table,
        R_X86_64_64 | R_X86_64_32 | R_X86_64_32S => return Err(RelocationFault::Absolute),
        R_X86_64_GOTPCREL | R_X86_64_GOTPCREL64 | R_X86_64_GOT32 | R_X86_64_GOT64
        | R_X86_64_GOTOFF64 | R_X86_64_GOTPC32 | R_X86_64_GOTPC64 => {
            return Err(RelocationFault::Table(NO_TABLE));
        }
        _ => return Err(RelocationFault::Unsupported),
    }))
}

fn distance_32(place: &mut Place<'_>) -> Result<(), RelocationFault> {
    place.put_i32(place.distance())
}

fn distance_64(place: &mut Place<'_>) -> Result<(), RelocationFault> {
    place.put_i64(place.distance())
}

/// Rewrites an instruction that reads an address from the table into one that computes it, as the ABI
/// allows for these two types (section B.2).
fn without_table(place: &mut Place<'_>) -> Result<(), RelocationFault> {
    if place.addend() != -4 {
        return Err(RelocationFault::Instruction);
    }
    let distance = place.distance();
    match *place.bytes::<2>(2)? {
        // mov foo@GOTPCREL(%rip), %reg → lea foo(%rip), %reg
        [0x8b, modrm] if modrm & 0xc7 == 0x05 => *place.bytes(2)? = [0x8d, modrm],
        // call *foo@GOTPCREL(%rip) → addr32 call foo
        [0xff, 0x15] => *place.bytes(2)? = [0x67, 0xe8],
        // jmp *foo@GOTPCREL(%rip) → jmp foo; nop. The displacement moves up by one byte.
        [0xff, 0x25] => {
            let near = i32::try_from(distance + 1).map_err(|_| RelocationFault::Range(distance))?;
            let [a, b, c, d] = near.to_le_bytes();
            *place.bytes(2)? = [0xe9, a, b, c, d, 0x90];
            return Ok(());
        }
        _ => return Err(RelocationFault::Instruction),
    }
    place.put_i32(distance)
}
