//! A file decoded: where everything is, without a judgement on what it says.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::error::{Error, Violation};
use super::header::Header;
use super::layout::{Layout, Placed};
use super::names::Names;
use super::quota::{Quota, Unlimited, reserve};
use super::relocations::{self, Relocation, Relocations};
use super::rule::Rule;
use super::sections::{Section, SectionType, Sections};
use super::symbols::{Symbol, Symbols};
use super::table::Record;
use super::validate::check;
use crate::cursor::wide;

/// A decoded file, borrowed from its bytes. Nothing is copied; the tables are read as they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    bytes: &'a [u8],
    header: Header,
    sections: Sections<'a>,
    symbols: Symbols<'a>,
    names: Names<'a>,
}

/// Decodes `bytes` and stops at the first thing that does not decode. What decodes may still break rules:
/// see [`File::validate`].
///
/// # Errors
/// A violation of stage `malformed`, or `unsupported` when the version is not 1.0. [`Error::OutOfMemory`]
/// only for files whose Reloc sections overlap: looking at each relocation once takes memory then.
pub fn parse(bytes: &[u8]) -> Result<File<'_>, Error> {
    decode(bytes, &Unlimited)
}

/// Decodes `bytes` and checks every rule that does not depend on the host.
///
/// # Errors
/// The violation that comes first by stage, then by the canonical order of [`Rule`], then by offset;
/// [`Error::OutOfMemory`].
pub fn validate(bytes: &[u8]) -> Result<File<'_>, Error> {
    validate_within(bytes, &Unlimited)
}

/// As [`validate`], with what `quota` grants.
pub(crate) fn validate_within<'a>(bytes: &'a [u8], quota: &dyn Quota) -> Result<File<'a>, Error> {
    let file = decode(bytes, quota)?;
    check(&file, quota)?;
    Ok(file)
}

fn decode<'a>(bytes: &'a [u8], quota: &dyn Quota) -> Result<File<'a>, Error> {
    let header = Header::decode(bytes)?;
    let outside = |rule| move |offset| Violation { rule, offset };
    let (start, count) = (header.section_table_offset, header.section_count);
    let sections =
        Sections::locate(bytes, start, count).map_err(outside(Rule::SectionTableBounds))?;
    decode_sections(bytes, &sections)?;
    decode_relocations(bytes, &sections, quota)?;
    let (start, count) = (header.symbol_table_offset, header.symbol_count);
    let symbols = Symbols::locate(bytes, start, count).map_err(outside(Rule::SymbolTableBounds))?;
    decode_symbols(&symbols)?;
    let names = usize::try_from(symbols.end()).ok().and_then(|end| bytes.get(end..));
    Ok(File { bytes, header, sections, symbols, names: Names::new(names.unwrap_or_default()) })
}

fn decode_sections(bytes: &[u8], sections: &Sections<'_>) -> Result<(), Violation> {
    if let Some(section) = sections.iter().find(|section| section.kind().is_none()) {
        return Err(Violation { rule: Rule::SectionType, offset: section.type_at() });
    }
    let record = wide(relocations::SIZE);
    let uneven = |section: &Section| !section.size.is_multiple_of(record);
    if let Some(section) = reloc_sections(sections).find(uneven) {
        return Err(Violation { rule: Rule::RelocSectionSize, offset: section.size_at() });
    }
    let outside = |section: &Section| {
        let end = section.offset.checked_add(section.size);
        section.kind() != Some(SectionType::Bss) && end.is_none_or(|end| end > wide(bytes.len()))
    };
    match sections.iter().find(outside) {
        Some(section) => Err(Violation { rule: Rule::SectionBounds, offset: section.offset }),
        None => Ok(()),
    }
}

/// Checks the type of every relocation, in table order.
fn decode_relocations(
    bytes: &[u8],
    sections: &Sections<'_>,
    quota: &dyn Quota,
) -> Result<(), Error> {
    let total =
        reloc_sections(sections).fold(0_u64, |sum, section| sum.saturating_add(section.size));
    let first = if total > wide(bytes.len()) {
        first_undefined_of_overlapping(bytes, sections, quota)?
    } else {
        let mut all = reloc_sections(sections).flat_map(|section| list(bytes, &section).iter());
        all.find(|relocation| relocation.kind().is_none())
    };
    match first {
        Some(relocation) => {
            Err(Violation { rule: Rule::RelocType, offset: relocation.type_at() }.into())
        }
        None => Ok(()),
    }
}

