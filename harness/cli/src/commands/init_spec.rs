//! `harness init-spec [FILE]`: a commented spec to start one's own from.

use std::path::PathBuf;

use crate::failure::{CommandResult, Failure};
use crate::input;

/// Write a commented spec to start your own format from
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where to write it; `-` is standard output
    #[arg(default_value = "format.yaml")]
    file: PathBuf,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
}

/// Writes the starter.
pub(crate) fn run(options: &Options) -> CommandResult {
    if options.file.exists() && !options.force {
        let message = format!("{}: exists already", options.file.display());
        return Err(Failure::usage_with(
            message,
            "name another file, or overwrite it with --force",
        ));
    }
    input::write(&options.file, blobspec::STARTER.as_bytes())?;
    if options.file.as_os_str() != input::STDIN {
        let file = options.file.display();
        anstream::eprintln!("wrote {file}; now edit it and try: harness check-spec {file}");
    }
    Ok(harness_protocol::exit::OK)
}
