//! From C's types to those of SCP.
//!
//! Unsigned integers, characters, booleans and enumerations become the signed integer of their width: the
//! bits are the same, and SCP has no other. Pointers to structures become references to them, all other
//! pointers plain ones.

use gimli::{AttributeValue, DwAte, DwTag, UnitOffset};
use harness_protocol::TypeName;

use super::structures::Structures;
use super::{Entry, MAX_CHAIN, TypeFault, Unit, name_of, type_of};

/// A type without its qualifiers and definitions.
pub(super) struct Stripped<'data> {
    pub(super) entry: Entry<'data>,
    /// The name of the last definition on the way, for structures without a tag.
    pub(super) defined_as: Option<String>,
}

/// The SCP type of the type at `offset`. A structure that it points to is added to `structures`.
pub(super) fn resolve(
    unit: Unit<'_, '_>,
    offset: UnitOffset,
    structures: &mut Structures,
) -> Result<TypeName, TypeFault> {
    let Some(stripped) = strip(unit, offset)? else { return Ok(TypeName::Void) };
    let entry = &stripped.entry;
    match entry.tag() {
        gimli::DW_TAG_base_type => scalar(unit, entry),
        gimli::DW_TAG_enumeration_type => integer(unit, entry),
        gimli::DW_TAG_pointer_type
        | gimli::DW_TAG_reference_type
        | gimli::DW_TAG_rvalue_reference_type => pointer(unit, entry, structures),
        tag if is_structure(tag) => Err(TypeFault::ByValue(describe(unit, &stripped)?)),
        _ => Err(TypeFault::NoCounterpart(describe(unit, &stripped)?)),
    }
}

/// Follows definitions and qualifiers; `None` is void.
pub(super) fn strip<'data>(
    unit: Unit<'_, 'data>,
    offset: UnitOffset,
) -> Result<Option<Stripped<'data>>, TypeFault> {
    let mut offset = offset;
    let mut defined_as = None;
    for _ in 0..MAX_CHAIN {
        let entry = unit.entry(offset)?;
        match entry.tag() {
            gimli::DW_TAG_typedef => defined_as = name_of(unit, &entry)?,
            gimli::DW_TAG_const_type
            | gimli::DW_TAG_volatile_type
            | gimli::DW_TAG_restrict_type
            | gimli::DW_TAG_atomic_type => {}
            _ => return Ok(Some(Stripped { entry, defined_as })),
        }
        match type_of(unit, &entry)? {
            Some(next) => offset = next,
            None => return Ok(None),
        }
    }
    Err(TypeFault::NoCounterpart("one that is defined by itself".into()))
}

/// Whether entries of this tag have members.
pub(super) fn is_structure(tag: DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type | gimli::DW_TAG_class_type
    )
}

/// The size that an entry gives for itself, in bytes.
pub(super) fn byte_size(entry: &Entry<'_>) -> Option<u64> {
    entry.attr_value(gimli::DW_AT_byte_size)?.udata_value()
}

fn scalar<'data>(unit: Unit<'_, 'data>, entry: &Entry<'data>) -> Result<TypeName, TypeFault> {
    let encoding = match entry.attr_value(gimli::DW_AT_encoding) {
        Some(AttributeValue::Encoding(encoding)) => encoding,
        _ => DwAte(0),
    };
    match (encoding, byte_size(entry)) {
        (
            gimli::DW_ATE_signed
            | gimli::DW_ATE_unsigned
            | gimli::DW_ATE_signed_char
            | gimli::DW_ATE_unsigned_char
            | gimli::DW_ATE_boolean
            | gimli::DW_ATE_UTF,
            _,
        ) => integer(unit, entry),
        (gimli::DW_ATE_float, Some(4)) => Ok(TypeName::Float32),
        (gimli::DW_ATE_float, Some(8)) => Ok(TypeName::Float64),
        _ => Err(TypeFault::NoCounterpart(name_or(unit, entry, "a number")?)),
    }
}

fn integer<'data>(unit: Unit<'_, 'data>, entry: &Entry<'data>) -> Result<TypeName, TypeFault> {
    match byte_size(entry) {
        Some(1) => Ok(TypeName::Int8),
        Some(2) => Ok(TypeName::Int16),
        Some(4) => Ok(TypeName::Int32),
        Some(8) => Ok(TypeName::Int64),
        _ => Err(TypeFault::NoCounterpart(name_or(unit, entry, "an integer")?)),
    }
}

fn pointer<'data>(
    unit: Unit<'_, 'data>,
    entry: &Entry<'data>,
    structures: &mut Structures,
) -> Result<TypeName, TypeFault> {
    let Some(offset) = type_of(unit, entry)? else { return Ok(TypeName::Pointer) };
    let Some(pointee) = strip(unit, offset)? else { return Ok(TypeName::Pointer) };
    let described = is_structure(pointee.entry.tag())
        && pointee.entry.attr(gimli::DW_AT_declaration).is_none()
        && structures.add(unit, &pointee)?;
    Ok(if described { TypeName::StructRef } else { TypeName::Pointer })
}

/// What a person calls the type.
pub(super) fn describe<'data>(
    unit: Unit<'_, 'data>,
    stripped: &Stripped<'data>,
) -> Result<String, TypeFault> {
    let kind = match stripped.entry.tag() {
        gimli::DW_TAG_structure_type | gimli::DW_TAG_class_type => "a structure",
        gimli::DW_TAG_union_type => "a union",
        gimli::DW_TAG_array_type => "an array",
        _ => "another type",
    };
    let name = name_of(unit, &stripped.entry)?.or_else(|| stripped.defined_as.clone());
    Ok(name.map_or_else(|| kind.to_owned(), |name| format!("{kind} (`{name}`)")))
}

fn name_or<'data>(
    unit: Unit<'_, 'data>,
    entry: &Entry<'data>,
    otherwise: &str,
) -> Result<String, TypeFault> {
    Ok(name_of(unit, entry)?.map_or_else(|| otherwise.to_owned(), |name| format!("`{name}`")))
}
