//! Rules of the relocations.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::overlap::{self, Stretch};
use super::{Findings, fits};
use crate::cursor::narrow;
use crate::smf::error::Error;
use crate::smf::file::File;
use crate::smf::layout::Layout;
use crate::smf::quota::Quota;
use crate::smf::relocations::{Relocation, RelocationType};
use crate::smf::rule::Rule;
use crate::smf::symbols::{SymbolType, Symbols};

pub(super) fn check(
    file: &File<'_>,
    layout: &Layout,
    quota: &dyn Quota,
    findings: &mut Findings,
) -> Result<(), Error> {
    // Sections that overlap were found already; only then could there be more relocations than bytes.
    if findings.before(Rule::RelocSymbol) {
        return Ok(());
    }
    let all = file.relocations().flat_map(|list| list.iter());
    let symbols = file.symbols();
    for relocation in all.clone() {
        symbol(&relocation, &symbols, findings);
        let inside = fits(relocation.offset, relocation.width(), layout.code());
        findings.require(inside, Rule::RelocBounds, relocation.record);
    }
    if findings.before(Rule::RelocOverlap) {
        return Ok(());
    }
    let patched = all.filter(|relocation| relocation.width() > 0).map(|relocation| Stretch {
        start: relocation.offset,
        end: relocation.offset.saturating_add(relocation.width()),
        record: relocation.record,
    });
    overlap::find(patched, quota, |stretch| {
        findings.report(Rule::RelocOverlap, stretch.record);
    })
}

#[inline]
fn symbol(relocation: &Relocation, symbols: &Symbols<'_>, findings: &mut Findings) {
    let at = relocation.symbol_at();
    let Some(symbol) = symbols.at(narrow(relocation.symbol_index)) else {
        return findings.report(Rule::RelocSymbol, at);
    };
    let patches = relocation.kind() != Some(RelocationType::None);
    let address = symbol.kind().is_some_and(SymbolType::is_address);
    findings.require(address || !patches, Rule::RelocSymbolType, at);
}
