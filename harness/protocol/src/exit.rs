//! Exit codes: those of the program `harness`, and those by which a one-shot loader answers.

/// Everything was as expected.
pub const OK: u8 = 0;
/// Something was nonconformant, invalid or different.
pub const NONCONFORMANT: u8 = 1;
/// The command line or an input file named on it cannot be used.
pub const USAGE: u8 = 2;
/// An implementation could not be started or refused the handshake.
pub const IMPLEMENTATION: u8 = 3;
/// Nothing was selected, or nothing ran.
pub const NOTHING_RAN: u8 = 4;
/// The deviations file is stale: entries that match nothing, expired ones, unexpected passes.
pub const DEVIATIONS_STALE: u8 = 5;
/// A bug in the harness itself.
pub const HARNESS_BUG: u8 = 70;

/// One-shot loader: the file is accepted.
pub const ONESHOT_ACCEPT: i32 = 0;
/// One-shot loader: the file is rejected. Only this code is a rejection.
pub const ONESHOT_REJECT: i32 = 1;
/// One-shot loader: the file is (or may be) valid but this loader does not support it.
pub const ONESHOT_UNSUPPORTED: i32 = 89;
