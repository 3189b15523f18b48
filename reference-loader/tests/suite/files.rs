//! The files that the tests start from.

use reference_loader::header::Architecture;

use crate::encode::{Function, Scp, Type, seal};

/// A file with everything in it. Its offsets are part of the tests:
///
/// ```text
///  32 functions: count, entries at 36 (params at 49) and 53 (params at 66), 17 bytes each
///  70 types: count, entries at 74 (fields at 85 and 90) and 95
/// 106 dependencies: count, entry at 110
/// 118 strings: count, text at 122: add, len, Point, Empty, math
/// 147 slack
/// 149 code
/// 157 end
/// ```
pub(crate) fn full() -> Scp {
    let function = |name, entry, params: &[u8], returns, flags| Function {
        name,
        entry,
        params: params.to_vec(),
        returns,
        flags,
    };
    Scp {
        functions: vec![function(0, 0, &[3, 3], 3, 0), function(4, 4, &[10, 11], 4, 1)],
        types: vec![
            Type { id: 1, name: 8, size: 8, fields: vec![(0, 3), (4, 3)] },
            Type { id: 2, name: 14, size: 0, fields: vec![] },
        ],
        dependencies: vec![(20, 0x0001_0002)],
        strings: texts(&["add", "len", "Point", "Empty", "math"]),
        slack: vec![0; 2],
        code: vec![0xc3; 8],
        ..Scp::default()
    }
}

/// [`full`] with some bytes replaced and the checksum made right again. `edits` are words of the form
/// `OFFSET=HEX`.
pub(crate) fn patched(edits: &str) -> Vec<u8> {
    let mut file = full().encode();
    for edit in edits.split_whitespace() {
        let (at, hex) = edit.split_once('=').unwrap();
        let at: usize = at.parse().unwrap();
        for (index, pair) in hex.as_bytes().chunks(2).enumerate() {
            let pair = std::str::from_utf8(pair).unwrap();
            file[at + index] = u8::from_str_radix(pair, 16).unwrap();
        }
    }
    seal(&mut file);
    file
}

/// A file for this machine with functions of these names, codes and signatures.
pub(crate) fn exporting(functions: &[(&str, &[u8], &[u8], u8)]) -> Scp {
    let mut file = Scp { architecture: host(), ..Scp::default() };
    let mut name_offset = 0;
    for (name, code, params, returns) in functions {
        file.functions.push(Function {
            name: name_offset,
            entry: file.code.len() as u64,
            params: params.to_vec(),
            returns: *returns,
            flags: 0,
        });
        name_offset += name.len() as u32 + 1;
        file.strings.push(name.as_bytes().to_vec());
        file.code.extend(*code);
        file.code.resize(file.code.len().next_multiple_of(16), 0xcc);
    }
    file
}

/// The code of the architecture that this test runs on.
pub(crate) fn host() -> u8 {
    let host = Architecture::HOST.unwrap();
    Architecture::ALL.iter().position(|known| *known == host).unwrap() as u8
}

pub(crate) fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
