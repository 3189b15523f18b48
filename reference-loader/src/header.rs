//! The fixed 32 bytes at the start of a file (clause “Fixed Fields”).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use std::fmt;

use crate::cursor::{Cursor, narrow, wide};
use crate::error::{Error, Violation};
use crate::rule::Rule;

/// Size of the fixed part in bytes; the tables follow it.
pub const FIXED_SIZE: usize = 32;

/// The first four bytes of every file.
pub const MAGIC: [u8; 4] = *b"SCP\0";

/// Absolute offsets of the fields that a rule names.
pub(crate) mod at {
    pub(crate) const MAGIC: u64 = 0;
    pub(crate) const VERSION_MAJOR: u64 = 4;
    pub(crate) const VERSION_MINOR: u64 = 6;
    pub(crate) const HEADER_SIZE: u64 = 8;
    pub(crate) const ARCHITECTURE: u64 = 20;
    pub(crate) const CONVENTION: u64 = 21;
    pub(crate) const FLAGS: u64 = 22;
    pub(crate) const CHECKSUM: u64 = 24;
    pub(crate) const RESERVED: u64 = 28;
}

/// Widths of the fields in bytes, in file order.
const WIDTHS: [usize; 10] = [4, 2, 2, 4, 8, 1, 1, 2, 4, 4];

/// The fixed part, each field as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// `SCP\0`.
    pub magic: [u8; 4],
    /// Major version.
    pub version_major: u16,
    /// Minor version.
    pub version_minor: u16,
    /// Bytes from the start of the file to the code.
    pub header_size: u32,
    /// Bytes of code.
    pub code_blob_size: u64,
    /// Code of the architecture; see [`Header::architecture`].
    pub architecture: u8,
    /// Code of the calling convention; see [`Header::calling_convention`].
    pub calling_convention: u8,
    /// See [`flag`].
    pub flags: u16,
    /// CRC-32 of header and code.
    pub checksum: u32,
    /// Zero.
    pub reserved: [u8; 4],
}

/// Bits of [`Header::flags`].
pub mod flag {
    /// The functions may be called from several threads at once.
    pub const THREAD_SAFE: u16 = 1;
    /// The functions rely on a garbage collector.
    pub const REQUIRES_GC: u16 = 1 << 1;
    /// All bits that version 0.1 defines.
    pub const DEFINED: u16 = THREAD_SAFE | REQUIRES_GC;
}

impl Header {
    /// Reads the fixed part and checks what the decoding of the rest stands on: the magic, the version
    /// and that `header_size` lies in the file.
    ///
    /// # Errors
    /// `SCP-HEADER-BOUNDS`, `-MAGIC`, `-MAJOR`, `-MINOR` and `-SIZE`, in this order.
    #[inline]
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        Ok(Self::decode(file)?)
    }

    #[inline]
    pub(crate) fn decode(file: &[u8]) -> Result<Self, Violation> {
        let mut cursor = Cursor::new(file);
        match Self::read(&mut cursor) {
            Some(header) => header.gate(file.len()),
            None => {
                let offset = Cursor::new(file).first_unfit(WIDTHS);
                Err(Violation { rule: Rule::HeaderBounds, offset })
            }
        }
    }

    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        let fixed = cursor.array::<FIXED_SIZE>()?;
        let mut fields = Cursor::new(&fixed);
        Some(Self {
            magic: fields.array()?,
            version_major: fields.u16()?,
            version_minor: fields.u16()?,
            header_size: fields.u32()?,
            code_blob_size: fields.u64()?,
            architecture: fields.u8()?,
            calling_convention: fields.u8()?,
            flags: fields.u16()?,
            checksum: fields.u32()?,
            reserved: fields.array()?,
        })
    }

    fn gate(self, file_length: usize) -> Result<Self, Violation> {
        let stop = |rule, offset| Err(Violation { rule, offset });
        if self.magic != MAGIC {
            stop(Rule::HeaderMagic, at::MAGIC)
        } else if self.version_major != 0 {
            stop(Rule::HeaderMajor, at::VERSION_MAJOR)
        } else if self.version_minor != 1 {
            stop(Rule::HeaderMinor, at::VERSION_MINOR)
        } else if u64::from(self.header_size) > wide(file_length) {
            stop(Rule::HeaderSize, at::HEADER_SIZE)
        } else {
            Ok(self)
        }
    }

    /// Where the tables end and the code starts, as an index into the file.
    pub(crate) fn tables_end(&self) -> usize {
        narrow(self.header_size)
    }

    /// Where the code ends, in bytes from the start of the file; `None` past 2^64.
    pub(crate) fn code_end(&self) -> Option<u64> {
        u64::from(self.header_size).checked_add(self.code_blob_size)
    }

    /// The architecture, if its code is defined.
    #[must_use]
    pub fn architecture(&self) -> Option<Architecture> {
        match self.architecture {
            0 => Some(Architecture::X86_64),
            1 => Some(Architecture::Arm64),
            2 => Some(Architecture::X86_32),
            _ => None,
        }
    }

    /// The calling convention, if its code is defined.
    #[must_use]
    pub fn calling_convention(&self) -> Option<CallingConvention> {
        match self.calling_convention {
            0 => Some(CallingConvention::Cdecl),
            1 => Some(CallingConvention::Stdcall),
            2 => Some(CallingConvention::System),
            _ => None,
        }
    }
}

