//! Which sections of the objects go where: merged by what they are, each aligned in its image.

use std::collections::BTreeMap;

use harness_codec::limits::MAX_ENCODED;
use object::elf::{
    SHF_ALLOC, SHF_EXECINSTR, SHF_TLS, SHF_WRITE, SHT_NOBITS, SHT_NOTE, SHT_X86_64_UNWIND,
    STT_FILE, STT_SECTION,
};
use object::read::{Object as _, ObjectSection as _, ObjectSymbol as _};
use object::{SectionFlags, SectionIndex, SymbolFlags};

use super::super::elf::{alignment, refuse_what_cannot_run, section_name, symbol_name};
use super::super::layout::PAGE;
use super::relocations::{first_relocation, relocation_error};
use super::{LinkError, LinkFault, Section, SectionKind, SymbolKind, Unit};

/// What is merged to one section of the module, in the module's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Machine code.
    Code,
    /// Read-only data that holds addresses: only the code image is relocated.
    Tables,
    /// Read-only data.
    Constants,
    /// Writable data.
    Variables,
    /// Writable data that starts as zero.
    Zeros,
}

impl Part {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Code => ".text",
            Self::Tables => ".tables",
            Self::Constants => ".rodata",
            Self::Variables => ".data",
            Self::Zeros => ".bss",
        }
    }

    fn kind(self) -> SectionKind {
        match self {
            Self::Code | Self::Tables => SectionKind::Code,
            Self::Constants => SectionKind::RoData,
            Self::Variables => SectionKind::Data,
            Self::Zeros => SectionKind::Bss,
        }
    }

    pub(super) fn symbol_kind(self) -> SymbolKind {
        match self {
            Self::Code | Self::Tables => SymbolKind::Function,
            Self::Constants => SymbolKind::Constant,
            Self::Variables | Self::Zeros => SymbolKind::Data,
        }
    }
}

/// A place in a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) part: Part,
    /// Bytes from the start of the part.
    pub(super) offset: u64,
}

/// The parts, and where every section of every object went.
#[derive(Default)]
pub(super) struct Layout {
    parts: BTreeMap<Part, Merged>,
    places: BTreeMap<(usize, usize), Place>, // by object and section index
    moved: Vec<(String, String)>,
}

#[derive(Default)]
struct Merged {
    bytes: Vec<u8>,
    size: u64,
    align: u64,
    /// Bytes from the start of the image.
    start: u64,
}

impl Layout {
    /// Merges the sections of all objects. Where the parts lie is only known after [`Layout::arrange`].
    pub(super) fn of(units: &[Unit<'_>]) -> Result<Self, LinkError> {
        let mut layout = Self::default();
        for (number, unit) in units.iter().enumerate() {
            let reach = reach(unit)?;
            for section in unit.object.file.sections() {
                refuse_what_cannot_run(&section).map_err(|error| unit.error(error))?;
                let Some(part) = part(unit, &section)? else { continue };
                let size = section.size().max(reach.get(&section.index().0).copied().unwrap_or(0));
                let align = alignment(&section).map_err(|error| unit.error(error))?;
                let offset = layout.extend(part, size, align)?;
                if part != Part::Zeros {
                    layout.fill(part, offset, section.data().map_err(|error| unit.error(error))?);
                }
                layout.places.insert((number, section.index().0), Place { part, offset });
                if part == Part::Tables {
                    layout.moved.push((unit.name.to_owned(), section_name(&section)));
                }
            }
        }
        Ok(layout)
    }

    /// Where a section of an object went; `None` when it is not packed.
    pub(super) fn place(&self, unit: usize, section: SectionIndex) -> Option<Place> {
        self.places.get(&(unit, section.0)).copied()
    }

    /// Adds `size` bytes to a part and gives their offset in it.
    pub(super) fn extend(&mut self, part: Part, size: u64, align: u64) -> Result<u64, LinkError> {
        let merged = self.parts.entry(part).or_default();
        let too_large = || LinkError::TooLarge(MAX_ENCODED);
        let offset = merged.size.checked_next_multiple_of(align.max(1)).ok_or_else(too_large)?;
        merged.size = offset.checked_add(size).ok_or_else(too_large)?;
        merged.align = merged.align.max(align);
        if part != Part::Zeros {
            let length = usize::try_from(merged.size).ok().filter(|size| *size <= MAX_ENCODED);
            merged.bytes.resize(length.ok_or_else(too_large)?, 0);
        }
        Ok(offset)
    }

    fn fill(&mut self, part: Part, offset: u64, data: &[u8]) {
        let Some(merged) = self.parts.get_mut(&part) else { return };
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let room = merged.bytes.get_mut(offset..).unwrap_or_default();
        for (byte, value) in room.iter_mut().zip(data) {
            *byte = *value;
        }
    }

    /// Gives every part its place in its image, as a loader does: in order, at the next multiple of its
    /// alignment, and where the permissions change on a page of its own.
    pub(super) fn arrange(&mut self) {
        self.parts.retain(|_, merged| merged.size > 0);
        let mut before: Option<(Part, u64)> = None;
        for (part, merged) in &mut self.parts {
            merged.align = merged.align.max(1);
            merged.start = match before {
                Some((other, end)) if is_code(other) == is_code(*part) => {
                    let page = if is_writable(other) == is_writable(*part) { 1 } else { PAGE };
                    end.checked_next_multiple_of(merged.align.max(page)).unwrap_or(u64::MAX)
                }
                _ => 0,
            };
            before = Some((*part, merged.start.saturating_add(merged.size)));
        }
        self.close_gaps();
    }

    /// Lets every section reach to the one that follows it with the same permissions, so that a loader that
    /// ignores alignments (choice smf.alignment) places them alike.
    fn close_gaps(&mut self) {
        let mut next: Option<(Part, u64)> = None;
        for (part, merged) in self.parts.iter_mut().rev() {
            if let Some((other, start)) = next
                && is_code(other) == is_code(*part)
                && is_writable(other) == is_writable(*part)
            {
                merged.size = start.saturating_sub(merged.start);
            }
            next = Some((*part, merged.start));
        }
    }

    /// Bytes from the start of the image that `place` lies in.
    pub(super) fn address(&self, place: Place) -> u64 {
        let start = self.parts.get(&place.part).map_or(0, |merged| merged.start);
        start.saturating_add(place.offset)
    }

    /// The size of a part in bytes.
    pub(super) fn size(&self, part: Part) -> u64 {
        self.parts.get(&part).map_or(0, |merged| merged.size)
    }

    pub(super) fn take_moved(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.moved)
    }

