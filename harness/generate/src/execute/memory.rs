//! Buffers and structures of the caller: read, written, and compared after the call.

use harness_protocol::value::Address;
use harness_protocol::{Argument, Returned};

use super::values::folded;
use super::{Case, int64, pointer};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = buffers();
    cases.extend(structures());
    cases
}

fn buffers() -> Vec<Case> {
    let why = "the callee sees other bytes than were passed, or its writes are lost";
    let into = |index, offset| Returned::Pointer(Address::Buffer { index, offset });
    let case = |name: &str, snippet, args, result| {
        Case::returning(format!("memory/{name}"), snippet, args, result, why)
    };
    let (five, page) = ([1_u8, 2, 250, 4, 5], page());
    let reversed: Vec<u8> = page.iter().rev().copied().collect();
    let sum = page.iter().map(|byte| i64::from(*byte)).sum();
    let length = |bytes: &[u8]| int64(i64::try_from(bytes.len()).unwrap_or(i64::MAX));
    let fill =
        |buffer: &[u8], value| vec![pointer(buffer), length(buffer), Argument::Int8 { value }];
    vec![
        case(
            "read",
            "sum_bytes",
            vec![pointer(&five), length(&five)],
            Returned::Int64 { value: 262 },
        ),
        case(
            "read-nothing",
            "sum_bytes",
            vec![pointer(&[]), int64(0)],
            Returned::Int64 { value: 0 },
        ),
        case(
            "read-over-a-page",
            "sum_bytes",
            vec![pointer(&page), length(&page)],
            Returned::Int64 { value: sum },
        ),
        case("write", "reverse_bytes", vec![pointer(&five), length(&five)], Returned::Void)
            .leaving(&[&[5, 4, 250, 2, 1]]),
        case(
            "write-over-a-page",
            "reverse_bytes",
            vec![pointer(&page), length(&page)],
            Returned::Void,
        )
        .leaving(&[&reversed]),
        case("fill", "fill", fill(&[0; 7], -2), into(0, 7)).leaving(&[&[0xfe; 7]]),
        case("fill-nothing", "fill", fill(&[], 1), into(0, 0)),
        case("copy", "copy", vec![pointer(&[0; 5]), pointer(&five), int64(5)], into(1, 0))
            .leaving(&[&five, &five]),
        case("copy-some", "copy", vec![pointer(&[9; 8]), pointer(&five), int64(3)], into(1, 0))
            .leaving(&[&[1, 2, 250, 9, 9, 9, 9, 9], &five]),
    ]
}

/// More bytes than a page has, no two neighbours alike.
fn page() -> Vec<u8> {
    (0..5000_u32).map(|n| (n.wrapping_mul(7) % 251) as u8).collect()
}

/// Where the fields of the structure lie that these snippets know, and the names of their types.
pub(super) const FIELDS: [(u64, &str); 6] =
    [(0, "int8"), (2, "int16"), (4, "int32"), (8, "int64"), (16, "float32"), (24, "float64")];

/// Bytes of that structure.
pub(super) const STRUCTURE: u64 = 32;

fn structure(int8: i8, int16: i16, int32: i32, int64: i64, float32: u32, float64: u64) -> Vec<u8> {
    let mut bytes = int8.to_le_bytes().to_vec();
    bytes.push(0xaa); // between fields: nobody's
    bytes.extend(int16.to_le_bytes());
    bytes.extend(int32.to_le_bytes());
    bytes.extend(int64.to_le_bytes());
    bytes.extend(float32.to_le_bytes());
    bytes.extend([0xbb; 4]);
    bytes.extend(float64.to_le_bytes());
    bytes
}

fn structures() -> Vec<Case> {
    let why = "fields are looked for where the types table does not put them";
    let (single, double) = (0xffa0_0001, 0x7ff8_0000_dead_beef);
    let whole = structure(-1, -2, -3, -4, single, double);
    let sum = folded([-1, -2, -3, -4, i64::from(single), double.cast_signed()]);
    let edges = structure(i8::MAX, i16::MAX, i32::MAX, i64::MAX, 0, 0);
    let over = structure(i8::MIN, i16::MIN, i32::MIN, i64::MIN, 0x8000_0000, 0x8000_0000_0000_0000);
    let by_reference = |bytes: &[u8]| vec![Argument::StructRef { bytes: Some(bytes.into()) }];
    let own = Returned::StructRef(Address::Buffer { index: 0, offset: 0 });
    vec![
        Case::returning(
            "memory/struct/read",
            "struct_fold",
            by_reference(&whole),
            Returned::Int64 { value: sum },
            why,
        ),
        Case::returning(
            "memory/struct/read-float64",
            "struct_float64",
            by_reference(&whole),
            Returned::Float64 { bits: double },
            why,
        ),
        Case::returning("memory/struct/write", "struct_change", by_reference(&edges), own, why)
            .leaving(&[&over]),
    ]
}
