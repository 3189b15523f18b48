//! The loader's side of a pipe connection: a loop that any Rust loader can use.

use std::io::{Read, Write};

use crate::frame::{self, FrameError};
use crate::{Case, Describe, FromLoader, Reply, ToLoader};

/// A loader that answers cases.
pub trait Loader {
    /// How the loader describes itself at the handshake.
    fn describe(&self) -> Describe;

    /// Judges one file. What was mapped for it stays mapped until [`release`](Self::release).
    fn judge(&mut self, case: &Case) -> Reply;

    /// Unmaps whatever the last case left mapped; called when the next frame has arrived.
    fn release(&mut self) {}
}

/// Serves `loader` until the harness says bye or closes the stream.
///
/// # Errors
/// When a stream fails or a frame is not a message of this protocol.
pub fn serve(
    loader: &mut impl Loader,
    input: &mut impl Read,
    output: &mut impl Write,
) -> Result<(), FrameError> {
    while let Some(message) = frame::read::<ToLoader>(input)? {
        loader.release();
        match message {
            ToLoader::Hello { .. } => frame::write(output, &FromLoader::Hello(loader.describe()))?,
            ToLoader::Case(case) => {
                let reply = Reply { seq: case.seq, ..loader.judge(&case) };
                frame::write(output, &FromLoader::Result(reply))?;
            }
            ToLoader::Bye => break,
        }
    }
    loader.release();
    Ok(())
}
