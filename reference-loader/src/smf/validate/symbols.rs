//! Rules of the symbol table.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::{Findings, fits};
use crate::smf::file::File;
use crate::smf::hash::hash_and_bits;
use crate::smf::layout::Layout;
use crate::smf::names::{NameFault, Names};
use crate::smf::rule::Rule;
use crate::smf::symbols::{Symbol, SymbolType};

pub(super) fn check(file: &File<'_>, layout: &Layout, findings: &mut Findings) {
    let names = file.names();
    for symbol in file.symbols().iter() {
        name(&symbol, &names, findings);
        place(&symbol, layout, findings);
    }
}

#[inline]
fn name(symbol: &Symbol, names: &Names<'_>, findings: &mut Findings) {
    let name = match names.find(symbol.name_offset) {
        Ok(name) => name,
        Err(NameFault::Outside) => return findings.report(Rule::SymbolName, symbol.name_at()),
        Err(NameFault::TooLong) => {
            return findings.report(Rule::SymbolNameLength, symbol.name_at());
        }
    };
    let (hash, bits) = hash_and_bits(name);
    let text = bits.is_ascii() || std::str::from_utf8(name).is_ok();
    findings.require(text, Rule::SymbolNameUtf8, symbol.name_at());
    findings.require(hash == symbol.name_hash, Rule::SymbolHash, symbol.hash_at());
}

#[inline]
fn place(symbol: &Symbol, layout: &Layout, findings: &mut Findings) {
    if symbol.is_import() {
        return;
    }
    let (image, rule) = match symbol.kind() {
        Some(SymbolType::Function) => (layout.code(), Rule::SymbolCodeBounds),
        Some(SymbolType::Data | SymbolType::Constant) => (layout.data(), Rule::SymbolDataBounds),
        _ => return,
    };
    findings.require(fits(symbol.value, symbol.size.max(1), image), rule, symbol.record);
}
