//! The files that the tests start from.

use super::encode::*;

/// Flags of the header.
pub(crate) const EXECUTABLE: u32 = 1;
pub(crate) const RELOADABLE: u32 = 2;

/// A file with everything in it. Its offsets are part of the tests:
///
/// ```text
///  72 section table: code, rodata, data, bss, reloc, type info; 56 bytes each
/// 416 code: 32 bytes, 40 in memory
/// 448 rodata: 8 bytes; 464 data: 8 bytes, 16 in memory; bss: 32 bytes in memory
/// 480 relocations: 24 bytes each
/// 576 type info: 4 bytes
/// 584 symbols: 40 bytes each: main, helper, table, counter, puts, maybe, Point
/// 864 names: main 0, helper 5, table 12, counter 18, puts 26, maybe 31, Point 37
/// 907 end
/// ```
///
/// In memory: 40 bytes of code; rodata at 0, data at 4096, bss at 4112, end at 4144.
pub(crate) fn full() -> Smf {
    Smf {
        flags: EXECUTABLE | RELOADABLE,
        sections: vec![
            Section { virtual_size: 40, ..section(CODE, 16, &[0xc3; 32]) },
            section(RODATA, 8, b"constant"),
            Section { virtual_size: 16, ..section(DATA, 8, b"variable") },
            bss(16, 32),
            relocs(&[
                relocation(0, 1, PC32, -4),
                relocation(8, 4, PLT32, -4),
                relocation(16, 3, ABS64, 1),
                relocation(32, 2, GOTPCREL, -4),
            ]),
            section(TYPE_INFO, 0, b"type"),
        ],
        symbols: vec![
            symbol("main", FUNCTION, GLOBAL, 0, 16),
            symbol("helper", FUNCTION, LOCAL, 16, 8),
            symbol("table", CONSTANT, GLOBAL, 0, 8),
            symbol("counter", DATUM, WEAK, 4096, 8),
            import("puts", FUNCTION, GLOBAL),
            import("maybe", FUNCTION, WEAK),
            symbol("Point", TYPE, GLOBAL, 7, 1),
        ],
        ..Smf::default()
    }
}

/// `file` with some bytes replaced. `edits` are words of the form `OFFSET=HEX`.
pub(crate) fn patched(mut file: Vec<u8>, edits: &str) -> Vec<u8> {
    for edit in edits.split_whitespace() {
        let (at, hex) = edit.split_once('=').unwrap();
        let at: usize = at.parse().unwrap();
        for (index, pair) in hex.as_bytes().chunks(2).enumerate() {
            let pair = std::str::from_utf8(pair).unwrap();
            file[at + index] = u8::from_str_radix(pair, 16).unwrap();
        }
    }
    file
}
