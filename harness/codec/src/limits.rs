//! Every cap of the codec, with its reason.

/// Largest file that is decoded, in bytes. Spans are kept as 32-bit offsets to keep the model small; no
/// format here has use for modules of this size, and a sparse file can claim to be any.
pub const MAX_FILE: usize = 256 << 20;

/// Violations of one rule that are kept; the rest are counted. A table of 60,000 entries that all break a
/// rule needs no 60,000 messages.
pub const MAX_KEPT_PER_RULE: usize = 64;

/// How often one rule hashes the strings of a file, in lengths of all of them. Names may be tails of each other,
/// and a hash that runs from the front has to be taken of each anew: without a cap, a megabyte of them would
/// cost minutes. Hashes of names past it are not compared; names that do not overlap need one pass.
pub const MAX_HASH_PASSES: usize = 16;

/// Bytes of text that a model as JSON repeats beside offsets. Thousands of elements may share one long name;
/// from here on their text is `null`. Twice what a reply of the protocol can carry.
pub const MAX_MODEL_TEXT: usize = 16 << 20;

/// Longest encoded file in bytes, so that a draft with a mistaken length cannot exhaust memory.
pub const MAX_ENCODED: usize = 64 << 20;

/// Largest image that is built byte by byte, in bytes. A file of 300 bytes can ask for an image of a gigabyte of
/// zeros; whoever compares images looks at the pieces of such a one.
pub const MAX_IMAGE: usize = 16 << 20;

/// Into how many portions, at least, the records are divided that payloads share and that are not kept in the
/// model. At every byte of a file another record may start: all of them at once would take hundreds of times the
/// file's size, a portion of them a few times.
pub const SHARED_PORTIONS: usize = 64;

/// Bytes of payloads that a draft copies, in lengths of the file. Thousands of elements of a table may each place all
/// of the file: their copies would take the square of its size. Such a file can be decoded, but not edited.
pub const MAX_PAYLOAD_COPIES: usize = 4;
