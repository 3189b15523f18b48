//! SCP-HEADER-CHECKSUM to SCP-FILE-TRAILING, and SCP-HEADER-GC: the header says what is true.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::Findings;
use crate::checksum;
use crate::cursor::wide;
use crate::file::File;
use crate::header::{at, flag};
use crate::rule::Rule;

pub(super) fn check(file: &File<'_>, findings: &mut Findings) {
    let header = file.header();
    let undefined = header.flags & !flag::DEFINED;
    let mut require = |holds, rule, offset| findings.require(holds, rule, offset);
    require(checksum::of(file.covered()) == header.checksum, Rule::HeaderChecksum, at::CHECKSUM);
    require(header.architecture().is_some(), Rule::HeaderArchitecture, at::ARCHITECTURE);
    require(header.calling_convention().is_some(), Rule::HeaderConvention, at::CONVENTION);
    require(undefined == 0, Rule::HeaderFlags, at::FLAGS);
    require(header.flags & flag::REQUIRES_GC == 0, Rule::HeaderGc, at::FLAGS);
    require(header.reserved == [0; 4], Rule::HeaderReserved, at::RESERVED);
    if let Some(index) = file.slack().iter().position(|byte| *byte != 0) {
        findings.report(Rule::HeaderSlack, file.slack_start().saturating_add(wide(index)));
    }
    if let Some(offset) = file.trailing() {
        findings.report(Rule::FileTrailing, offset);
    }
}
