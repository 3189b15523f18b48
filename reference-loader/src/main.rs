//! The program `reference-loader`: serves the harness on standard input and output.

use std::io::{stdin, stdout};
use std::process::ExitCode;

use harness_protocol::{exit, serve};
use reference_loader::Adapter;

fn main() -> ExitCode {
    if std::env::args_os().len() > 1 {
        eprintln!(
            "reference-loader takes no arguments: it speaks the harness's pipe protocol on stdin and stdout"
        );
        return ExitCode::from(exit::USAGE);
    }
    match serve::serve(&mut adapter(), &mut stdin().lock(), &mut stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reference-loader: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(unsafe_code, reason = "this program executes what it is asked to")]
fn adapter() -> Adapter {
    // SAFETY: this process does nothing but answer the harness, which contains it and takes a crash for a
    // verdict.
    unsafe { Adapter::executing() }
}