    pub(super) fn into_sections(self) -> Vec<Section> {
        let section = |(part, merged): (Part, Merged)| Section {
            kind: part.kind(),
            name: part.name(),
            bytes: merged.bytes,
            virtual_size: merged.size,
            align: merged.align,
        };
        self.parts.into_iter().map(section).collect()
    }
}

fn is_code(part: Part) -> bool {
    part.kind() == SectionKind::Code
}

fn is_writable(part: Part) -> bool {
    matches!(part, Part::Variables | Part::Zeros)
}

/// What `section` is merged to; `None` for one that is not part of the program in memory. Unwind tables and
/// notes are, but no loader of SMF reads them.
fn part(unit: &Unit<'_>, section: &object::Section<'_, '_>) -> Result<Option<Part>, LinkError> {
    let SectionFlags::Elf { sh_type, sh_flags } = section.flags() else { return Ok(None) };
    let has = |flag| sh_flags & flag == flag;
    let name = section_name(section);
    let unread = matches!(sh_type, SHT_NOTE | SHT_X86_64_UNWIND) || name == ".eh_frame";
    if !has(SHF_ALLOC) || unread {
        return Ok(None);
    }
    if has(SHF_TLS) {
        let fault = LinkFault::ThreadLocal;
        return if section.size() == 0 {
            Ok(None)
        } else {
            Err(LinkError::Symbol { object: unit.name.to_owned(), symbol: name, fault })
        };
    }
    // The compiler says of these that they are constant once they are relocated.
    let constant = !has(SHF_WRITE) || name == ".data.rel.ro" || name.starts_with(".data.rel.ro.");
    let relocation = first_relocation(section);
    Ok(Some(match (has(SHF_EXECINSTR), constant, relocation) {
        (true, ..) => Part::Code,
        (false, true, Some(_)) => Part::Tables,
        (false, true, None) => Part::Constants,
        (false, false, Some((offset, relocation))) => {
            let fault = LinkFault::DataAddress;
            return Err(relocation_error(unit, section, offset, &relocation, fault));
        }
        (false, false, None) if sh_type == SHT_NOBITS => Part::Zeros,
        (false, false, None) => Part::Variables,
    }))
}

/// How far the symbols of each section reach: one without a size still needs a byte of its own, for a symbol
/// of a module lies inside its image.
fn reach(unit: &Unit<'_>) -> Result<BTreeMap<usize, u64>, LinkError> {
    let mut reach = BTreeMap::<usize, u64>::new();
    for symbol in unit.object.file.symbols() {
        let (Some(section), SymbolFlags::Elf { st_info, .. }) =
            (symbol.section_index(), symbol.flags())
        else {
            continue;
        };
        if matches!(st_info.st_type(), STT_SECTION | STT_FILE) {
            continue;
        }
        let outside = |name| LinkError::Symbol {
            object: unit.name.to_owned(),
            symbol: name,
            fault: LinkFault::Outside,
        };
        let size =
            unit.object.file.section_by_index(section).map_err(|error| unit.error(error))?.size();
        let end = symbol.address().checked_add(symbol.size()).filter(|end| *end <= size);
        let Some(end) = end else {
            return Err(outside(symbol_name(&symbol).map_err(|error| unit.error(error))?));
        };
        let end = end.max(symbol.address().saturating_add(1));
        let furthest = reach.entry(section.0).or_default();
        *furthest = end.max(*furthest);
    }
    Ok(reach)
}
