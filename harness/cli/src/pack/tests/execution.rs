//! The packed blob is mapped and its functions are called: the results are those of the source.
#![cfg(target_arch = "x86_64")]

use std::ffi::c_void;

use harness_protocol::value::Address;
use harness_protocol::{Argument, Call, HexBytes, Returned, TypeName};
use memmap2::{Mmap, MmapMut};
use reference_loader::call::{CallOutcome, invoke};

use super::{Packed, X86_64, compile_real, function, pack};

/// A blob in executable memory.
struct Mapped {
    packed: Packed,
    image: Mmap,
}

impl Mapped {
    fn of(packed: Packed) -> Self {
        let mut memory = MmapMut::map_anon(packed.blob.len()).unwrap();
        memory.copy_from_slice(&packed.blob);
        Self { packed, image: memory.make_exec().unwrap() }
    }

    #[expect(unsafe_code, reason = "calls the code that was packed")]
    fn call(&self, name: &str, args: Vec<Argument>) -> CallOutcome {
        let function = function(&self.packed, name);
        let types: Vec<TypeName> = args.iter().map(Argument::type_name).collect();
        assert_eq!(types, function.params, "{name}");
        let call = Call { function: name.into(), args, returns: function.returns };
        let start = self.image.as_ptr().addr();
        let entry: *const c_void = self.image[function.entry.try_into().unwrap()..].as_ptr().cast();
        // SAFETY: the entry is that of a C function of tests/real, compiled for this machine and mapped
        // executable above; its types are those that the compiler wrote down, compared with the arguments
        // just before; every test hands it buffers as large as it accesses.
        unsafe { invoke(entry, start..start + self.image.len(), &call) }.unwrap()
    }

    fn result(&self, name: &str, args: Vec<Argument>) -> Returned {
        self.call(name, args).returned
    }
}

fn int8(value: i8) -> Argument {
    Argument::Int8 { value }
}

fn int16(value: i16) -> Argument {
    Argument::Int16 { value }
}

fn int32(value: i32) -> Argument {
    Argument::Int32 { value }
}

fn int64(value: i64) -> Argument {
    Argument::Int64 { value }
}

fn float32(value: f32) -> Argument {
    Argument::Float32 { bits: value.to_bits() }
}

fn float64(value: f64) -> Argument {
    Argument::Float64 { bits: value.to_bits() }
}

fn pointer(bytes: &[u8]) -> Argument {
    Argument::Pointer { bytes: Some(bytes.into()) }
}

fn structure(words: &[i32]) -> Argument {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    Argument::StructRef { bytes: Some(bytes.into()) }
}

fn into_buffer(index: usize, offset: u64) -> Address {
    Address::Buffer { index, offset }
}

/// The functions of a file of `tests/real` at both ends of optimisation.
fn for_each_level(name: &str, test: impl Fn(&Mapped)) {
    for level in ["-O0", "-O2"] {
        test(&Mapped::of(pack(&compile_real(X86_64, name, &[level])).unwrap()));
    }
}

#[test]
fn integers() {
    for_each_level("functions.c", |m| {
        assert_eq!(m.result("add8", vec![int8(127), int8(1)]), Returned::Int8 { value: -128 });
        assert_eq!(
            m.result("mul16", vec![int16(-300), int16(300)]),
            Returned::Int16 { value: -24_464 }
        );
        assert_eq!(m.result("add", vec![int32(40), int32(2)]), Returned::Int32 { value: 42 });
        assert_eq!(m.result("divide", vec![int32(-7), int32(2)]), Returned::Int32 { value: -3 });
        assert_eq!(
            m.result("sub64", vec![int64(i64::MIN), int64(1)]),
            Returned::Int64 { value: i64::MAX }
        );
        assert_eq!(
            m.result("widen", vec![int8(-1), int16(-2), int32(-3), int64(-4)]),
            Returned::Int64 { value: -50 }
        );
        assert_eq!(
            m.result("rotate", vec![int32(i32::MIN), int8(1)]),
            Returned::Int32 { value: 1 }
        );
        assert_eq!(m.result("nothing", vec![]), Returned::Void);
    });
}

#[test]
fn floats() {
    for_each_level("functions.c", |m| {
        assert_eq!(
            m.result("scale", vec![float32(1.5), float32(-2.0)]),
            Returned::Float32 { bits: (-3.0_f32).to_bits() }
        );
        let args = [3.0, 4.0, 5.0, 6.0].map(float64).to_vec();
        assert_eq!(m.result("determinant", args), Returned::Float64 { bits: (-2.0_f64).to_bits() });
        let args = vec![
            int32(1),
            float64(0.5),
            int8(-2),
            float32(0.25),
            int64(1 << 40),
            float64(8.0),
            int16(-3),
            float32(16.0),
            int32(-4),
            float64(32.0),
            int64(-5),
        ];
        let expected =
            1.0 + 0.5 - 2.0 + 0.25 + 1_099_511_627_776.0 + 8.0 - 3.0 + 16.0 - 4.0 + 32.0 - 5.0_f64;
        assert_eq!(m.result("mixed", args), Returned::Float64 { bits: expected.to_bits() });
    });
}

