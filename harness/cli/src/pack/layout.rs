//! Which sections go where in the blob.
//!
//! All code first, in the order of the object, then the read-only data that the code refers to, directly
//! or through other such data. Each section keeps its alignment, counted from the start of the blob, which
//! is mapped at the start of a page.

use std::collections::{BTreeMap, BTreeSet};

use object::read::{Object as _, ObjectSection as _, ObjectSymbol as _};
use object::{Relocation, RelocationTarget, Section, SectionIndex};

use super::PackError;
use super::elf::{Object, Role, alignment, refuse_what_cannot_run, role};

/// The smallest page of the supported machines, in bytes: what the start of the blob is aligned to.
pub(super) const PAGE: u64 = 4096;

/// The blob and where in it each packed section starts.
pub(super) struct Layout {
    blob: Vec<u8>,
    starts: BTreeMap<usize, u64>, // by section index
}

impl Layout {
    /// Lays out the sections with their bytes as the object holds them, not yet relocated.
    pub(super) fn of(object: &Object<'_>) -> Result<Self, PackError> {
        let code = code_sections(object)?;
        let constants = referenced_constants(object, &code)?;
        let mut layout = Self { blob: Vec::new(), starts: BTreeMap::new() };
        for index in code.into_iter().chain(constants) {
            layout.append(&object.file.section_by_index(index)?)?;
        }
        Ok(layout)
    }

    /// Where a section starts, in bytes from the start of the blob; `None` when it is not packed.
    pub(super) fn start(&self, section: SectionIndex) -> Option<u64> {
        self.starts.get(&section.0).copied()
    }

    /// The packed sections.
    pub(super) fn sections(&self) -> Vec<SectionIndex> {
        self.starts.keys().copied().map(SectionIndex).collect()
    }

    /// The bytes from `start` to the end of the blob.
    pub(super) fn bytes_from(&mut self, start: u64) -> &mut [u8] {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        self.blob.get_mut(start..).unwrap_or_default()
    }

    pub(super) fn into_blob(self) -> Vec<u8> {
        self.blob
    }

    fn append(&mut self, section: &Section<'_, '_>) -> Result<(), PackError> {
        let align = usize::try_from(alignment(section)?).unwrap_or(1);
        self.blob.resize(self.blob.len().next_multiple_of(align), 0);
        let start = u64::try_from(self.blob.len()).unwrap_or(u64::MAX);
        self.starts.insert(section.index().0, start);
        self.blob.extend_from_slice(section.data()?);
        Ok(())
    }
}

fn code_sections(object: &Object<'_>) -> Result<Vec<SectionIndex>, PackError> {
    let mut code = Vec::new();
    for section in object.file.sections() {
        refuse_what_cannot_run(&section)?;
        if role(&section) == Role::Code {
            code.push(section.index());
        }
    }
    Ok(code)
}

/// The read-only sections that `code` reaches, in the order of the object.
fn referenced_constants(
    object: &Object<'_>,
    code: &[SectionIndex],
) -> Result<Vec<SectionIndex>, PackError> {
    let mut found = BTreeSet::new();
    let mut pending = code.to_vec();
    while let Some(index) = pending.pop() {
        for (_, relocation) in object.file.section_by_index(index)?.relocations() {
            let Some(target) = target_section(object, &relocation) else { continue };
            let section = object.file.section_by_index(target)?;
            if role(&section) == Role::Constants && found.insert(target.0) {
                pending.push(target);
            }
        }
    }
    Ok(found.into_iter().map(SectionIndex).collect())
}

fn target_section(object: &Object<'_>, relocation: &Relocation) -> Option<SectionIndex> {
    match relocation.target() {
        RelocationTarget::Symbol(index) => object.file.symbol_by_index(index).ok()?.section_index(),
        RelocationTarget::Section(index) => Some(index),
        _ => None,
    }
}
