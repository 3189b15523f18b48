//! What ends a command early: an exit code and a report for people.

use harness_protocol::exit;
use miette::Diagnostic;

use crate::args::Global;

/// The result of a command: the exit code.
pub(crate) type CommandResult = Result<u8, Failure>;

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What the process exits with.
    pub(crate) code: u8,
    report: miette::Report,
}

/// A message with an optional hint.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
struct Message {
    message: String,
    #[help]
    help: Option<String>,
}

impl Failure {
    /// The command line or a file that it names cannot be used.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(exit::USAGE, message, None)
    }

    /// The same, saying what to do about it.
    pub(crate) fn usage_with(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(exit::USAGE, message, Some(help.into()))
    }

    /// A bug in the harness.
    pub(crate) fn bug(message: impl std::fmt::Display) -> Self {
        let help =
            "this is a bug in the harness: please report it with the command line".to_owned();
        Self::new(exit::HARNESS_BUG, message.to_string(), Some(help))
    }

    /// Any other end.
    pub(crate) fn new(code: u8, message: impl Into<String>, help: Option<String>) -> Self {
        Self { code, report: Message { message: message.into(), help }.into() }
    }

    /// A spec that cannot be used, shown with the lines around the mistake.
    pub(crate) fn spec(error: blobspec::SpecError) -> Self {
        Self { code: exit::USAGE, report: error.into() }
    }

    /// Writes it to stderr: as a report with context, or as one JSON object.
    pub(crate) fn print(&self, global: &Global) {
        if global.json {
            let help = self.report.help().map(|help| help.to_string());
            let error = serde_json::json!({"error": self.report.to_string(), "help": help, "exit_code": self.code});
            anstream::eprintln!("{error}");
        } else {
            anstream::eprint!("{:?}", self.report);
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.report.fmt(f)
    }
}

impl From<Box<blobspec::SpecError>> for Failure {
    fn from(error: Box<blobspec::SpecError>) -> Self {
        Self::spec(*error)
    }
}