#[test]
fn buffers() {
    for_each_level("functions.c", |m| {
        assert_eq!(
            m.result("sum_bytes", vec![pointer(&[255, 255, 1]), int32(3)]),
            Returned::Int64 { value: 511 }
        );
        assert_eq!(
            m.result("sum_words", vec![pointer(&[1, 0, 0, 0, 255, 255, 255, 255]), int32(2)]),
            Returned::Int32 { value: 0 }
        );
        let outcome = m.call("reverse", vec![pointer(b"abcde"), int32(5)]);
        assert_eq!(outcome.buffers, [HexBytes(b"edcba".to_vec())]);
        let outcome = m.call("sort", vec![pointer(b"sorting"), int32(7)]);
        assert_eq!(outcome.buffers, [HexBytes(b"ginorst".to_vec())]);
        assert_eq!(
            m.result("crc32", vec![pointer(b"123456789"), int32(9)]),
            Returned::Int32 { value: 0xcbf4_3926_u32.cast_signed() }
        );
    });
}

#[test]
fn strings() {
    for_each_level("functions.c", |m| {
        assert_eq!(m.result("length", vec![pointer(b"hello\0")]), Returned::Int64 { value: 5 });
        assert_eq!(
            m.result("find", vec![pointer(b"hello\0"), int8(108)]),
            Returned::Pointer(into_buffer(0, 2))
        );
        assert_eq!(
            m.result("find", vec![pointer(b"hello\0"), int8(120)]),
            Returned::Pointer(Address::Null)
        );
        let outcome = m.call("to_upper", vec![pointer(b"Hello, z\0")]);
        assert_eq!(outcome.buffers, [HexBytes(b"HELLO, Z\0".to_vec())]);
    });
}

#[test]
fn structures() {
    for_each_level("functions.c", |m| {
        assert_eq!(
            m.result("distance", vec![structure(&[1, 2]), structure(&[4, -2])]),
            Returned::Int32 { value: 7 }
        );
        let outcome = m.call("move_by", vec![structure(&[1, 2]), int32(10), int32(20)]);
        assert_eq!(outcome.buffers, [HexBytes(vec![11, 0, 0, 0, 22, 0, 0, 0])]);
        let rectangle = || vec![structure(&[0, 0, 6, 7, 0, 0])];
        assert_eq!(m.result("area", rectangle()), Returned::Int64 { value: 42 });
        assert_eq!(m.result("upper_corner", rectangle()), Returned::StructRef(into_buffer(0, 8)));
    });
}

#[test]
fn recursion() {
    for_each_level("functions.c", |m| {
        assert_eq!(m.result("fibonacci", vec![int32(15)]), Returned::Int64 { value: 610 });
        assert_eq!(m.result("ackermann", vec![int32(2), int32(3)]), Returned::Int32 { value: 9 });
        assert_eq!(m.result("parity", vec![int32(7)]), Returned::Int8 { value: 1 });
    });
}

#[test]
fn constants_beside_the_code() {
    for_each_level("tables.c", |m| {
        assert_eq!(m.result("square", vec![int32(9)]), Returned::Int32 { value: 81 });
        assert_eq!(
            m.result("weigh", vec![pointer(&[1, 1, 1, 1, 1, 2]), int32(6)]),
            Returned::Int32 { value: 20 }
        );
        let results: Vec<Returned> = (0..11)
            .map(|code| m.result("dispatch", vec![int32(code), int32(13), int32(5)]))
            .collect();
        let expected = [18, 8, 65, 5, 13, 8, 3, 416, -14, 13, -1];
        assert_eq!(results, expected.map(|value| Returned::Int32 { value }));
        let text = b"hello from the blob\0";
        let outcome = m.call("greet", vec![pointer(&[b'x'; 20])]);
        assert_eq!(outcome.buffers, [HexBytes(text.to_vec())]);
        assert_eq!(m.result("indirect", vec![int32(5)]), Returned::Int32 { value: 35 });
        assert_eq!(
            m.result("to_fahrenheit", vec![float64(100.0)]),
            Returned::Float64 { bits: 212.0_f64.to_bits() }
        );
        let Returned::Float32 { bits } = m.result("third", vec![float32(3.0)]) else { panic!() };
        assert!((f32::from_bits(bits) - 1.1).abs() < 1e-6);
    });
}

#[test]
fn an_address_inside_the_image() {
    for_each_level("tables.c", |m| {
        let Returned::Pointer(Address::Image { offset }) = m.result("weights", vec![]) else {
            panic!("no address inside the image")
        };
        let start = usize::try_from(offset).unwrap();
        assert_eq!(m.packed.blob[start..start + 5], [3, 1, 4, 1, 5]);
    });
}

/// Calls and tail calls through a table of addresses, which no -fPIC alone leads to.
#[test]
fn calls_through_the_table_become_direct() {
    let source = "__attribute__((noinline, noclone)) int callee(int n) { return n * 3; }\n\
                  int caller(int n) { return callee(n) + 1; }\n\
                  int tail(int n) { return callee(n + 1); }\n";
    for level in ["-O0", "-O2"] {
        let object = X86_64.compile(source, &[level, "-fno-plt"]);
        let mapped = Mapped::of(pack(&object).unwrap());
        assert_eq!(mapped.result("caller", vec![int32(5)]), Returned::Int32 { value: 16 });
        assert_eq!(mapped.result("tail", vec![int32(5)]), Returned::Int32 { value: 18 });
    }
}

/// One section a function: every call between them is a relocation.
#[test]
fn many_sections() {
    let extra = ["-O1", "-ffunction-sections", "-fdata-sections"];
    for (name, function, args, expected) in [
        ("functions.c", "fibonacci", vec![int32(10)], Returned::Int64 { value: 55 }),
        ("tables.c", "indirect", vec![int32(4)], Returned::Int32 { value: 24 }),
    ] {
        let mapped = Mapped::of(pack(&compile_real(X86_64, name, &extra)).unwrap());
        assert_eq!(mapped.result(function, args), expected);
    }
}
