//! The text form of a call on a one-shot loader's command line: `FILE FUNCTION RETURNS ARG…`.
//!
//! `RETURNS` is a type name; an `ARG` is `TYPE:VALUE`: integers in decimal, floats as the hexadecimal
//! digits of their bits, buffers as hexadecimal bytes, `null` for the null pointer.

use crate::{Argument, Call, HexBytes, TypeName};

/// The command-line words of `call`, after the file.
#[must_use]
pub fn words(call: &Call) -> Vec<String> {
    let mut words = vec![call.function.clone(), call.returns.to_string()];
    words.extend(call.args.iter().map(word));
    words
}

fn word(argument: &Argument) -> String {
    let value = match argument {
        Argument::Int8 { value } => value.to_string(),
        Argument::Int16 { value } => value.to_string(),
        Argument::Int32 { value } => value.to_string(),
        Argument::Int64 { value } => value.to_string(),
        Argument::Float32 { bits } => format!("{bits:08x}"),
        Argument::Float64 { bits } => format!("{bits:016x}"),
        Argument::Pointer { bytes } | Argument::StructRef { bytes } => {
            bytes.as_ref().map_or_else(|| "null".into(), |b| hex::encode(&b.0))
        }
    };
    format!("{}:{value}", argument.type_name())
}

/// Why a word is not an argument.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// The type is not one of the nine names.
    #[error(
        "`{0}` is not a type: int8, int16, int32, int64, float32, float64, pointer or struct_ref"
    )]
    Type(String),
    /// The value does not fit the type.
    #[error("`{value}` is not a value of type {type_name}{}", hint(*type_name))]
    Value {
        /// The type that was asked for.
        type_name: TypeName,
        /// The text as given.
        value: String,
    },
}

fn hint(type_name: TypeName) -> &'static str {
    match type_name {
        TypeName::Pointer | TypeName::StructRef => {
            ": write the bytes in hexadecimal, text as '\"text\"' with both quotes, or null"
        }
        _ => "",
    }
}

/// Reads `text` as a value of `type_name` the way a person writes it: decimal or `0x` integers, decimal
/// floats, `0x…` bits for floats, hexadecimal bytes or `null` for pointers, `"text"` for a NUL-terminated
/// string.
///
/// # Errors
/// When the text is not a value of that type.
pub fn parse(type_name: TypeName, text: &str) -> Result<Argument, ArgumentError> {
    let bad = || ArgumentError::Value { type_name, value: text.into() };
    Ok(match type_name {
        TypeName::Void => return Err(bad()),
        TypeName::Int8 => Argument::Int8 { value: integer(text).ok_or_else(bad)? },
        TypeName::Int16 => Argument::Int16 { value: integer(text).ok_or_else(bad)? },
        TypeName::Int32 => Argument::Int32 { value: integer(text).ok_or_else(bad)? },
        TypeName::Int64 => Argument::Int64 { value: integer(text).ok_or_else(bad)? },
        TypeName::Float32 => Argument::Float32 {
            bits: match text.strip_prefix("0x") {
                Some(hex) => u32::from_str_radix(hex, 16).map_err(|_| bad())?,
                None => text.parse::<f32>().map_err(|_| bad())?.to_bits(),
            },
        },
        TypeName::Float64 => Argument::Float64 {
            bits: match text.strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16).map_err(|_| bad())?,
                None => text.parse::<f64>().map_err(|_| bad())?.to_bits(),
            },
        },
        TypeName::Pointer => Argument::Pointer { bytes: buffer(text).ok_or_else(bad)? },
        TypeName::StructRef => Argument::StructRef { bytes: buffer(text).ok_or_else(bad)? },
    })
}

fn integer<T: TryFrom<i128>>(text: &str) -> Option<T> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let magnitude = match digits.strip_prefix("0x") {
        Some(hex) => i128::from(u64::from_str_radix(hex, 16).ok()?),
        None => i128::from(digits.parse::<u64>().ok()?),
    };
    let value = if negative { -magnitude } else { magnitude };
    // Hexadecimal digits may also be the bits of the type: 0xff is -1 as int8.
    let bits = u32::try_from(size_of::<T>() * 8).ok()?;
    let as_bits =
        digits.starts_with("0x") && !negative && value >= 1 << (bits - 1) && value < 1 << bits;
    T::try_from(if as_bits { value - (1 << bits) } else { value }).ok()
}

fn buffer(text: &str) -> Option<Option<HexBytes>> {
    if text == "null" {
        return Some(None);
    }
    if let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        let mut bytes = inner.as_bytes().to_vec();
        bytes.push(0);
        return Some(Some(HexBytes(bytes)));
    }
    hex::decode(text).ok().map(|bytes| Some(HexBytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_exact() {
        let call = Call {
            function: "f".into(),
            returns: TypeName::Void,
            args: vec![
                Argument::Int64 { value: i64::MIN },
                Argument::Float32 { bits: 1.0f32.to_bits() },
                Argument::Pointer { bytes: Some(vec![1, 0xff].into()) },
                Argument::StructRef { bytes: None },
            ],
        };
        assert_eq!(
            words(&call),
            [
                "f",
                "void",
                "int64:-9223372036854775808",
                "float32:3f800000",
                "pointer:01ff",
                "struct_ref:null"
            ]
        );
    }

    #[test]
    fn values_as_people_write_them() {
        assert_eq!(parse(TypeName::Int8, "-128"), Ok(Argument::Int8 { value: -128 }));
        assert_eq!(parse(TypeName::Int32, "0x10"), Ok(Argument::Int32 { value: 16 }));
        assert_eq!(parse(TypeName::Int8, "0xff"), Ok(Argument::Int8 { value: -1 }));
        assert_eq!(
            parse(TypeName::Int64, "0x8000000000000000"),
            Ok(Argument::Int64 { value: i64::MIN })
        );
        assert!(parse(TypeName::Int8, "0x100").is_err());
        assert!(parse(TypeName::Int8, "128").is_err());
        assert!(parse(TypeName::Int8, "--1").is_err());
        assert_eq!(
            parse(TypeName::Float64, "-0.5"),
            Ok(Argument::Float64 { bits: (-0.5f64).to_bits() })
        );
        assert_eq!(
            parse(TypeName::Pointer, "\"hi\""),
            Ok(Argument::Pointer { bytes: Some(b"hi\0".to_vec().into()) })
        );
        assert!(parse(TypeName::Void, "0").is_err());
    }
}
