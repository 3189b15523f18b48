//! Every cap of the protocol, with its reason.

/// Largest frame in bytes, either direction. The largest frozen vector is far below 1 MiB; its hex form
/// doubles it. 16 MiB leaves room for users' own files and still bounds what a broken length word
/// (four bytes of stray text read as a number are at least 0x20202020) can make the reader reserve.
pub const MAX_FRAME: usize = 16 << 20;

/// Longest `message`, `rule` or `skip` text that is kept, in bytes. Longer ones are cut with a mark:
/// a loader that answers with a megabyte of prose must not blow up the report.
pub const MAX_TEXT: usize = 4096;
