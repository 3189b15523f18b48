//! Every cap of the loader, with its reason.
//!
//! The parser itself needs none: it borrows from the file, and every count is bounded by the bytes that
//! are there. Memory beyond the file is one table slot per function (unique names), 8 KiB (unique type
//! ids) and, for a loaded module, the code once more and its functions' names.

use harness_protocol::limits::MAX_FRAME;

/// Largest model in a reply, in bytes of JSON as estimated from above. Half a frame leaves room for the
/// buffers of a call. A file may name one long string from each of its entries, so that the model grows
/// with the square of the file; such a model is left out of the reply, which the protocol allows.
pub(crate) const MAX_MODEL: usize = MAX_FRAME / 2;
