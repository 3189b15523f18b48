//! Relocations of AArch64 (ELF for the Arm 64-bit Architecture, section 5.7).
//!
//! Page addresses and the low 12 bits of addresses are right as soon as the blob starts at a page: bits
//! 0 to 11 of an address are then those of its offset in the blob.

use object::elf::{
    R_AARCH64_ABS16, R_AARCH64_ABS32, R_AARCH64_ABS64, R_AARCH64_ADD_ABS_LO12_NC,
    R_AARCH64_ADR_GOT_PAGE, R_AARCH64_ADR_PREL_LO21, R_AARCH64_ADR_PREL_PG_HI21,
    R_AARCH64_ADR_PREL_PG_HI21_NC, R_AARCH64_CALL26, R_AARCH64_JUMP26, R_AARCH64_LD64_GOT_LO12_NC,
    R_AARCH64_LD64_GOTPAGE_LO15, R_AARCH64_LDST8_ABS_LO12_NC, R_AARCH64_LDST16_ABS_LO12_NC,
    R_AARCH64_LDST32_ABS_LO12_NC, R_AARCH64_LDST64_ABS_LO12_NC, R_AARCH64_LDST128_ABS_LO12_NC,
    R_AARCH64_NONE, R_AARCH64_PREL32, R_AARCH64_PREL64, RelocationType,
};

use super::{Method, Place, RelocationFault};

const NO_TABLE: &str = "compile with -fPIC (not -fpic), or declare it static or hidden";
const PAGE_BITS: u32 = 12;

pub(super) fn method(r_type: RelocationType) -> Result<Option<Method>, RelocationFault> {
    Ok(Some(match r_type {
        R_AARCH64_NONE => return Ok(None),
        R_AARCH64_CALL26 | R_AARCH64_JUMP26 => branch,
        R_AARCH64_ADR_PREL_LO21 => adr,
        // The table of addresses is left out: adrp + ldr of its entry become adrp + add of the address.
        R_AARCH64_ADR_PREL_PG_HI21 | R_AARCH64_ADR_PREL_PG_HI21_NC | R_AARCH64_ADR_GOT_PAGE => adrp,
        R_AARCH64_LD64_GOT_LO12_NC => load_to_add,
        R_AARCH64_ADD_ABS_LO12_NC => |place| low_bits(place, 0),
        R_AARCH64_LDST8_ABS_LO12_NC => |place| low_bits(place, 0),
        R_AARCH64_LDST16_ABS_LO12_NC => |place| low_bits(place, 1),
        R_AARCH64_LDST32_ABS_LO12_NC => |place| low_bits(place, 2),
        R_AARCH64_LDST64_ABS_LO12_NC => |place| low_bits(place, 3),
        R_AARCH64_LDST128_ABS_LO12_NC => |place| low_bits(place, 4),
        R_AARCH64_PREL32 => |place| place.put_i32(place.distance()),
        R_AARCH64_PREL64 => |place| place.put_i64(place.distance()),
        R_AARCH64_ABS16 | R_AARCH64_ABS32 | R_AARCH64_ABS64 => {
            return Err(RelocationFault::Absolute);
        }
        R_AARCH64_LD64_GOTPAGE_LO15 => return Err(RelocationFault::Table(NO_TABLE)),
        _ => return Err(RelocationFault::Unsupported),
    }))
}

/// b and bl: a distance in instructions, 26 bits.
fn branch(place: &mut Place<'_>) -> Result<(), RelocationFault> {
    let distance = place.distance();
    if distance % 4 != 0 {
        return Err(RelocationFault::Alignment { value: distance, unit: 4 });
    }
    let field = signed_field(distance / 4, 26, distance)?;
    let word = place.word()?;
    place.put_word(word & 0xfc00_0000 | field)
}

/// adr: a distance in bytes, 21 bits.
fn adr(place: &mut Place<'_>) -> Result<(), RelocationFault> {
    let distance = place.distance();
    let field = signed_field(distance, 21, distance)?;
    put_split(place, field)
}

/// adrp: a distance in pages, 21 bits.
fn adrp(place: &mut Place<'_>) -> Result<(), RelocationFault> {
    let pages = (place.address() >> PAGE_BITS) - (place.position() >> PAGE_BITS);
    let field = signed_field(pages, 21, pages)?;
    put_split(place, field)
}

/// The 21 bits of adr and adrp: the low two stand in bits 29 and 30, the others from bit 5 up.
fn put_split(place: &mut Place<'_>, field: u32) -> Result<(), RelocationFault> {
    let word = place.word()?;
    place.put_word(word & 0x9f00_001f | (field & 3) << 29 | field >> 2 << 5)
}

/// add, ldr and str: the low 12 bits of the address, in units of `1 << scale` bytes.
fn low_bits(place: &mut Place<'_>, scale: u32) -> Result<(), RelocationFault> {
    let unit = 1_u32 << scale;
    let low = low_12(place);
    if !low.is_multiple_of(unit) {
        return Err(RelocationFault::Alignment { value: low.into(), unit });
    }
    let word = place.word()?;
    place.put_word(word & 0xffc0_03ff | low >> scale << 10)
}

/// ldr xd, [xn, #entry of the table] → add xd, xn, #low bits of the address
fn load_to_add(place: &mut Place<'_>) -> Result<(), RelocationFault> {
    let word = place.word()?;
    let is_load = word & 0xffc0_0000 == 0xf940_0000;
    let into_zero = word & 0x1f == 0x1f; // register 31 is zero to ldr, but the stack pointer to add
    if !is_load || into_zero || place.addend() != 0 {
        return Err(RelocationFault::Instruction);
    }
    place.put_word(0x9100_0000 | low_12(place) << 10 | word & 0x3ff)
}

fn low_12(place: &Place<'_>) -> u32 {
    u32::try_from(place.address().rem_euclid(1 << PAGE_BITS)).unwrap_or_default()
}

/// `value` as a two's complement field of `bits`; `whole` is the value to complain about.
fn signed_field(value: i128, bits: u32, whole: i128) -> Result<u32, RelocationFault> {
    let limit = 1_i128 << (bits - 1);
    if !(-limit..limit).contains(&value) {
        return Err(RelocationFault::Range(whole));
    }
    u32::try_from(value.rem_euclid(limit * 2)).map_err(|_| RelocationFault::Range(whole))
}
