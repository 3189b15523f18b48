//! What relocations write.

use harness_codec::link::{Address, Meaning, Unlinkable};
use rstest::rstest;

use crate::{
    ABS64, CODE, FUNCTION, GLOBAL, GOTPCREL, LOCAL, NONE, OBJECT, PC32, PLT32, RELOC, Relocation,
    WEAK, contents_at, file, linked, module, relocation, smf,
};

const SYMBOLS: [(&str, u8, u8, u64, u64); 5] = [
    ("start", FUNCTION, LOCAL, 0, 1),
    ("middle", FUNCTION, GLOBAL, 0x20, 1),
    ("variable", OBJECT, LOCAL, 8, 4),
    ("given", FUNCTION, GLOBAL, 0, 0),
    ("maybe", FUNCTION, WEAK, 0, 0),
];

/// Bytes at `place` of the code image of 64 bytes that `record` relocates, with the code at `code`, 16 bytes of
/// data at `data`, `given` at 0x7000 and every GOT slot at `code` + 0x1000 + 8 × symbol.
fn written(record: Relocation, code: u64, data: u64) -> Result<Vec<u8>, Unlinkable> {
    let format = smf();
    let bytes = module(64, 16, &SYMBOLS, &[record]);
    let imports = |name: &str| (name == "given").then_some(0x7000);
    let slot = |symbol: usize| code + 0x1000 + 8 * symbol as u64;
    let images = linked(&format, &bytes).relocated(&format, &bytes, &[code, data], imports, slot);
    let images = images?.unwrap();
    let (place, width) =
        (usize::try_from(record.0).unwrap(), if record.2 == ABS64 { 8 } else { 4 });
    let (mut around, end) = (images[0].clone(), place + width);
    let changed = around.splice(place..end, std::iter::repeat_n(0xcc, width)).collect();
    assert_eq!(around, [0xcc; 64], "other bytes were written");
    assert_eq!(images[1], [0xcc; 16]);
    Ok(changed)
}

#[rstest]
// S + A, at two bases.
#[case((0, 1, ABS64, 0), 0x1000, 0x9000, &[0x20, 0x10, 0, 0, 0, 0, 0, 0])]
#[case((0, 1, ABS64, 0), 0x1_2345_6000, 0, &[0x20, 0x60, 0x45, 0x23, 1, 0, 0, 0])]
#[case((3, 1, ABS64, -0x21), 0x1000, 0x9000, &[0xff, 0x0f, 0, 0, 0, 0, 0, 0])]
#[case((56, 2, ABS64, 0), 0x1000, 0x9000, &[8, 0x90, 0, 0, 0, 0, 0, 0])]
#[case((8, 0, ABS64, -1), 0, 0, &[0xff; 8])] // modulo 2^64
#[case((8, 0, ABS64, i64::MIN), 0x1000, 0, &[0, 0x10, 0, 0, 0, 0, 0, 0x80])]
#[case((8, 3, ABS64, 1), 0x1000, 0, &[1, 0x70, 0, 0, 0, 0, 0, 0])]
#[case((8, 4, ABS64, 0), 0x1000, 0, &[0; 8])]
#[case((8, 4, ABS64, -2), 0x1000, 0, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])]
// S + A - P: 0x20 - 4 - 1, wherever the code lies.
#[case((1, 1, PC32, -4), 0x1000, 0, &[0x1b, 0, 0, 0])]
#[case((1, 1, PC32, -4), 0x6000_0000_0000, 0, &[0x1b, 0, 0, 0])]
#[case((60, 0, PC32, 0), 0x1000, 0, &[0xc4, 0xff, 0xff, 0xff])] // -60
#[case((4, 2, PC32, -4), 0x1000, 0x9000, &[0x00, 0x80, 0, 0])] // 0x9008 - 4 - 0x1004
#[case((4, 2, PC32, 0), 0x9000, 0x1000, &[0x04, 0x80, 0xff, 0xff])] // 0x1008 - 0x9004 = -0x7ffc
#[case((4, 3, PLT32, -4), 0x1000, 0, &[0xf8, 0x5f, 0, 0])] // 0x7000 - 4 - 0x1004
#[case((4, 4, PLT32, -4), 0x1000, 0, &[0xf8, 0xef, 0xff, 0xff])] // -4 - 0x1004
// G + A - P: the slot, not what it holds.
#[case((4, 3, GOTPCREL, -4), 0x1000, 0, &[0x10, 0x10, 0, 0])] // 0x2018 - 4 - 0x1004
#[case((4, 0, GOTPCREL, 4), 0x7fff_0000_0000, 0, &[0, 0x10, 0, 0])]
#[case((4, 3, NONE, 5), 0x1000, 0, &[0xcc; 4])]
fn values(#[case] record: Relocation, #[case] code: u64, #[case] data: u64, #[case] bytes: &[u8]) {
    assert_eq!(written(record, code, data).unwrap(), bytes);
}

