//! `harness reference-loader` (hidden): the built-in loader, speaking the protocol like any third party.

use harness_protocol::serve::serve;

use crate::failure::{CommandResult, Failure};
use crate::frames;

/// Serves the reference loader on standard input and output.
pub(crate) fn run() -> CommandResult {
    let mut output =
        frames::apart().map_err(|error| Failure::bug(format!("standard output: {error}")))?;
    #[expect(
        unsafe_code,
        reason = "the loader executes code that it is sent; the user asked for that"
    )]
    // SAFETY: `Adapter::executing` asks that whoever sends cases may have code executed in this process. This
    // process is started by the harness for nothing else, and dies with the case that goes wrong.
    let mut adapter = unsafe { reference_loader::Adapter::executing() };
    serve(&mut adapter, &mut std::io::stdin().lock(), &mut output)
        .map_err(|error| Failure::usage(format!("reference-loader: {error}")))?;
    Ok(harness_protocol::exit::OK)
}
