//! Why a library cannot be served.

use std::path::PathBuf;

use harness_protocol::frame::FrameError;

/// Why a library cannot be served. None of these is about a single case.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The file is not there.
    #[error("{library}: {source}")]
    NotFound {
        /// The path as given.
        library: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The dynamic linker refuses the file.
    #[error("{library} cannot be loaded: {source}")]
    Open {
        /// The library.
        library: PathBuf,
        /// What the dynamic linker says.
        source: libloading::Error,
    },
    /// One of the four functions is missing.
    #[error(
        "{library} does not export `{symbol}`: a loader exports the four functions of blob_loader.h, \
         with default visibility and C linkage ({source})"
    )]
    Symbol {
        /// The library.
        library: PathBuf,
        /// The function that is missing.
        symbol: &'static str,
        /// What the dynamic linker says.
        source: libloading::Error,
    },
    /// `blob_describe` does not answer in the protocol's terms.
    #[error("{library}: blob_describe gives no description: {reason}")]
    Describe {
        /// The library.
        library: PathBuf,
        /// What is wrong with the answer.
        reason: String,
    },
    /// A stream failed, or the harness does not speak this protocol.
    #[error(transparent)]
    Frame(#[from] FrameError),
}
