//! Typed arguments and results of a call, exact for every bit pattern.

use serde::{Deserialize, Serialize};

use crate::HexBytes;

/// The types that a function signature can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TypeName {
    /// No value; a return type only.
    Void,
    /// 8-bit signed integer.
    Int8,
    /// 16-bit signed integer.
    Int16,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// IEEE 754 binary32.
    Float32,
    /// IEEE 754 binary64.
    Float64,
    /// An address.
    Pointer,
    /// The address of a structure.
    StructRef,
}

impl TypeName {
    /// The name on the wire and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Void => "void",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Pointer => "pointer",
            Self::StructRef => "struct_ref",
        }
    }
}

impl std::fmt::Display for TypeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// One argument. Floats travel as their bits so that NaN payloads and signed zeros arrive as sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Argument {
    /// 8-bit signed integer.
    Int8 {
        /// The value.
        value: i8,
    },
    /// 16-bit signed integer.
    Int16 {
        /// The value.
        value: i16,
    },
    /// 32-bit signed integer.
    Int32 {
        /// The value.
        value: i32,
    },
    /// 64-bit signed integer.
    Int64 {
        /// The value.
        value: i64,
    },
    /// IEEE 754 binary32.
    Float32 {
        /// The 32 bits as an integer.
        bits: u32,
    },
    /// IEEE 754 binary64.
    Float64 {
        /// The 64 bits as an integer.
        bits: u64,
    },
    /// The address of a writable copy of `bytes`, or null.
    Pointer {
        /// Content of the buffer; `None` (JSON null) passes the null pointer.
        bytes: Option<HexBytes>,
    },
    /// The address of a writable structure that holds `bytes`, or null.
    StructRef {
        /// Content of the structure; `None` (JSON null) passes the null pointer.
        bytes: Option<HexBytes>,
    },
}

impl Argument {
    /// The type of this argument.
    #[must_use]
    pub fn type_name(&self) -> TypeName {
        match self {
            Self::Int8 { .. } => TypeName::Int8,
            Self::Int16 { .. } => TypeName::Int16,
            Self::Int32 { .. } => TypeName::Int32,
            Self::Int64 { .. } => TypeName::Int64,
            Self::Float32 { .. } => TypeName::Float32,
            Self::Float64 { .. } => TypeName::Float64,
            Self::Pointer { .. } => TypeName::Pointer,
            Self::StructRef { .. } => TypeName::StructRef,
        }
    }

    /// The buffer behind a pointer argument.
    #[must_use]
    pub fn buffer(&self) -> Option<&[u8]> {
        match self {
            Self::Pointer { bytes } | Self::StructRef { bytes } => {
                bytes.as_ref().map(|b| b.0.as_slice())
            }
            _ => None,
        }
    }
}

/// What a function returned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Returned {
    /// Nothing.
    Void,
    /// 8-bit signed integer.
    Int8 {
        /// The value.
        value: i8,
    },
    /// 16-bit signed integer.
    Int16 {
        /// The value.
        value: i16,
    },
    /// 32-bit signed integer.
    Int32 {
        /// The value.
        value: i32,
    },
    /// 64-bit signed integer.
    Int64 {
        /// The value.
        value: i64,
    },
    /// IEEE 754 binary32.
    Float32 {
        /// The 32 bits as an integer.
        bits: u32,
    },
    /// IEEE 754 binary64.
    Float64 {
        /// The 64 bits as an integer.
        bits: u64,
    },
    /// An address, said in a way that does not depend on where things were mapped.
    Pointer(Address),
    /// The address of a structure.
    StructRef(Address),
}

/// A returned address, said relative to something both sides know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "into", rename_all = "snake_case")]
pub enum Address {
    /// The null pointer.
    Null,
    /// An address inside the buffer of a pointer argument, or one past its end.
    Buffer {
        /// Which buffer: counts the non-null pointer arguments from 0.
        index: usize,
        /// Bytes from the start of that buffer.
        offset: u64,
    },
    /// An address inside the module's own image.
    Image {
        /// Bytes from the image base.
        offset: u64,
    },
    /// Any other address.
    Other {
        /// The address itself.
        address: u64,
    },
}
