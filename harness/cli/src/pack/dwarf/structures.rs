//! The structures that pointers point to, with everything inside them spread out into plain fields.

use std::collections::{BTreeMap, BTreeSet};

use gimli::{AttributeValue, UnitOffset};
use harness_protocol::TypeName;

use super::types::{Stripped, byte_size, describe, is_structure, resolve, strip};
use super::{Entry, TypeFault, Unit, children, name_of, type_of};
use crate::pack::{PackError, PackedType};

/// Most fields of a structure: their count is one byte.
const MAX_FIELDS: usize = 255;

/// Deepest nesting of structures and arrays inside one structure. Far above what people write; a damaged
/// file can nest a structure in itself.
const MAX_DEPTH: usize = 32;

/// Most members and array elements looked at for one structure. Those without a size add no field, so the
/// limit on fields does not bound them.
const MAX_STEPS: usize = 10_000;

/// The structures found so far.
#[derive(Default)]
pub(super) struct Structures {
    by_name: BTreeMap<String, PackedType>,
    /// Those of the current unit that are described or being described: they may refer to each other.
    seen: BTreeSet<UnitOffset>,
}

impl Structures {
    /// Entry offsets mean something else from here on.
    pub(super) fn enter_unit(&mut self) {
        self.seen.clear();
    }

    pub(super) fn into_types(self) -> Vec<PackedType> {
        self.by_name.into_values().collect()
    }

    /// Adds a structure; false when it has no name to go by.
    pub(super) fn add<'data>(
        &mut self,
        unit: Unit<'_, 'data>,
        stripped: &Stripped<'data>,
    ) -> Result<bool, TypeFault> {
        let tag = name_of(unit, &stripped.entry)?;
        let Some(name) = tag.or_else(|| stripped.defined_as.clone()) else { return Ok(false) };
        if !self.seen.insert(stripped.entry.offset()) {
            return Ok(true);
        }
        let whole = describe(unit, stripped)?;
        let size = byte_size(&stripped.entry).and_then(|size| u32::try_from(size).ok());
        let Some(size) = size else { return Err(TypeFault::NoCounterpart(whole)) };
        let mut spread = Spread { unit, structures: self, fields: Vec::new(), steps: 0, whole };
        spread.members(&stripped.entry, 0, 0)?;
        let packed = PackedType { name: name.clone(), size, fields: spread.fields };
        match self.by_name.insert(name.clone(), packed.clone()) {
            Some(other) if other != packed => {
                Err(TypeFault::Whole(Box::new(PackError::AmbiguousStructure(name))))
            }
            _ => Ok(true),
        }
    }
}

/// One structure on its way into a list of fields.
struct Spread<'a, 'data> {
    unit: Unit<'a, 'data>,
    structures: &'a mut Structures,
    fields: Vec<(u32, TypeName)>,
    steps: usize,
    /// What the structure is called in messages.
    whole: String,
}

