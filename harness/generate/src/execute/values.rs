//! Arguments and results: each type, its bounds, and more of them than there are registers.

use harness_protocol::value::Address;
use harness_protocol::{Argument, Returned};

use super::{Case, int32, int64, null, pointer};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = integers();
    cases.extend(widened());
    cases.extend(floats());
    cases.extend(addresses());
    cases.extend(many());
    cases.push(Case::returning(
        "values/void",
        "nothing",
        Vec::new(),
        Returned::Void,
        "a result is read where there is none",
    ));
    cases
}

/// A value as argument and as result.
type Integer = fn(i64) -> (Argument, Returned);

#[expect(clippy::cast_possible_truncation, reason = "the bounds below are those of each type")]
const INTEGERS: [(&str, &str, &str, i64, i64, Integer); 4] = [
    ("int8", "same_int8", "dirty_int8", i8::MIN as i64, i8::MAX as i64, |value| {
        (Argument::Int8 { value: value as i8 }, Returned::Int8 { value: value as i8 })
    }),
    ("int16", "same_int16", "dirty_int16", i16::MIN as i64, i16::MAX as i64, |value| {
        (Argument::Int16 { value: value as i16 }, Returned::Int16 { value: value as i16 })
    }),
    ("int32", "same_int32", "dirty_int32", i32::MIN as i64, i32::MAX as i64, |value| {
        (Argument::Int32 { value: value as i32 }, Returned::Int32 { value: value as i32 })
    }),
    ("int64", "same_int64", "", i64::MIN, i64::MAX, |value| {
        (Argument::Int64 { value }, Returned::Int64 { value })
    }),
];

/// Each integer type there and back, the bits above a narrow result being garbage or not.
fn integers() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, same, dirty, lowest, highest, integer) in INTEGERS {
        let values =
            [("lowest", lowest), ("minus-one", -1), ("zero", 0), ("one", 1), ("highest", highest)];
        for (at, value) in values {
            let (argument, result) = integer(value);
            let why = "an argument or a result is cut, or its sign is lost";
            let id = format!("values/{name}/same/{at}");
            cases.push(Case::returning(id, same, vec![argument.clone()], result.clone(), why));
            if !dirty.is_empty() {
                let why = "bits above a narrow result are taken for a part of it";
                let id = format!("values/{name}/garbage-above/{at}");
                cases.push(Case::returning(id, dirty, vec![argument], result, why));
            }
        }
    }
    cases
}

/// Narrow arguments that the callee widens.
fn widened() -> Vec<Case> {
    let why = "a narrow argument arrives without its sign";
    let case = |name: &str, snippet, argument, value: i64| {
        let id = format!("values/{name}/widened");
        Case::returning(id, snippet, vec![argument], Returned::Int64 { value }, why)
    };
    vec![
        case("int8", "widen_int8", Argument::Int8 { value: -100 }, -100),
        case("int16", "widen_int16", Argument::Int16 { value: -30_000 }, -30_000),
        case("int32", "widen_int32", Argument::Int32 { value: -2_000_000_000 }, -2_000_000_000),
    ]
}

const FLOATS: [(&str, u32, u64); 9] = [
    ("zero", 0, 0),
    ("minus-zero", 0x8000_0000, 0x8000_0000_0000_0000),
    ("one-and-a-half", 0x3fc0_0000, 0x3ff8_0000_0000_0000),
    ("infinity", 0x7f80_0000, 0x7ff0_0000_0000_0000),
    ("minus-infinity", 0xff80_0000, 0xfff0_0000_0000_0000),
    ("quiet-nan", 0x7fc1_2345, 0x7ff8_1234_5678_9abc),
    ("signalling-nan", 0xffa1_2345, 0xfff4_1234_5678_9abc),
    ("smallest", 1, 1),
    ("largest", 0x7f7f_ffff, 0x7fef_ffff_ffff_ffff),
];

fn floats() -> Vec<Case> {
    let mut cases = Vec::new();
    for (at, single, double) in FLOATS {
        let why = "a float is converted on its way, and its bits change";
        let (argument, result) =
            (Argument::Float32 { bits: single }, Returned::Float32 { bits: single });
        let id = format!("values/float32/same/{at}");
        cases.push(Case::returning(id, "same_float", vec![argument.clone()], result.clone(), why));
        let id = format!("values/float32/garbage-above/{at}");
        let above = "bits above a narrow result are taken for a part of it";
        cases.push(Case::returning(id, "dirty_float32", vec![argument], result, above));
        let (argument, result) =
            (Argument::Float64 { bits: double }, Returned::Float64 { bits: double });
        let id = format!("values/float64/same/{at}");
        cases.push(Case::returning(id, "same_float", vec![argument], result, why));
    }
    cases
}

