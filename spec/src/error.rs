//! Errors of a spec, with the place in the YAML they are about.

use miette::{Diagnostic, NamedSource, SourceSpan};

/// Something is wrong with a spec. Display is `file:line:column: what`; through `miette` it is shown with
/// the lines around it.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{file}:{line}:{column}: {message}")]
pub struct SpecError {
    /// File name as the user gave it.
    pub file: String,
    /// Line, counting from 1.
    pub line: usize,
    /// Column in characters, counting from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    #[help]
    help: Option<String>,
    #[source_code]
    source_code: NamedSource<String>,
    #[label("here")]
    span: SourceSpan,
}

impl SpecError {
    /// An error about the byte at `at` of `text`.
    #[must_use]
    pub fn at(
        file: &str,
        text: &str,
        at: usize,
        message: String,
        help: Option<String>,
    ) -> Box<Self> {
        let at = floor_char_boundary(text, at);
        let before = text.get(..at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let rest = text.get(at..).unwrap_or_default();
        let length = rest.find(['\n', ',', '}', ']']).unwrap_or(rest.len());
        Box::new(Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            message,
            help,
            source_code: NamedSource::new(file, text.to_owned()).with_language("yaml"),
            span: (at, length).into(),
        })
    }
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}
