//! Functions as gcc 12 compiles them for each convention, called as this crate plans it: what they return shows
//! that arguments are where a compiler's callee looks for them.
//!
//! The code is frozen here (`-O2 -fno-pic -fcf-protection=none -fno-asynchronous-unwind-tables`, and `-mabi=ms`,
//! `-m32 -mfpmath=387`, `-m32 -mfpmath=387 -mrtd`) from:
//!
//! ```c
//! typedef signed char b; typedef short h; typedef int i; typedef long long l; typedef float f; typedef double d;
//! l mixed(b a, h c, i e, l g, f j, d k, b m, i n, l o, d q, b *p) {
//!     p[1] = 9;
//!     return 2*a + 3*c + 5LL*e + 7*g + 11*(l)j + 13*(l)k + 17*m + 19LL*n + 23*o + 29*(l)q + p[0];
//! }
//! d floats(f a, d c, f e, d g, f j, d k, f m, d n, f o, d q) { return a-c-e-g-j-k-m-n-o-q; }
//! f single(l a, f c) { return c+c; }
//! ```

use harness_protocol::{Argument, HexBytes, Returned, TypeName};
use harness_sandbox::emulated::Emulated;
use harness_sandbox::{
    Budget, Calls, Convention, Job, Machine, Outcome, Permissions, Program, Segment, job, verdict,
};
use rstest::rstest;

/// Code of `mixed`, `floats` and `single`.
struct Code {
    mixed: &'static str,
    floats: &'static str,
    single: &'static str,
}

const SYSTEM_V: Code = Code {
    mixed: concat!(
        "89f04189fa4863d24889cf98450fbed2488d14924d63c98d0440488b742408488b4c2410428d04504898c641",
        "01094801d0f3480f2cd0488d04f84829f8488d3c92488d147a4801d0f2480f2cd1488d3c52488d14ba4801d0",
        "410fbed04189d041c1e0044101d04b8d14c94d63c0498d14514c01c04801d0488d147648c1e2034829f24801",
        "d0f2480f2cd2488d34d5000000004829d6488d14b24801d0480fbe114801d0c3",
    ),
    floats: concat!(
        "f30f5ac0f20f5cc1f30f5ad2f30f5ae4f30f5af6660fefc9f30f5a4c2408f20f5cc2f20f5cc3f20f5cc4f20f",
        "5cc5f20f5cc6f20f5cc7f20f5cc1f20f5c442410c3",
    ),
    single: "f30f58c0c3",
};

const WIN64: Code = Code {
    mixed: concat!(
        "0fbfd20fbec94d63c04c8b5c24488d04524b8d14804c8b5424588d0448489841c64201094801d0f3480f2c54",
        "24284a8d04c84c29c8488d0c92488d144a4801d0f2480f2c542430488d0c52488d148a0fbe4c24384801d089",
        "cac1e20401ca4863d24801d04863542440488d0cd2488d144a4801d04b8d145b48c1e2034c29da4801d0f248",
        "0f2c542450488d0cd5000000004829d1488d148a4801d0490fbe124801d0c3",
    ),
    floats: concat!(
        "f30f5ac0f20f5cc1f30f5ad2660fefc9f30f5a4c2428f20f5cc2f20f5cc3f20f5cc1f20f5c442430660fefc9",
        "f30f5a4c2438f20f5cc1f20f5c442440660fefc9f30f5a4c2448f20f5cc1f20f5c442450c3",
    ),
    single: "f30f58c90f28c1c3",
};

const CDECL: Code = Code {
    mixed: concat!(
        "57565383ec100fbf4424240fbe5424208b742458d94424348d04408d0c50b805000000c6460109d97c240ef7",
        "6c242889cbc1fb1f01c1b80700000011d36b7c243007f764242c01fa01c10fb744240e11d380cc0c66894424",
        "0cb80b000000d96c240cdf3c24d96c240e6b7c24040bdd442438f72424d96c240cdf3c24d96c240e01fa01c1",
        "b80d00000011d36b7c24040ddd442450f7242401fa01c811da0fbe5c244089d9c1e10401d989cbc1fb1f01c1",
        "b81300000011d3f76c244401c1b81700000011d36b7c244c17f7642448d96c240cdf3c24d96c240e01fa01c1",
        "b81d00000011d36b7c24041df7242401fa01c80fbe0e11da89cbc1fb1f01c811da83c4105b5e5fc3",
    ),
    floats: "d9442404dc642408d8642410dc642414d864241cdc642420d8642428dc64242cd8642434dc642438c3",
    single: "d944240cd8c0c3",
};

const STDCALL: Code = Code {
    mixed: concat!(
        "57565383ec100fbf4424240fbe5424208b742458d94424348d04408d0c50b805000000c6460109d97c240ef7",
        "6c242889cbc1fb1f01c1b80700000011d36b7c243007f764242c01fa01c10fb744240e11d380cc0c66894424",
        "0cb80b000000d96c240cdf3c24d96c240e6b7c24040bdd442438f72424d96c240cdf3c24d96c240e01fa01c1",
        "b80d00000011d36b7c24040ddd442450f7242401fa01c811da0fbe5c244089d9c1e10401d989cbc1fb1f01c1",
        "b81300000011d3f76c244401c1b81700000011d36b7c244c17f7642448d96c240cdf3c24d96c240e01fa01c1",
        "b81d00000011d36b7c24041df7242401fa01c80fbe0e11da89cbc1fb1f01c811da83c4105b5e5fc23c00",
    ),
    floats: "d9442404dc642408d8642410dc642414d864241cdc642420d8642428dc64242cd8642434dc642438c23c00",
    single: "d944240cd8c0c20c00",
};

