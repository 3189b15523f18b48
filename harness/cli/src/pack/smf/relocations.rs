//! The relocations of the code image: what the compiler left open, in the words of SMF.

use object::elf::{
    R_X86_64_8, R_X86_64_16, R_X86_64_32, R_X86_64_32S, R_X86_64_64, R_X86_64_DTPMOD64,
    R_X86_64_DTPOFF32, R_X86_64_DTPOFF64, R_X86_64_GOT32, R_X86_64_GOT64, R_X86_64_GOTOFF64,
    R_X86_64_GOTPC32, R_X86_64_GOTPC32_TLSDESC, R_X86_64_GOTPC64, R_X86_64_GOTPCREL,
    R_X86_64_GOTPCREL64, R_X86_64_GOTPCRELX, R_X86_64_GOTPLT64, R_X86_64_GOTTPOFF, R_X86_64_NONE,
    R_X86_64_PC32, R_X86_64_PLT32, R_X86_64_PLTOFF64, R_X86_64_REX_GOTPCRELX, R_X86_64_TLSDESC,
    R_X86_64_TLSDESC_CALL, R_X86_64_TLSGD, R_X86_64_TLSLD, R_X86_64_TPOFF32, R_X86_64_TPOFF64,
    RelocationType,
};
use object::read::{Object as _, ObjectSection as _};
use object::{RelocationFlags, RelocationTarget, Section};

use super::super::elf::section_name;
use super::super::relocate::{target_name, type_name};
use super::sections::{Layout, Place};
use super::symbols::Table;
use super::{LinkError, LinkFault, Part, Relocation, RelocationKind, Unit, Unlinked};

/// Carries over the relocations of everything that went to the code image.
pub(super) fn read(
    units: &[Unit<'_>],
    layout: &Layout,
    table: &mut Table<'_>,
) -> Result<Vec<Relocation>, LinkError> {
    let mut all = Vec::new();
    for (number, unit) in units.iter().enumerate() {
        for section in unit.object.file.sections() {
            let Some(start) = layout.place(number, section.index()) else { continue };
            if !matches!(start.part, Part::Code | Part::Tables) {
                continue; // these have none
            }
            for (offset, relocation) in section.relocations() {
                let found = carry_over(unit, number, table, &section, offset, &relocation);
                match found {
                    Ok(Some((kind, symbol, addend))) => {
                        let offset = start.offset.saturating_add(offset);
                        let offset = layout.address(Place { offset, ..start });
                        all.push(Relocation { offset, symbol, kind, addend });
                    }
                    Ok(None) => {}
                    Err(fault) => {
                        return Err(relocation_error(unit, &section, offset, &relocation, fault));
                    }
                }
            }
        }
    }
    Ok(all)
}

/// Kind, symbol and addend in the module; `None` for a relocation that asks for nothing.
fn carry_over(
    unit: &Unit<'_>,
    number: usize,
    table: &mut Table<'_>,
    section: &Section<'_, '_>,
    offset: u64,
    relocation: &object::Relocation,
) -> Result<Option<(RelocationKind, u32, i64)>, LinkFault> {
    let RelocationFlags::Elf { r_type } = relocation.flags() else {
        return Err(LinkFault::Unknown);
    };
    let Some(kind) = kind(r_type)? else { return Ok(None) };
    let width = if kind == RelocationKind::Abs64 { 8 } else { 4 };
    let end = offset.checked_add(width).filter(|end| *end <= section.size());
    if end.is_none() || relocation.has_implicit_addend() {
        return Err(LinkFault::Damaged); // the ABI of this machine has explicit addends only
    }
    let RelocationTarget::Symbol(index) = relocation.target() else {
        return Err(LinkFault::Absolute);
    };
    let symbol = unit.object.file.symbol_by_index(index).map_err(|_| LinkFault::Damaged)?;
    let (symbol, beyond) = table.target(unit, number, &symbol)?;
    let addend = relocation.addend().checked_add_unsigned(beyond).ok_or(LinkFault::Damaged)?;
    Ok(Some((kind, u32::try_from(symbol).map_err(|_| LinkFault::Damaged)?, addend)))
}

/// The same relocation in SMF (System V ABI, AMD64 supplement, table 4.10).
fn kind(r_type: RelocationType) -> Result<Option<RelocationKind>, LinkFault> {
    Ok(Some(match r_type {
        R_X86_64_NONE => return Ok(None),
        R_X86_64_64 => RelocationKind::Abs64,
        R_X86_64_PC32 => RelocationKind::Pc32,
        R_X86_64_PLT32 => RelocationKind::Plt32,
        // The latter two allow a linker to avoid the table, and do not demand it.
        R_X86_64_GOTPCREL | R_X86_64_GOTPCRELX | R_X86_64_REX_GOTPCRELX => RelocationKind::GotPcRel,
        R_X86_64_8 | R_X86_64_16 | R_X86_64_32 | R_X86_64_32S => return Err(LinkFault::Narrow),
        R_X86_64_GOT32 | R_X86_64_GOT64 | R_X86_64_GOTOFF64 | R_X86_64_GOTPC32
        | R_X86_64_GOTPC64 | R_X86_64_GOTPCREL64 | R_X86_64_GOTPLT64 | R_X86_64_PLTOFF64 => {
            return Err(LinkFault::OffsetTable);
        }
        R_X86_64_TLSGD
        | R_X86_64_TLSLD
        | R_X86_64_DTPMOD64
        | R_X86_64_DTPOFF32
        | R_X86_64_DTPOFF64
        | R_X86_64_GOTTPOFF
        | R_X86_64_TPOFF32
        | R_X86_64_TPOFF64
        | R_X86_64_GOTPC32_TLSDESC
        | R_X86_64_TLSDESC
        | R_X86_64_TLSDESC_CALL => {
            return Err(LinkFault::ThreadLocal);
        }
        _ => return Err(LinkFault::Unknown),
    }))
}

/// The first relocation of a section that asks for something, with its offset.
pub(super) fn first_relocation(section: &Section<'_, '_>) -> Option<(u64, object::Relocation)> {
    section.relocations().find(|(_, relocation)| {
        !matches!(relocation.flags(), RelocationFlags::Elf { r_type: R_X86_64_NONE })
    })
}

/// What is wrong with a relocation, with everything that finds it.
pub(super) fn relocation_error(
    unit: &Unit<'_>,
    section: &Section<'_, '_>,
    offset: u64,
    relocation: &object::Relocation,
    fault: LinkFault,
) -> LinkError {
    let error = Unlinked {
        relocation: type_name(unit.object.architecture, relocation),
        section: section_name(section),
        offset,
        symbol: target_name(&unit.object, relocation),
        fault,
    };
    LinkError::Relocation { object: unit.name.to_owned(), error: Box::new(error) }
}
