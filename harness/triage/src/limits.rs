//! Every cap of this crate and why it is what it is.

/// Addresses below this are called null: an index or the offset of a field was added to it. CASR draws the line
/// at the same place.
pub const NEAR_NULL: u64 = 64 << 10;

/// How far the poison of unused registers and fresh stacks may be off and still be recognised: the offset of a
/// field was added to it.
pub const NEAR_POISON: u64 = 64 << 10;

/// Functions of a call chain that tell buckets apart. The innermost ones say what happened; further out the
/// same fault is reached in many ways.
pub const CHAIN: usize = 5;

/// Most files that one minimization tries unless told otherwise: at a hundred microseconds a run, some seconds.
pub const MAX_TRIES: usize = 20_000;

/// Whole blocks of this many bytes are taken out of code, so that what is behind them keeps its alignment.
pub const CODE_ALIGNMENT: usize = 16;