const AAPCS64: Code = Code {
    mixed: concat!(
        "283c1f130a00389e01a1210ba80080522184200b2900789e841c00132b028052217c409340050a8b4204289b",
        "2105098b4800789e2109018b420c038b420003cb630280524008008bc204068b00000acb0000018b01f17dd3",
        "42f07dd3210008cb460006cb2201805284002b9b0109018ba510239be0008039e2040039a500068ba500018b",
        "a000008bc0035fd6",
    ),
    floats: concat!(
        "00c0221e42c0221e84c0221ec6c0221ef00340bdf10740fd0038611e10c2221e0138621e2138631e2138641e",
        "2138651e2138661e2138671e2138701e2038711ec0035fd6",
    ),
    single: "0028201ec0035fd6",
};

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap_or_default());
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect()
}

/// What `code` returns; that it keeps every promise is asserted on the way.
fn call(
    machine: &mut dyn Machine,
    convention: Convention,
    code: &str,
    args: Vec<Argument>,
    returns: TypeName,
) -> (Returned, Vec<HexBytes>) {
    // The native machine runs what lies in its arena, 32-bit code what lies below 4 GiB.
    let address = if machine.name() == "native" { 0x3000_0000_0000 } else { 0x1000_0000 };
    let bytes = bytes(code);
    let (name, size, permissions) = ("code".into(), bytes.len() as u64, Permissions::Rx);
    let segments = vec![Segment { name, address, bytes, size, permissions }];
    let program =
        Program { architecture: convention.architecture(), segments, symbols: Vec::new() };
    let (calls, budget) = (Calls::Once, Budget::default());
    let job = Job { entry: address, convention, args, returns, calls, budget };
    let plan = job::plan(&program, job).expect("planned");
    let report = machine.run(&plan.setup).expect("run");
    let verdict = verdict::read(&program, &plan, report, machine.name());
    assert_eq!(verdict.breaches, [], "{convention:?}");
    match verdict.outcome {
        Outcome::Returned { value, buffers } => (value, buffers),
        other => panic!("{convention:?}: {other:?} at {:?}", verdict.pc),
    }
}

fn float32(value: f32) -> Argument {
    Argument::Float32 { bits: value.to_bits() }
}

fn float64(value: f64) -> Argument {
    Argument::Float64 { bits: value.to_bits() }
}

fn check(machine: &mut dyn Machine, convention: Convention, code: &Code) {
    let args = vec![
        Argument::Int8 { value: -2 },
        Argument::Int16 { value: 300 },
        Argument::Int32 { value: -40_000 },
        Argument::Int64 { value: 5_000_000_000 },
        float32(1.5),
        float64(-7.9),
        Argument::Int8 { value: 11 },
        Argument::Int32 { value: -13 },
        Argument::Int64 { value: 17 << 33 },
        float64(2.25),
        Argument::Pointer { bytes: Some(HexBytes(vec![156, 0, 7])) },
    ];
    let answer = call(machine, convention, code.mixed, args, TypeName::Int64);
    let value = Returned::Int64 { value: 3_393_664_226_186 };
    assert_eq!(answer, (value, vec![HexBytes(vec![156, 9, 7])]), "{convention:?}");

    let number = |n: u8| if n.is_multiple_of(2) { float32(n.into()) } else { float64(n.into()) };
    let args = std::iter::once(float32(1000.5)).chain((1..10).map(number)).collect();
    let answer = call(machine, convention, code.floats, args, TypeName::Float64);
    let bits = 955.5_f64.to_bits();
    assert_eq!(answer.0, Returned::Float64 { bits }, "{convention:?}");

    let args = vec![Argument::Int64 { value: -1 }, float32(-0.3)];
    let answer = call(machine, convention, code.single, args, TypeName::Float32);
    let bits = (-0.6_f32).to_bits();
    assert_eq!(answer.0, Returned::Float32 { bits }, "{convention:?}");
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[rstest]
#[case(Convention::SystemV, SYSTEM_V)]
#[case(Convention::Win64, WIN64)]
fn compiled_functions_find_their_arguments(#[case] convention: Convention, #[case] code: Code) {
    let mut native = harness_sandbox::native::Native::start().expect("the native machine starts");
    check(&mut native, convention, &code);
}

#[rstest]
#[case(Convention::SystemV, SYSTEM_V)]
#[case(Convention::Win64, WIN64)]
#[case(Convention::Cdecl, CDECL)]
#[case(Convention::Stdcall, STDCALL)]
#[case(Convention::Aapcs64, AAPCS64)]
#[ignore = "needs the program harness-emulator, which is built apart: see harness/emulator/README.md"]
fn compiled_functions_find_their_arguments_when_emulated(
    #[case] convention: Convention,
    #[case] code: Code,
) {
    let program = Emulated::find().expect("HARNESS_EMULATOR names the program");
    let mut emulated = Emulated::start(program).expect("the emulator starts");
    check(&mut emulated, convention, &code);
}
