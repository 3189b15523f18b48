//! A file decoded: where everything is, without a judgement on what it says.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use crate::cursor::{Cursor, wide};
use crate::dependencies::Dependencies;
use crate::error::{Error, Violation};
use crate::functions::Functions;
use crate::header::{FIXED_SIZE, Header};
use crate::rule::Rule;
use crate::strings::Strings;
use crate::types::Types;
use crate::validate::check;

/// A decoded file, borrowed from its bytes. Nothing is copied; the tables are read as they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    bytes: &'a [u8],
    header: Header,
    functions: Functions<'a>,
    types: Types<'a>,
    dependencies: Dependencies<'a>,
    strings: Strings<'a>,
    slack: Cursor<'a>,
    code: &'a [u8],
}

/// Decodes `bytes` and stops at the first thing that does not decode. What decodes may still break rules:
/// see [`File::validate`].
///
/// # Errors
/// A violation of stage `malformed`, or `unsupported` when the version is not 0.1.
pub fn parse(bytes: &[u8]) -> Result<File<'_>, Error> {
    Ok(decode(bytes)?)
}

/// Decodes `bytes` and checks every rule of the format.
///
/// # Errors
/// The violation that comes first by stage, then by the canonical order of [`Rule`], then by offset.
pub fn validate(bytes: &[u8]) -> Result<File<'_>, Error> {
    let file = decode(bytes)?;
    file.validate()?;
    Ok(file)
}

fn decode(bytes: &[u8]) -> Result<File<'_>, Violation> {
    let header = Header::decode(bytes)?;
    let mut tables = Cursor::between(bytes, FIXED_SIZE, header.tables_end());
    let functions = Functions::decode(&mut tables)?;
    let types = Types::decode(&mut tables)?;
    let dependencies = Dependencies::decode(&mut tables)?;
    let strings = Strings::decode(&mut tables)?;
    let code = code(bytes, &header)?;
    Ok(File { bytes, header, functions, types, dependencies, strings, slack: tables, code })
}

/// The bytes of the code. The sum of its bounds may exceed 64 bits.
fn code<'a>(bytes: &'a [u8], header: &Header) -> Result<&'a [u8], Violation> {
    header
        .code_end()
        .and_then(|end| usize::try_from(end).ok())
        .and_then(|end| bytes.get(header.tables_end()..end))
        .ok_or(Violation { rule: Rule::CodeBounds, offset: u64::from(header.header_size) })
}

impl<'a> File<'a> {
    /// Checks every rule that a decoded file can break.
    ///
    /// # Errors
    /// The violation that comes first by stage, then by the canonical order of [`Rule`], then by offset.
    pub fn validate(&self) -> Result<(), Error> {
        Ok(check(self)?)
    }

    /// The fixed part.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The functions, in file order.
    #[must_use]
    pub fn functions(&self) -> Functions<'a> {
        self.functions
    }

    /// The types, in file order.
    #[must_use]
    pub fn types(&self) -> Types<'a> {
        self.types
    }

    /// The dependencies, in file order.
    #[must_use]
    pub fn dependencies(&self) -> Dependencies<'a> {
        self.dependencies
    }

    /// The strings.
    #[must_use]
    pub fn strings(&self) -> Strings<'a> {
        self.strings
    }

    /// What lies between the strings and the code.
    #[must_use]
    pub fn slack(&self) -> &'a [u8] {
        self.slack.rest()
    }

    /// The machine code.
    #[must_use]
    pub fn code(&self) -> &'a [u8] {
        self.code
    }

    /// Where the slack starts, in bytes from the start of the file.
    pub(crate) fn slack_start(&self) -> u64 {
        self.slack.offset()
    }

    /// Header, tables and code: what the checksum covers.
    pub(crate) fn covered(&self) -> &'a [u8] {
        let length = self.header.tables_end().saturating_add(self.code.len());
        self.bytes.get(..length).unwrap_or(self.bytes)
    }

    /// Where the first byte after the code lies, if there is one.
    pub(crate) fn trailing(&self) -> Option<u64> {
        let end = self.covered().len();
        (self.bytes.len() > end).then_some(wide(end))
    }
}
