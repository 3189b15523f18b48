//! Speaks the pipe protocol for a loader that is a shared library.
//!
//! The library exports the four C functions of `harness/adapters/c/blob_loader.h`. This crate opens it
//! (`abi` holds all that is unsafe about that), checks everything it says (`report`) and answers cases
//! with it (`host`). What a library says that its interface does not allow is no verdict on a file: it is
//! answered with a message and neither stage nor skip, which the harness counts as a protocol fault.
//!
//! The process that calls [`serve`] is expendable. Foreign code runs in it without any containment: it is
//! to be a process of its own, whose death the harness can observe. Its standard output should not be
//! descriptor 1 but a copy of it, so that a library that prints does not end up between two frames.

mod abi;
mod error;
mod host;
mod report;

use std::io::{Read, Write};
use std::path::Path;

pub use error::HostError;

/// Loads the shared library `library` and serves it until the harness says bye or closes `input`.
///
/// # Errors
/// When the library cannot be loaded, lacks one of the four functions, does not describe itself in the
/// protocol's terms, or when a stream fails.
pub fn serve(
    library: &Path,
    input: &mut impl Read,
    output: &mut impl Write,
) -> Result<(), HostError> {
    let mut host = host::Host::open(library)?;
    harness_protocol::serve::serve(&mut host, input, output)?;
    Ok(())
}
