//! The 80-bit floats of the x87 unit, stored as a caller stores them: rounded to nearest, ties to even.

#[cfg(test)]
mod tests;

/// A float format of IEEE 754: bits of the exponent and of the fraction.
#[derive(Clone, Copy)]
struct Format {
    exponent: u32,
    fraction: u32,
}

/// As `fstp dword` stores it.
pub(super) fn to_f32(bits: [u8; 10]) -> u32 {
    // The result has 32 bits by construction.
    store(bits, Format { exponent: 8, fraction: 23 }) as u32
}

/// As `fstp qword` stores it.
pub(super) fn to_f64(bits: [u8; 10]) -> u64 {
    store(bits, Format { exponent: 11, fraction: 52 })
}

fn store(bits: [u8; 10], to: Format) -> u64 {
    let [m0, m1, m2, m3, m4, m5, m6, m7, e0, e1] = bits;
    let significand = u64::from_le_bytes([m0, m1, m2, m3, m4, m5, m6, m7]);
    let top = u16::from_le_bytes([e0, e1]);
    let sign = u64::from(top >> 15) << (to.exponent + to.fraction);
    sign | magnitude(top & 0x7fff, significand, to)
}

fn magnitude(exponent: u16, significand: u64, to: Format) -> u64 {
    let infinity = ((1 << to.exponent) - 1) << to.fraction;
    let quiet = 1 << (to.fraction - 1);
    let integer_bit = significand >> 63 == 1;
    // Infinity and not-a-number; without the integer bit the unit takes neither for a number either.
    if exponent == 0x7fff || exponent > 0 && !integer_bit {
        return match (integer_bit, significand << 1) {
            (true, 0) => infinity,
            (true, payload) => infinity | quiet | payload >> (64 - to.fraction),
            (false, _) => infinity | quiet | 1 << (to.exponent + to.fraction),
        };
    }
    let bias = (1 << (to.exponent - 1)) - 1;
    let mut exponent = i32::from(exponent.max(1)) - 0x3fff + bias;
    if exponent > 2 * bias {
        return infinity;
    }
    // Bits of the significand that do not fit; those of subnormal results lose one more for each step.
    let mut dropped = 63 - to.fraction;
    if exponent < 1 {
        dropped += exponent.abs_diff(1);
        exponent = 1;
    }
    let (kept, rest) = split(significand, dropped);
    let rounded = kept + u64::from(rest > HALF || rest == HALF && kept & 1 == 1);
    // The integer bit adds one to the exponent field below it; so does a carry out of rounding.
    let result = (u64::from(exponent.unsigned_abs() - 1) << to.fraction) + rounded;
    result.min(infinity)
}

/// Half of the least bit that is kept, in the scale of [`split`].
const HALF: u128 = 1 << 127;

/// `significand` without its `dropped` low bits, and those as a fraction of 2^128.
fn split(significand: u64, dropped: u32) -> (u64, u128) {
    match dropped {
        64.. if dropped > 127 => (0, u128::from(significand != 0)),
        64.. => (0, u128::from(significand) << (128 - dropped)),
        _ => (significand >> dropped, u128::from(significand) << (128 - dropped)),
    }
}
