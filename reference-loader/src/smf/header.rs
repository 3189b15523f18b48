//! The 72 bytes at the start of a file (clause “pub struct SmfHeader”; choice smf.header-size).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::error::{Error, Violation};
use super::rule::Rule;
use crate::cursor::Cursor;
use crate::header::Architecture;

/// Size of the header in bytes.
pub const SIZE: usize = 72;

/// The first four bytes of every file.
pub const MAGIC: [u8; 4] = *b"SMF\0";

/// Absolute offsets of the fields that a rule names.
pub(crate) mod at {
    pub(crate) const MAGIC: u64 = 0;
    pub(crate) const VERSION_MAJOR: u64 = 4;
    pub(crate) const VERSION_MINOR: u64 = 5;
    pub(crate) const PLATFORM: u64 = 6;
    pub(crate) const ARCH: u64 = 7;
    pub(crate) const FLAGS: u64 = 8;
    pub(crate) const EXPORTED_COUNT: u64 = 36;
    pub(crate) const ENTRY_POINT: u64 = 40;
    pub(crate) const RESERVED: u64 = 64;
}

/// Widths of the fields in bytes, in file order.
const WIDTHS: [usize; 15] = [4, 1, 1, 1, 1, 4, 4, 8, 8, 4, 4, 8, 8, 8, 8];

/// Bits of [`Header::flags`].
pub mod flag {
    /// The module has an entry point.
    pub const EXECUTABLE: u32 = 1;
    /// The module may be replaced while it is in use.
    pub const RELOADABLE: u32 = 1 << 1;
    /// The module has debug information.
    pub const DEBUG_INFO: u32 = 1 << 2;
    /// The code is position-independent.
    pub const PIC: u32 = 1 << 3;
    /// The sections are compressed; no algorithm is defined.
    pub const COMPRESSED: u32 = 1 << 4;
    /// All bits that version 1.0 defines.
    pub const DEFINED: u32 = EXECUTABLE | RELOADABLE | DEBUG_INFO | PIC | COMPRESSED;
}

/// The header, each field as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// `SMF\0`.
    pub magic: [u8; 4],
    /// Major version.
    pub version_major: u8,
    /// Minor version.
    pub version_minor: u8,
    /// Code of the platform; see [`Header::platform`].
    pub platform: u8,
    /// Code of the architecture; see [`Header::architecture`].
    pub arch: u8,
    /// See [`flag`].
    pub flags: u32,
    /// Number of records in the section table.
    pub section_count: u32,
    /// Where the section table starts, in bytes from the start of the file.
    pub section_table_offset: u64,
    /// Where the symbol table starts, in bytes from the start of the file.
    pub symbol_table_offset: u64,
    /// Number of records in the symbol table.
    pub symbol_count: u32,
    /// Number of Global symbols that the module defines.
    pub exported_count: u32,
    /// Where execution starts, in bytes from the start of the code image.
    pub entry_point: u64,
    /// Hash of the module, by whoever made it.
    pub module_hash: u64,
    /// Hash of the source, by whoever made it.
    pub source_hash: u64,
    /// Zero.
    pub reserved: [u8; 8],
}

