//! The types file: signatures and structures that a person wrote down.
//!
//! ```yaml
//! functions:
//!   add: {params: [int32, int32], returns: int32}
//!   move_by: {params: [struct_ref, int32, int32], returns: void}
//! types:
//!   Point: {size: 8, fields: [{offset: 0, type: int32}, {offset: 4, type: int32}]}
//! ```

use std::collections::BTreeMap;

use harness_protocol::TypeName;
use serde::Deserialize;

use super::{Architecture, PackError, PackedType, Signature};

/// What is known of an object's types beside what it says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypesFile {
    #[serde(default)]
    pub(super) functions: BTreeMap<String, Signature>,
    #[serde(default)]
    types: BTreeMap<String, Structure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Structure {
    size: u32,
    #[serde(default)]
    fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    offset: u32,
    #[serde(rename = "type")]
    type_name: TypeName,
}

impl TypesFile {
    /// Reads the YAML text.
    ///
    /// # Errors
    /// When the text is not of the form above; whether it fits an object is found out when packing.
    pub fn parse(text: &str) -> Result<Self, PackError> {
        Ok(serde_yaml::from_str(text)?)
    }

    /// The structures, checked for a machine.
    pub(super) fn structures(
        &self,
        architecture: Architecture,
    ) -> Result<Vec<PackedType>, PackError> {
        self.types.iter().map(|(name, structure)| structure.pack(name, architecture)).collect()
    }
}

impl Structure {
    fn pack(&self, name: &str, architecture: Architecture) -> Result<PackedType, PackError> {
        let place = || format!("structure `{name}`");
        if self.fields.len() > usize::from(u8::MAX) {
            return Err(PackError::TooMany { place: place(), count: self.fields.len() });
        }
        for &Field { offset, type_name } in &self.fields {
            if type_name == TypeName::Void {
                let place = format!("{}, the field at offset {offset}", place());
                return Err(PackError::Void { place, type_name });
            }
            let end = offset.checked_add(size_of(type_name, architecture));
            if end.is_none_or(|end| end > self.size) {
                return Err(PackError::Field { structure: name.into(), offset, size: self.size });
            }
        }
        let fields = self.fields.iter().map(|field| (field.offset, field.type_name)).collect();
        Ok(PackedType { name: name.into(), size: self.size, fields })
    }
}

fn size_of(type_name: TypeName, architecture: Architecture) -> u32 {
    match type_name {
        TypeName::Void => 0,
        TypeName::Int8 => 1,
        TypeName::Int16 => 2,
        TypeName::Int32 | TypeName::Float32 => 4,
        TypeName::Int64 | TypeName::Float64 => 8,
        TypeName::Pointer | TypeName::StructRef => architecture.pointer_size(),
    }
}