/// A processor that code can be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// 64-bit x86.
    X86_64,
    /// AArch64.
    Arm64,
    /// 32-bit x86.
    X86_32,
}

impl Architecture {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 3] = [Self::X86_64, Self::Arm64, Self::X86_32];

    /// What this process runs on, if the format has code for it.
    pub const HOST: Option<Self> = if cfg!(target_arch = "x86_64") {
        Some(Self::X86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(Self::Arm64)
    } else if cfg!(target_arch = "x86") {
        Some(Self::X86_32)
    } else {
        None
    };

    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
            Self::X86_32 => "x86_32",
        }
    }

    /// Bytes of an address.
    #[must_use]
    pub fn pointer_size(self) -> u32 {
        match self {
            Self::X86_64 | Self::Arm64 => 8,
            Self::X86_32 => 4,
        }
    }

    /// What the offset of an instruction is a multiple of, in bytes.
    #[must_use]
    pub fn code_align(self) -> u64 {
        match self {
            Self::X86_64 | Self::X86_32 => 1,
            Self::Arm64 => 4,
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the functions of a module expect their arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallingConvention {
    /// The C convention.
    Cdecl,
    /// The callee removes its arguments from the stack; the C convention on 64-bit architectures.
    Stdcall,
    /// The C convention of the platform.
    System,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let mut file = b"SCP\0\0\0\x01\0".to_vec();
        file.extend([32, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, 2, 1, 3, 0, 4, 3, 2, 1, 9, 8, 7, 6]);
        file
    }

    #[test]
    fn fields_are_little_endian_and_in_order() {
        let header = Header::parse(&file()).unwrap();
        assert_eq!((header.header_size, header.code_blob_size), (32, 0x0102_0304_0506_0708));
        assert_eq!(header.architecture(), Some(Architecture::X86_32));
        assert_eq!(header.calling_convention(), Some(CallingConvention::Stdcall));
        assert_eq!((header.flags, header.checksum), (flag::DEFINED, 0x0102_0304));
        assert_eq!(header.reserved, [9, 8, 7, 6]);
    }

    #[test]
    fn a_short_file_names_the_field_that_is_cut() {
        let starts = [0, 4, 6, 8, 12, 20, 21, 22, 24, 28, 32];
        let file = file();
        for length in 0..FIXED_SIZE {
            let error = Header::parse(file.get(..length).unwrap()).unwrap_err();
            let field = starts.into_iter().rfind(|start| *start <= length).map(wide);
            assert_eq!((error.rule(), error.offset()), (Some(Rule::HeaderBounds), field));
        }
    }
}
