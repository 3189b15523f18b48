//! Structures, as a table of types lays them out.

use harness_protocol::{Argument, TypeName};

/// A structure that arguments may point to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// Its name.
    pub name: String,
    /// Bytes that it takes.
    pub size: usize,
    /// Offset and type of each field, in the order of the file. Fields may overlap.
    pub fields: Vec<(usize, TypeName)>,
}

/// Why values do not make a structure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StructureError {
    /// There are more or fewer values than fields.
    #[error("{name} has {fields} fields, {values} values are given")]
    Count {
        /// The structure.
        name: String,
        /// How many fields it has.
        fields: usize,
        /// How many values there are.
        values: usize,
    },
    /// A field that holds an address other than null: nothing is there to point to.
    #[error("field {field} of {name} is an address, which can only be null here")]
    Address {
        /// The structure.
        name: String,
        /// The field, counted from 0.
        field: usize,
    },
    /// A field outside the structure.
    #[error("field {field} of {name} reaches beyond its {size} bytes")]
    Outside {
        /// The structure.
        name: String,
        /// The field, counted from 0.
        field: usize,
        /// Bytes of the structure.
        size: usize,
    },
}

impl Structure {
    /// Its bytes with these values in its fields (little-endian, one value a field) and zero between them.
    ///
    /// # Errors
    /// When the values are not those of the fields.
    pub fn lay_out(&self, values: &[Argument]) -> Result<Vec<u8>, StructureError> {
        let name = || self.name.clone();
        if values.len() != self.fields.len() {
            let (fields, values) = (self.fields.len(), values.len());
            return Err(StructureError::Count { name: name(), fields, values });
        }
        let mut bytes = vec![0; self.size];
        for (field, ((offset, _), value)) in self.fields.iter().zip(values).enumerate() {
            let value = match value {
                Argument::Int8 { value } => value.to_le_bytes().to_vec(),
                Argument::Int16 { value } => value.to_le_bytes().to_vec(),
                Argument::Int32 { value } => value.to_le_bytes().to_vec(),
                Argument::Int64 { value } => value.to_le_bytes().to_vec(),
                Argument::Float32 { bits } => bits.to_le_bytes().to_vec(),
                Argument::Float64 { bits } => bits.to_le_bytes().to_vec(),
                Argument::Pointer { bytes: None } | Argument::StructRef { bytes: None } => continue,
                Argument::Pointer { .. } | Argument::StructRef { .. } => {
                    return Err(StructureError::Address { name: name(), field });
                }
            };
            let place = offset.checked_add(value.len()).and_then(|end| bytes.get_mut(*offset..end));
            let Some(place) = place else {
                return Err(StructureError::Outside { name: name(), field, size: self.size });
            };
            place.copy_from_slice(&value);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point() -> Structure {
        let fields = vec![(0, TypeName::Int8), (4, TypeName::Int32), (8, TypeName::Pointer)];
        Structure { name: "point".into(), size: 16, fields }
    }

    #[test]
    fn values_lie_where_the_table_says() {
        let values = [
            Argument::Int8 { value: -1 },
            Argument::Int32 { value: 0x0403_0201 },
            Argument::Pointer { bytes: None },
        ];
        let bytes = point().lay_out(&values).unwrap();
        assert_eq!(bytes, [0xff, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        let error = point().lay_out(&[]).unwrap_err();
        assert_eq!(error.to_string(), "point has 3 fields, 0 values are given");
        let mut narrow = point();
        narrow.size = 6;
        let null = Argument::Pointer { bytes: None };
        let values = [Argument::Int8 { value: 1 }, Argument::Int32 { value: 1 }, null];
        let error = narrow.lay_out(&values).unwrap_err();
        assert_eq!(error.to_string(), "field 1 of point reaches beyond its 6 bytes");
        let pointed = Argument::Pointer { bytes: Some(vec![1].into()) };
        let values = [Argument::Int8 { value: 1 }, Argument::Int32 { value: 1 }, pointed];
        assert!(matches!(point().lay_out(&values), Err(StructureError::Address { field: 2, .. })));
    }
}
