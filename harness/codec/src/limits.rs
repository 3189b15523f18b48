//! Every cap of the codec, with its reason.

/// Largest file that is decoded, in bytes. Spans are kept as 32-bit offsets to keep the model small; no
/// format here has use for modules of this size, and a sparse file can claim to be any.
pub const MAX_FILE: usize = 256 << 20;

/// Violations of one rule that are kept; the rest are counted. A table of 60,000 entries that all break a
/// rule needs no 60,000 messages.
pub const MAX_KEPT_PER_RULE: usize = 64;

/// Longest encoded file in bytes, so that a draft with a mistaken length cannot exhaust memory.
pub const MAX_ENCODED: usize = 64 << 20;
