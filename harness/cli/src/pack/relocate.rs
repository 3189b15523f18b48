//! Resolves the relocations of the packed sections inside the blob.
//!
//! In the formulas, S is the target, A the addend and P the place, all counted from the start of the blob.
//! What only depends on their differences is resolved by [`x86_64`], [`x86_32`] or [`arm64`]; a blob does
//! not know its own address, so anything else cannot be.

mod arm64;
mod error;
mod place;
mod x86_32;
mod x86_64;

use object::read::{Object as _, ObjectSection as _, ObjectSymbol as _};
use object::{
    Relocation, RelocationFlags, RelocationTarget, Section, SectionIndex, Symbol, SymbolSection,
    elf,
};

use super::elf::{Object, Role, is_indirect, role, section_name};
use super::layout::Layout;
use super::{Architecture, PackError};

pub use error::{RelocationError, RelocationFault};
use place::Place;

/// How one type of relocation is resolved.
type Method = fn(&mut Place<'_>) -> Result<(), RelocationFault>;

/// The symbol by which position-independent code asks for the table of addresses.
const TABLE_SYMBOL: &str = "_GLOBAL_OFFSET_TABLE_";

/// Resolves everything, or says what cannot be.
pub(super) fn resolve(object: &Object<'_>, layout: &mut Layout) -> Result<(), PackError> {
    for index in layout.sections() {
        let section = object.file.section_by_index(index)?;
        for (offset, relocation) in section.relocations() {
            resolve_one(object, layout, &section, offset, &relocation).map_err(|fault| {
                RelocationError {
                    relocation: type_name(object.architecture, &relocation),
                    section: section_name(&section),
                    offset,
                    symbol: target_name(object, &relocation),
                    fault,
                }
            })?;
        }
    }
    Ok(())
}

fn resolve_one(
    object: &Object<'_>,
    layout: &mut Layout,
    section: &Section<'_, '_>,
    offset: u64,
    relocation: &Relocation,
) -> Result<(), RelocationFault> {
    let method = method(object.architecture, relocation);
    let target = target(object, layout, relocation);
    // That something is not there at all is said first, for it is the simplest to understand.
    if target == Err(RelocationFault::Undefined) {
        return Err(RelocationFault::Undefined);
    }
    let Some(method) = method? else { return Ok(()) };
    let start = layout.start(section.index()).ok_or(RelocationFault::Damaged)?;
    let target = target?;
    let mut place = Place::new(
        layout.bytes_from(start),
        section.size(),
        offset,
        start,
        target,
        relocation.addend(),
    )?;
    method(&mut place)
}

/// How the machine resolves a relocation of this type; `None` for one that asks for nothing.
fn method(
    architecture: Architecture,
    relocation: &Relocation,
) -> Result<Option<Method>, RelocationFault> {
    let RelocationFlags::Elf { r_type } = relocation.flags() else {
        return Err(RelocationFault::Unsupported);
    };
    match architecture {
        Architecture::X86_64 => x86_64::method(r_type),
        Architecture::Arm64 => arm64::method(r_type),
        Architecture::X86_32 => x86_32::method(r_type),
    }
}

/// S: where in the blob the relocation's target lies, without the addend.
fn target(
    object: &Object<'_>,
    layout: &Layout,
    relocation: &Relocation,
) -> Result<u64, RelocationFault> {
    match relocation.target() {
        RelocationTarget::Symbol(index) => {
            let symbol =
                object.file.symbol_by_index(index).map_err(|_| RelocationFault::Damaged)?;
            symbol_target(object, layout, &symbol)
        }
        RelocationTarget::Section(index) => section_target(object, layout, index),
        _ => Err(RelocationFault::Absolute),
    }
}

fn symbol_target(
    object: &Object<'_>,
    layout: &Layout,
    symbol: &Symbol<'_, '_>,
) -> Result<u64, RelocationFault> {
    if is_indirect(symbol) {
        return Err(RelocationFault::IndirectFunction);
    }
    match symbol.section() {
        SymbolSection::Section(index) => section_target(object, layout, index)?
            .checked_add(symbol.address())
            .ok_or(RelocationFault::Damaged),
        SymbolSection::Common => Err(RelocationFault::Writable("common storage".into())),
        SymbolSection::Absolute => Err(RelocationFault::Absolute),
        // The table is never defined in an object; that it is asked for is what the method reports.
        _ if symbol.name() == Ok(TABLE_SYMBOL) => Ok(0),
        _ => Err(RelocationFault::Undefined),
    }
}

fn section_target(
    object: &Object<'_>,
    layout: &Layout,
    index: SectionIndex,
) -> Result<u64, RelocationFault> {
    if let Some(start) = layout.start(index) {
        return Ok(start);
    }
    let section = object.file.section_by_index(index).map_err(|_| RelocationFault::Damaged)?;
    let name = section_name(&section);
    match role(&section) {
        Role::Writable => Err(RelocationFault::Writable(name)),
        _ => Err(RelocationFault::NotPacked(name)),
    }
}

/// The relocation's name in the machine's ABI.
pub(super) fn type_name(architecture: Architecture, relocation: &Relocation) -> String {
    let RelocationFlags::Elf { r_type } = relocation.flags() else {
        return "relocation".into();
    };
    let names = match architecture {
        Architecture::X86_64 => &elf::NAMES_R_X86_64,
        Architecture::Arm64 => &elf::NAMES_R_AARCH64,
        Architecture::X86_32 => &elf::NAMES_R_386,
    };
    names.name(r_type).map_or_else(|| format!("relocation type {}", r_type.0), str::to_owned)
}

/// What a person calls the target: assemblers refer to static things by their section and an addend.
pub(super) fn target_name(object: &Object<'_>, relocation: &Relocation) -> String {
    let section = match relocation.target() {
        RelocationTarget::Symbol(index) => match object.file.symbol_by_index(index) {
            Ok(symbol) if symbol.name_bytes().is_ok_and(|name| !name.is_empty()) => {
                return symbol_name(&symbol);
            }
            Ok(symbol) => symbol.section_index(),
            Err(_) => None,
        },
        RelocationTarget::Section(index) => Some(index),
        _ => None,
    };
    let Some(index) = section else { return "an absolute address".into() };
    static_name(object, index, relocation.addend()).unwrap_or_else(|| {
        object.file.section_by_index(index).map_or("?".into(), |section| section_name(&section))
    })
}

/// The named thing at `addend` of a section.
fn static_name(object: &Object<'_>, section: SectionIndex, addend: i64) -> Option<String> {
    // On x86 the addend of a reference relative to the next instruction is 4 less than the offset.
    let slack = if object.architecture == Architecture::X86_64 { 4 } else { 0 };
    let offset = u64::try_from(addend.checked_add(slack)?).ok()?;
    let holds = |symbol: &Symbol<'_, '_>| {
        symbol.section_index() == Some(section)
            && symbol.address() <= offset
            && offset < symbol.address().saturating_add(symbol.size())
    };
    object.file.symbols().find(holds).as_ref().map(symbol_name)
}

fn symbol_name(symbol: &Symbol<'_, '_>) -> String {
    symbol.name_bytes().map_or("?".into(), |name| String::from_utf8_lossy(name).into_owned())
}
