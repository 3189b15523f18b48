//! Every cap of the generator, with its reason.

/// Largest file that becomes a frozen vector, in bytes. Larger ones would make `conformance/` heavy without
/// testing another boundary; 16-bit counts and sizes still fit.
pub const MAX_VECTOR_BYTES: usize = 80 << 10;

/// Vectors that are made for one reading of a choice on top of those that it changes anyway.
pub const MAX_PER_READING: usize = 24;

/// Combinations of header codes that are enumerated in full. Above it, each value appears at least once.
pub const MAX_PRODUCT: usize = 256;
