//! Rules of the header.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::{Findings, fits};
use crate::cursor::wide;
use crate::smf::file::File;
use crate::smf::header::{at, flag};
use crate::smf::layout::Layout;
use crate::smf::rule::Rule;
use crate::smf::symbols::Symbol;

pub(super) fn check(file: &File<'_>, layout: &Layout, findings: &mut Findings) {
    let header = file.header();
    findings.require(header.flags & !flag::DEFINED == 0, Rule::HeaderFlags, at::FLAGS);
    findings.require(header.reserved == [0; 8], Rule::HeaderReserved, at::RESERVED);
    if header.has(flag::EXECUTABLE) {
        let inside = fits(header.entry_point, 1, layout.code());
        findings.require(inside, Rule::HeaderEntry, 0);
    } else {
        findings.require(header.entry_point == 0, Rule::HeaderNoEntry, at::ENTRY_POINT);
    }
    let exported = file.symbols().iter().filter(Symbol::is_export).count();
    let counted = u64::from(header.exported_count) == wide(exported);
    findings.require(counted, Rule::HeaderExported, at::EXPORTED_COUNT);
    let compressed = header.has(flag::COMPRESSED);
    findings.require(!compressed, Rule::HeaderCompressed, at::FLAGS);
    findings.require(header.platform().is_some(), Rule::HeaderPlatform, at::PLATFORM);
    findings.require(header.architecture().is_some(), Rule::HeaderArch, at::ARCH);
}
