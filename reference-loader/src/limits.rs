//! Every cap of the loader, with its reason.
//!
//! The parsers themselves need none: they borrow from the file, and every count is bounded by the bytes that
//! are there. For SCP, memory beyond the file is one table slot per function (unique names), 8 KiB (unique type
//! ids) and, for a loaded module, the code once more and its functions' names.

use harness_protocol::limits::MAX_FRAME;

/// Largest model in a reply, in bytes of JSON as estimated from above. Half a frame leaves room for the
/// buffers of a call. A file may name one long string from each of its entries, so that the model grows
/// with the square of the file; such a model is left out of the reply, which the protocol allows.
pub(crate) const MAX_MODEL: usize = MAX_FRAME / 2;

/// Longest name of an SMF symbol in bytes (choice smf.name-length): names that are tails of each other would
/// otherwise cost time that grows with the square of the file.
pub(crate) const MAX_NAME: usize = 4095;

/// Largest alignment of an SMF section in bytes (choice smf.alignment): what pages give.
pub(crate) const MAX_ALIGNMENT: u64 = 4096;

/// What a part of the data image with permissions of its own starts at a multiple of, in bytes (choice
/// smf.image): the smallest page of any supported processor.
pub(crate) const SEGMENT_ALIGNMENT: u64 = 4096;

/// Bytes that both images of an SMF module may have together (choice smf.budget): a file of 300 bytes can
/// ask for any number. It also keeps every place of a module within the reach of 32 signed bits.
pub(crate) const MAX_IMAGES: u64 = 1 << 30;

/// Largest list of exports in a reply, in bytes of JSON as estimated from above: a quarter of a frame, beside
/// [`MAX_MODEL`].
pub(crate) const MAX_EXPORTS: usize = MAX_FRAME / 4;
