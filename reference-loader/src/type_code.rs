//! The type codes of parameters, results and fields (clause “Type Codes”).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use harness_protocol::TypeName;

use crate::header::Architecture;

pub(crate) const VOID: u8 = 0;
pub(crate) const STRUCT_REF: u8 = 11;

/// The type that `code` stands for; `None` for the codes 7–9 and 12–255.
#[must_use]
pub fn name(code: u8) -> Option<TypeName> {
    Some(match code {
        VOID => TypeName::Void,
        1 => TypeName::Int8,
        2 => TypeName::Int16,
        3 => TypeName::Int32,
        4 => TypeName::Int64,
        5 => TypeName::Float32,
        6 => TypeName::Float64,
        10 => TypeName::Pointer,
        STRUCT_REF => TypeName::StructRef,
        _ => return None,
    })
}

/// Bytes that a value of type `code` takes; `None` when the code is not defined, or when the size is that
/// of an address of an unknown architecture.
#[must_use]
pub fn size(code: u8, architecture: Option<Architecture>) -> Option<u32> {
    match code {
        VOID => Some(0),
        1 => Some(1),
        2 => Some(2),
        3 | 5 => Some(4),
        4 | 6 => Some(8),
        10 | STRUCT_REF => architecture.map(Architecture::pointer_size),
        _ => None,
    }
}

/// Whether `code` is fine as a parameter or a field in any file: neither void nor struct_ref nor undefined.
#[inline]
pub(crate) fn is_plain(code: u8) -> bool {
    matches!(code, 1..=6 | 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_known_exactly_for_the_defined_codes() {
        for code in 0..=u8::MAX {
            let known = size(code, Some(Architecture::X86_64)).is_some();
            assert_eq!(known, name(code).is_some(), "{code}");
            let plain = name(code)
                .is_some_and(|name| name != TypeName::Void && name != TypeName::StructRef);
            assert_eq!(is_plain(code), plain, "{code}");
        }
    }

    #[test]
    fn sizes_are_those_of_the_names() {
        let sizes = [0, 1, 2, 3, 4, 5, 6].map(|code| size(code, None));
        assert_eq!(sizes, [0, 1, 2, 4, 8, 4, 8].map(Some));
    }

    #[test]
    fn addresses_are_as_wide_as_the_architecture_says() {
        assert_eq!(size(10, Some(Architecture::X86_32)), Some(4));
        assert_eq!(size(11, Some(Architecture::Arm64)), Some(8));
        assert_eq!(size(10, None), None);
        assert_eq!(size(3, None), Some(4));
    }
}