/// The first relocation in table order whose type is not defined, of sections that share bytes. Each place
/// of the file is looked at once, however many sections hold it: thousands of sections could each hold
/// all of the file.
fn first_undefined_of_overlapping(
    bytes: &[u8],
    sections: &Sections<'_>,
    quota: &dyn Quota,
) -> Result<Option<Relocation>, Error> {
    let places = bytes.windows(relocations::SIZE);
    // For each place, counted from the last: how many good records follow each other from there.
    let mut runs: Vec<u32> = reserve(quota, places.len())?;
    for place in places.rev() {
        let good =
            place.first_chunk().is_some_and(|place| Relocation::read(place, 0).kind().is_some());
        let after = runs.len().checked_sub(relocations::SIZE).and_then(|last| runs.get(last));
        runs.push(if good { after.copied().unwrap_or(0).saturating_add(1) } else { 0 });
    }
    let mut firsts = reloc_sections(sections).filter_map(|section| {
        let list = list(bytes, &section);
        let place = usize::try_from(section.offset).ok()?;
        let from_end = runs.len().checked_sub(place)?.checked_sub(1)?;
        list.at(usize::try_from(*runs.get(from_end)?).ok()?)
    });
    Ok(firsts.next())
}

fn decode_symbols(symbols: &Symbols<'_>) -> Result<(), Violation> {
    let unknown = |symbol: &Symbol| symbol.kind().is_none() || symbol.binding().is_none();
    let Some(first) = symbols.iter().find(unknown) else { return Ok(()) };
    match symbols.iter().find(|symbol| symbol.kind().is_none()) {
        Some(symbol) => Err(Violation { rule: Rule::SymbolType, offset: symbol.type_at() }),
        None => Err(Violation { rule: Rule::SymbolBinding, offset: first.binding_at() }),
    }
}

fn reloc_sections<'a>(sections: &Sections<'a>) -> impl Iterator<Item = Section> + Clone + use<'a> {
    sections.iter().filter(|section| section.kind() == Some(SectionType::Reloc))
}

/// The records of a Reloc section that lies in `bytes`.
fn list<'a>(bytes: &'a [u8], section: &Section) -> Relocations<'a> {
    Relocations::over(contents(bytes, section), section.offset)
}

/// The bytes of a section that lies in `bytes`; none of a Bss section.
fn contents<'a>(bytes: &'a [u8], section: &Section) -> &'a [u8] {
    let part = || {
        let (start, end) = section.extent()?;
        bytes.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    };
    part().unwrap_or_default()
}

impl<'a> File<'a> {
    /// Checks every rule that a decoded file can break and that does not depend on the host.
    ///
    /// # Errors
    /// As [`validate`].
    pub fn validate(&self) -> Result<(), Error> {
        check(self, &Unlimited)
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The section table.
    #[must_use]
    pub fn sections(&self) -> Sections<'a> {
        self.sections
    }

    /// The symbol table.
    #[must_use]
    pub fn symbols(&self) -> Symbols<'a> {
        self.symbols
    }

    /// The string table.
    #[must_use]
    pub fn names(&self) -> Names<'a> {
        self.names
    }

    /// The relocations: one list for each Reloc section, in table order.
    pub fn relocations(&self) -> impl Iterator<Item = Relocations<'a>> + Clone + use<'a> {
        let bytes = self.bytes;
        reloc_sections(&self.sections).map(move |section| list(bytes, &section))
    }

    /// The bytes that `section` has in this file; none if it is a Bss section.
    #[must_use]
    pub fn contents(&self, section: &Section) -> &'a [u8] {
        contents(self.bytes, section)
    }

    /// The sections that are mapped, in table order, with their places in their images.
    pub(crate) fn placed(&self) -> impl Iterator<Item = Placed> + Clone + use<'a> {
        let mut layout = Layout::default();
        self.sections.iter().filter_map(move |section| layout.place(section))
    }

    /// Sizes of the images.
    #[must_use]
    pub fn layout(&self) -> Layout {
        Layout::of(self.sections.iter())
    }
}