/// Addresses, said relative to what they lie in.
fn addresses() -> Vec<Case> {
    let why = "an address is cut, or said relative to the wrong thing";
    let buffer = || pointer(&[1, 2, 3, 4]);
    let at = |index, offset| Returned::Pointer(Address::Buffer { index, offset });
    let structure = |bytes: Option<&[u8]>| Argument::StructRef { bytes: bytes.map(Into::into) };
    let structure_at = |offset| Returned::StructRef(Address::Buffer { index: 0, offset });
    let case = |name: &str, snippet, args, result| {
        Case::returning(format!("values/{name}"), snippet, args, result, why)
    };
    vec![
        case("pointer/null", "same_int64", vec![null()], Returned::Pointer(Address::Null)),
        case("pointer/buffer", "same_int64", vec![buffer()], at(0, 0)),
        case(
            "pointer/own-address",
            "own_address",
            vec![],
            Returned::Pointer(Address::Image { offset: 0 }),
        ),
        case(
            "pointer/elsewhere",
            "odd_address",
            vec![],
            Returned::Pointer(Address::Other { address: 0x1234_5679 }),
        ),
        case("pointer/is-null", "is_null", vec![null()], Returned::Int8 { value: 1 }),
        case("pointer/is-not-null", "is_null", vec![buffer()], Returned::Int8 { value: 0 }),
        case(
            "pointer/empty-is-not-null",
            "is_null",
            vec![pointer(&[])],
            Returned::Int8 { value: 0 },
        ),
        case(
            "struct-ref/null",
            "same_int64",
            vec![structure(None)],
            Returned::StructRef(Address::Null),
        ),
        case("struct-ref/buffer", "same_int64", vec![structure(Some(&[0; 32]))], structure_at(0)),
    ]
}

/// `acc * 31 + value` over all values: what the snippets compute that fold their arguments.
pub(super) fn folded(values: impl IntoIterator<Item = i64>) -> i64 {
    values.into_iter().fold(0, |sum: i64, value| sum.wrapping_mul(31).wrapping_add(value))
}

/// More arguments than registers, and of several types.
fn many() -> Vec<Case> {
    let why = "arguments are passed where the callee does not look for them";
    let case = |name: &str, snippet, args: Vec<Argument>, result| {
        Case::returning(format!("values/many/{name}"), snippet, args, result, why)
    };
    let total = |args: &[Argument]| Returned::Int64 { value: folded(args.iter().map(bits)) };
    let integers: Vec<Argument> =
        (1..=10).map(|n: i64| int64(n.wrapping_mul(-0x0123_4567_89ab_cdef))).collect();
    let doubles: Vec<Argument> = (1..=10).map(double).collect();
    let singles: Vec<Argument> =
        (1..=10).map(|n| Argument::Float32 { bits: 0x3f80_0000 + n }).collect();
    let turns: Vec<Argument> =
        integers.iter().zip(&doubles).flat_map(|(i, f)| [i.clone(), f.clone()]).collect();
    let alignment = |count: usize| {
        let args = integers.iter().take(count).cloned().collect();
        case(
            &format!("stack-alignment-{count}"),
            "stack_alignment",
            args,
            Returned::Int8 { value: 0 },
        )
    };
    vec![
        case("ten-int64", "ten_int64", integers.clone(), total(&integers)),
        case("ten-narrow", "ten_narrow", narrow(), total(&narrow())),
        case("ten-float64", "ten_float64", doubles.clone(), total(&doubles)),
        case("tenth-float32", "tenth_float32", singles, Returned::Float32 { bits: 0x3f80_000a }),
        case("both-overflow", "both_overflow", turns.clone(), total(&turns)),
        case("mixed", "mixed", mixed(), total(&mixed())),
        case(
            "mixed-to-float64",
            "mixed_to_float64",
            vec![
                int32(-7),
                Argument::Float32 { bits: 2.5_f32.to_bits() },
                int64(1 << 40),
                Argument::Float64 { bits: 0.125_f64.to_bits() },
            ],
            Returned::Float64 { bits: (2.5 + 0.125 - 7.0 + 1_099_511_627_776.0_f64).to_bits() },
        ),
        alignment(0),
        alignment(7),
        alignment(9),
    ]
}

fn double(n: u64) -> Argument {
    Argument::Float64 { bits: 0x3ff0_0000_0000_0000 + (n << 32) + n }
}

/// Narrow integers with both signs, three and more of them on the stack.
fn narrow() -> Vec<Argument> {
    vec![
        Argument::Int8 { value: -1 },
        Argument::Int16 { value: -2 },
        int32(-3),
        int64(-4),
        Argument::Int8 { value: i8::MIN },
        Argument::Int16 { value: i16::MAX },
        int32(i32::MIN),
        int64(i64::MAX),
        Argument::Int8 { value: -128 },
        Argument::Int16 { value: -32_768 },
    ]
}

fn mixed() -> Vec<Argument> {
    vec![
        Argument::Int8 { value: -5 },
        double(3),
        Argument::Int16 { value: -300 },
        Argument::Float32 { bits: 0xffa0_0001 },
        int64(-1 << 50),
        pointer(&0x0102_0304_0506_0708_i64.to_le_bytes()),
        int32(-70_000),
        Argument::Float32 { bits: 0x8000_0000 },
        int64(9),
        Argument::Int8 { value: -77 },
    ]
}

/// What a folding snippet adds for an argument: its value, its bits, or the first eight bytes behind it.
fn bits(argument: &Argument) -> i64 {
    match argument {
        Argument::Int8 { value } => (*value).into(),
        Argument::Int16 { value } => (*value).into(),
        Argument::Int32 { value } => (*value).into(),
        Argument::Int64 { value } => *value,
        Argument::Float32 { bits } => (*bits).into(),
        Argument::Float64 { bits } => bits.cast_signed(),
        Argument::Pointer { .. } | Argument::StructRef { .. } => {
            let first = argument.buffer().and_then(|bytes| bytes.first_chunk());
            first.map_or(0, |first| i64::from_le_bytes(*first))
        }
    }
}
