//! Results on stdout. A reader that has seen enough (`| head`) ends the program quietly; a stream that cannot
//! be written to ends it with a message.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

use harness_protocol::exit;

/// Writes text to stdout, with colours where they are shown.
pub(crate) fn text(text: Arguments<'_>) {
    let mut stdout = anstream::stdout().lock();
    end_on_error(stdout.write_fmt(text).and_then(|()| stdout.flush()));
}

/// Writes bytes to stdout as they are.
pub(crate) fn bytes(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    end_on_error(stdout.write_all(bytes).and_then(|()| stdout.flush()));
}

fn end_on_error(written: std::io::Result<()>) {
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(exit::OK.into()),
        Err(error) => {
            anstream::eprintln!("standard output cannot be written: {error}");
            std::process::exit(exit::USAGE.into());
        }
    }
}

/// Writes formatted text to stdout.
macro_rules! out {
    ($($argument:tt)*) => { $crate::output::text(format_args!($($argument)*)) };
}

/// Writes a line to stdout.
macro_rules! outln {
    () => { $crate::output::text(format_args!("\n")) };
    ($($argument:tt)*) => { $crate::output::text(format_args!("{}\n", format_args!($($argument)*))) };
}

pub(crate) use {out, outln};