/// The place is 16 bytes into the code at 4 GiB, the symbol at its start: the value is the addend less 16.
#[rstest]
#[case(0x7fff_ffff, Some([0xff, 0xff, 0xff, 0x7f]))]
#[case(0x8000_0000, None)]
#[case(-0x8000_0000, Some([0, 0, 0, 0x80]))]
#[case(-0x8000_0001, None)]
#[case(0x1_0000_0000, None)]
#[case(-0x1_0000_0000, None)]
fn the_ends_of_32_bits(#[case] value: i64, #[case] bytes: Option<[u8; 4]>) {
    for kind in [PC32, PLT32] {
        let found = written((16, 0, kind, value + 16), 1 << 32, 0);
        let record = contents_at(3) + 80;
        assert_eq!(found, bytes.map(Vec::from).ok_or(Unlinkable::OutOfRange(record)));
    }
    // The slot of symbol 0 is 0x1000 into the code.
    let found = written((16, 0, GOTPCREL, value + 16 - 0x1000), 1 << 32, 0);
    assert_eq!(found.ok(), bytes.map(Vec::from));
}

/// The distance between two images counts, not the addresses.
#[test]
fn far_images_are_out_of_range_of_each_other() {
    let near = written((0, 2, PC32, 0), 0x7000_0000_0000, 0x7000_0000_0000 + 0x7fff_ffff - 8);
    assert_eq!(near.unwrap(), [0xff, 0xff, 0xff, 0x7f]);
    let far = written((0, 2, PC32, 0), 0x7000_0000_0000, 0x7000_0000_0000 + 0x8000_0000 - 8);
    assert_eq!(far, Err(Unlinkable::OutOfRange(contents_at(3) + 80)));
}

#[test]
fn what_symbols_stand_for() {
    let format = smf();
    let linked = linked(&format, &module(64, 16, &SYMBOLS, &[]));
    let meanings: Vec<Meaning> = linked.symbols.iter().map(|symbol| symbol.meaning).collect();
    let code = |offset| Meaning::Defined(Address::In { image: 0, offset });
    let data = Meaning::Defined(Address::In { image: 1, offset: 8 });
    let (import, weak) = (Meaning::Imported { weak: false }, Meaning::Imported { weak: true });
    assert_eq!(meanings, [code(0), code(0x20), data, import, weak]);
    let exported: Vec<bool> = linked.symbols.iter().map(|symbol| symbol.exported).collect();
    assert_eq!(exported, [false, true, false, false, false]);
    assert_eq!(linked.address(4, |_| Some(9)), Some(Address::Number(9)));
    assert_eq!(linked.address(4, |_| None), Some(Address::Number(0)));
    assert_eq!(linked.address(3, |_| None), None);
    assert_eq!(linked.address(5, |_| Some(9)), None);
    // A definition of one's own is not looked up elsewhere.
    assert_eq!(linked.address(1, |_| Some(9)), Some(Address::In { image: 0, offset: 0x20 }));
}

/// Nobody defines `given`: reported before a value that does not fit, wherever the two stand.
#[test]
fn undefined_comes_before_out_of_range() {
    let format = smf();
    let record = |index: u64| contents_at(3) + 80 + 24 * index;
    let link = |relocations: &[Relocation]| {
        let bytes = module(64, 16, &SYMBOLS, relocations);
        let linked = linked(&format, &bytes);
        linked.relocated(&format, &bytes, &[1 << 32, 1 << 33], |_| None, |_| 0).map(|_| ())
    };
    let (far, undefined) = ((0, 0, PC32, 1 << 31), (16, 3, ABS64, 0));
    assert_eq!(link(&[far]), Err(Unlinkable::OutOfRange(record(0))));
    assert_eq!(link(&[undefined]), Err(Unlinkable::Undefined(record(0))));
    assert_eq!(link(&[far, undefined]), Err(Unlinkable::Undefined(record(1))));
    assert_eq!(link(&[undefined, far]), Err(Unlinkable::Undefined(record(0))));
    // None resolves nothing, and what nothing uses need not be defined.
    assert_eq!(link(&[(16, 3, NONE, 0)]), Ok(()));
    assert_eq!(link(&[]), Ok(()));
}

/// The record that lies first in the file, not the one that the table names first.
#[test]
fn the_first_record_is_the_one_that_lies_first() {
    let (format, at) = (smf(), contents_at(3));
    let sections = [(RELOC, at + 24, 24, 0, 0), (RELOC, at, 24, 0, 0), (CODE, at + 48, 64, 64, 16)];
    for (kind, addend, expected) in
        [(ABS64, 0, Unlinkable::Undefined(at)), (PC32, 1 << 40, Unlinkable::OutOfRange(at))]
    {
        let contents =
            [relocation((0, 0, kind, addend)), relocation((16, 0, kind, addend)), vec![0xc3; 64]];
        let symbol = [("f", FUNCTION, GLOBAL, 0, u64::from(kind == PC32))];
        let bytes = file(&sections, &contents.concat(), &symbol);
        let linked = linked(&format, &bytes);
        let found = linked.relocated(&format, &bytes, &[1 << 32, 0], |_| None, |_| 0);
        assert_eq!(found, Err(expected));
    }
}