impl Header {
    /// Reads the header and checks what the decoding of the rest stands on: the magic and the version.
    ///
    /// # Errors
    /// `SMF-HEADER-BOUNDS`, `-MAGIC`, `-MAJOR` and `-MINOR`, in this order.
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        Ok(Self::decode(file)?)
    }

    pub(crate) fn decode(file: &[u8]) -> Result<Self, Violation> {
        match Self::read(&mut Cursor::new(file)) {
            Some(header) => header.gate(),
            None => {
                let offset = Cursor::new(file).first_unfit(WIDTHS);
                Err(Violation { rule: Rule::HeaderBounds, offset })
            }
        }
    }

    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        let fixed = cursor.array::<SIZE>()?;
        let mut fields = Cursor::new(&fixed);
        Some(Self {
            magic: fields.array()?,
            version_major: fields.u8()?,
            version_minor: fields.u8()?,
            platform: fields.u8()?,
            arch: fields.u8()?,
            flags: fields.u32()?,
            section_count: fields.u32()?,
            section_table_offset: fields.u64()?,
            symbol_table_offset: fields.u64()?,
            symbol_count: fields.u32()?,
            exported_count: fields.u32()?,
            entry_point: fields.u64()?,
            module_hash: fields.u64()?,
            source_hash: fields.u64()?,
            reserved: fields.array()?,
        })
    }

    fn gate(self) -> Result<Self, Violation> {
        let stop = |rule, offset| Err(Violation { rule, offset });
        if self.magic != MAGIC {
            stop(Rule::HeaderMagic, at::MAGIC)
        } else if self.version_major != 1 {
            stop(Rule::HeaderMajor, at::VERSION_MAJOR)
        } else if self.version_minor != 0 {
            stop(Rule::HeaderMinor, at::VERSION_MINOR)
        } else {
            Ok(self)
        }
    }

    /// Whether all of the bits `flags` are set; see [`flag`].
    #[must_use]
    pub fn has(&self, flags: u32) -> bool {
        self.flags & flags == flags
    }

    /// The platform, if its code is defined.
    #[must_use]
    pub fn platform(&self) -> Option<Platform> {
        match self.platform {
            0 => Some(Platform::Any),
            1 => Some(Platform::Linux),
            2 => Some(Platform::Windows),
            3 => Some(Platform::MacOs),
            _ => None,
        }
    }

    /// The architecture, if its code is defined.
    #[must_use]
    pub fn architecture(&self) -> Option<Architecture> {
        match self.arch {
            0 => Some(Architecture::X86_64),
            1 => Some(Architecture::Arm64),
            _ => None,
        }
    }
}

/// An operating system that code can be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Platform {
    /// The code asks nothing of the system.
    Any,
    /// Linux.
    Linux,
    /// Windows.
    Windows,
    /// macOS.
    MacOs,
}

impl Platform {
    /// Whether such code may run in this process.
    #[must_use]
    pub fn is_here(self) -> bool {
        match self {
            Self::Any => true,
            Self::Linux => cfg!(target_os = "linux"),
            Self::Windows => cfg!(windows),
            Self::MacOs => cfg!(target_os = "macos"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::wide;

    fn file() -> Vec<u8> {
        let mut file = b"SMF\0\x01\0\x01\x01".to_vec();
        file.extend([0x1f, 0, 0, 0, 2, 0, 0, 0]);
        file.extend((16..72_u8).collect::<Vec<_>>());
        file
    }

    #[test]
    fn fields_are_little_endian_and_in_order() {
        let header = Header::parse(&file()).unwrap();
        assert_eq!((header.platform(), header.arch), (Some(Platform::Linux), 1));
        assert_eq!((header.flags, header.section_count), (flag::DEFINED, 2));
        assert_eq!(header.section_table_offset, 0x1716_1514_1312_1110);
        assert_eq!(header.symbol_table_offset, 0x1f1e_1d1c_1b1a_1918);
        assert_eq!((header.symbol_count, header.exported_count), (0x2322_2120, 0x2726_2524));
        assert_eq!(header.entry_point, 0x2f2e_2d2c_2b2a_2928);
        assert_eq!((header.module_hash & 0xff, header.source_hash & 0xff), (0x30, 0x38));
        assert_eq!(header.reserved, [64, 65, 66, 67, 68, 69, 70, 71]);
    }

    #[test]
    fn a_short_file_names_the_field_that_is_cut() {
        let starts = [0, 4, 5, 6, 7, 8, 12, 16, 24, 32, 36, 40, 48, 56, 64, 72];
        let file = file();
        for length in 0..SIZE {
            let error = Header::parse(file.get(..length).unwrap()).unwrap_err();
            let field = starts.into_iter().rfind(|start| *start <= length).map(wide);
            assert_eq!((error.rule(), error.offset()), (Some(Rule::HeaderBounds), field));
        }
    }
}