impl<'data> Spread<'_, 'data> {
    /// Adds the members of `entry`, which starts `base` bytes into the structure.
    fn members(&mut self, entry: &Entry<'data>, base: u64, depth: usize) -> Result<(), TypeFault> {
        for member in children(self.unit, entry.offset())? {
            let is_data = matches!(member.tag(), gimli::DW_TAG_member | gimli::DW_TAG_inheritance);
            if !is_data || member.attr(gimli::DW_AT_external).is_some() {
                continue; // functions, nested definitions, static members
            }
            let name = name_of(self.unit, &member)?.unwrap_or_else(|| "(unnamed)".into());
            let offset = self.member_offset(&member, &name)?.checked_add(base);
            let offset = offset.ok_or_else(|| self.fault(&name, "lies nowhere"))?;
            let Some(type_offset) = type_of(self.unit, &member)? else {
                return Err(self.fault(&name, "has no type"));
            };
            self.value(type_offset, offset, &name, depth)?;
        }
        Ok(())
    }

    /// Adds what a value of the type at `type_offset` consists of.
    fn value(
        &mut self,
        type_offset: UnitOffset,
        offset: u64,
        name: &str,
        depth: usize,
    ) -> Result<(), TypeFault> {
        self.steps += 1;
        if depth > MAX_DEPTH || self.steps > MAX_STEPS {
            return Err(TypeFault::TooManyFields(self.whole.clone()));
        }
        let Some(stripped) = strip(self.unit, type_offset)? else {
            return Err(self.fault(name, "has no type"));
        };
        match stripped.entry.tag() {
            tag if is_structure(tag) => self.members(&stripped.entry, offset, depth + 1),
            gimli::DW_TAG_array_type => self.elements(&stripped.entry, offset, name, depth + 1),
            _ => {
                let type_name = match resolve(self.unit, type_offset, self.structures) {
                    Err(TypeFault::NoCounterpart(which)) => {
                        let fault = TypeFault::NoCounterpart(which).to_string();
                        return Err(self.fault(name, &fault));
                    }
                    other => other?,
                };
                self.push(offset, type_name, name)
            }
        }
    }

    /// Adds the elements of an array, of all its dimensions.
    fn elements(
        &mut self,
        array: &Entry<'data>,
        offset: u64,
        name: &str,
        depth: usize,
    ) -> Result<(), TypeFault> {
        let Some(element) = type_of(self.unit, array)? else {
            return Err(self.fault(name, "is an array of nothing"));
        };
        let mut count = 1_u64;
        for range in children(self.unit, array.offset())? {
            if range.tag() == gimli::DW_TAG_subrange_type {
                count = count.saturating_mul(dimension(&range));
            }
        }
        let size = self.size_of(element, depth)?;
        for index in 0..count {
            let at = index.checked_mul(size).and_then(|distance| offset.checked_add(distance));
            let at = at.ok_or_else(|| TypeFault::TooManyFields(self.whole.clone()))?;
            self.value(element, at, name, depth)?;
        }
        Ok(())
    }

    /// The size of an array's element. (An array of arrays is one array with several dimensions, unless
    /// a definition stands between them.)
    fn size_of(&self, offset: UnitOffset, depth: usize) -> Result<u64, TypeFault> {
        let Some(stripped) = strip(self.unit, offset)? else { return Ok(0) };
        if let Some(size) = byte_size(&stripped.entry) {
            return Ok(size);
        }
        if stripped.entry.tag() != gimli::DW_TAG_array_type || depth > MAX_DEPTH {
            return Ok(self.unit.encoding().address_size.into()); // a pointer without a size
        }
        let Some(element) = type_of(self.unit, &stripped.entry)? else { return Ok(0) };
        let mut size = self.size_of(element, depth + 1)?;
        for range in children(self.unit, stripped.entry.offset())? {
            if range.tag() == gimli::DW_TAG_subrange_type {
                size = size.saturating_mul(dimension(&range));
            }
        }
        Ok(size)
    }

    fn push(&mut self, offset: u64, type_name: TypeName, name: &str) -> Result<(), TypeFault> {
        if self.fields.len() == MAX_FIELDS {
            return Err(TypeFault::TooManyFields(self.whole.clone()));
        }
        let offset = u32::try_from(offset).map_err(|_| self.fault(name, "lies beyond 4 GiB"))?;
        self.fields.push((offset, type_name));
        Ok(())
    }

    /// Where a member lies in its structure. Those of a union may leave it out.
    fn member_offset(&self, member: &Entry<'_>, name: &str) -> Result<u64, TypeFault> {
        let has = |attribute| member.attr(attribute).is_some();
        if has(gimli::DW_AT_bit_size) || has(gimli::DW_AT_data_bit_offset) {
            return Err(self.fault(name, "is a bit field, which SCP 0.1 cannot describe"));
        }
        match member.attr_value(gimli::DW_AT_data_member_location) {
            None => Ok(0),
            Some(AttributeValue::Exprloc(_)) => {
                Err(self.fault(name, "lies at an offset that is computed when the program runs"))
            }
            Some(value) => value.udata_value().ok_or_else(|| self.fault(name, "lies nowhere")),
        }
    }

    fn fault(&self, field: &str, reason: &str) -> TypeFault {
        TypeFault::Field {
            structure: self.whole.clone(),
            field: field.into(),
            reason: reason.into(),
        }
    }
}

/// Elements of one dimension; 0 for the open one at the end of a structure.
fn dimension(range: &Entry<'_>) -> u64 {
    if let Some(count) = range.attr_value(gimli::DW_AT_count) {
        return count.udata_value().unwrap_or(0);
    }
    let bound = range.attr_value(gimli::DW_AT_upper_bound).and_then(|bound| bound.udata_value());
    bound.and_then(|bound| bound.checked_add(1)).unwrap_or(0)
}
