//! SCP-TYPE-*: the types table is consistent.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use harness_protocol::TypeName;

use super::{Findings, NameRules};
use crate::file::File;
use crate::header::Architecture;
use crate::rule::Rule;
use crate::type_code;
use crate::types::Type;

const NAME: NameRules = NameRules { bounds: Rule::TypeNameBounds, start: Rule::TypeNameStart };

pub(super) fn check(file: &File<'_>, findings: &mut Findings) {
    if file.types().len() == 0 {
        return;
    }
    let strings = file.strings();
    let architecture = file.header().architecture();
    let mut ids = Ids::default();
    for structure in file.types() {
        NAME.check(&strings, structure.name_offset, structure.name_at(), findings);
        findings.require(ids.insert(structure.id), Rule::TypeIdUnique, structure.id_at());
        check_fields(&structure, architecture, findings);
    }
}

fn check_fields(structure: &Type<'_>, architecture: Option<Architecture>, findings: &mut Findings) {
    for (index, field) in structure.fields().enumerate() {
        match type_code::name(field.type_code) {
            None => findings.report(Rule::TypeFieldCode, structure.field_code_at(index)),
            Some(TypeName::Void) => {
                findings.report(Rule::TypeFieldVoid, structure.field_code_at(index));
            }
            Some(_) => {}
        }
        if let Some(size) = type_code::size(field.type_code, architecture) {
            let end = u64::from(field.offset).saturating_add(u64::from(size));
            let fits = end <= u64::from(structure.size);
            findings.require(fits, Rule::TypeFieldBounds, structure.field_at(index));
        }
    }
}

/// A set of type ids, one bit each: 8 KiB.
struct Ids([u64; 1024]);

impl Default for Ids {
    fn default() -> Self {
        Self([0; 1024])
    }
}

impl Ids {
    /// Adds `id`; `false` if it is there already.
    fn insert(&mut self, id: u16) -> bool {
        let bit = 1_u64.wrapping_shl(u32::from(id));
        let Some(word) = self.0.get_mut(usize::from(id.wrapping_shr(6))) else { return true };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_has_a_bit_of_its_own() {
        let mut ids = Ids::default();
        assert!((0..=u16::MAX).all(|id| ids.insert(id)));
        assert!((0..=u16::MAX).all(|id| !ids.insert(id)));
    }
}
