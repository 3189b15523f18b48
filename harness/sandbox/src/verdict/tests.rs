//! Verdicts of made-up reports: a call that did nothing, and one thing changed.

use harness_protocol::value::Address;
use harness_protocol::{Argument, TypeName};
use rstest::rstest;

use super::*;
use crate::job::{self, Budget, Calls, Convention, Job};
use crate::machine::{Fill, Region, Trap};
use crate::{Architecture, Permissions, Segment, Symbol};

const CODE: u64 = 0x1000_0000;
const DATA: u64 = 0x1000_2000;

fn program(architecture: Architecture, code: &[u8]) -> Program {
    let segment = |name: &str, address, bytes: &[u8], permissions| Segment {
        name: name.into(),
        address,
        bytes: bytes.to_vec(),
        size: 0x100,
        permissions,
    };
    Program {
        architecture,
        segments: vec![
            segment("code", CODE, code, Permissions::Rx),
            segment("data", DATA, &[1, 2, 3], Permissions::Rw),
        ],
        symbols: vec![
            Symbol { name: "first".into(), address: CODE },
            Symbol { name: "second".into(), address: CODE + 0x20 },
        ],
    }
}

fn planned(convention: Convention, args: Vec<Argument>, returns: TypeName, calls: Calls) -> Plan {
    let program = program(convention.architecture(), &[]);
    let budget = Budget::default();
    job::plan(&program, Job { entry: CODE, convention, args, returns, calls, budget })
        .expect("planned")
}

fn content(region: &Region) -> Vec<u8> {
    let poison = |n: usize| crate::limits::POISON.to_le_bytes()[n % 8];
    let fill = |n| if region.fill == Fill::Zero { 0 } else { poison(n) };
    let mut bytes: Vec<u8> = (0..region.size as usize).map(fill).collect();
    bytes[region.offset as usize..][..region.bytes.len()].copy_from_slice(&region.bytes);
    bytes
}

/// The bytes of the stack from `sp` on.
fn window(plan: &Plan, sp: u64) -> Vec<u8> {
    let holds = |it: &&Region| (it.address..it.address + it.size).contains(&sp);
    let Some(region) = plan.setup.regions.iter().find(holds) else { return Vec::new() };
    let rest = &content(region)[(sp - region.address) as usize..];
    rest[..rest.len().min(crate::limits::STACK_WINDOW)].to_vec()
}

fn set_sp(registers: &mut Registers, sp: u64) {
    match registers {
        Registers::X86_64(it) => it.general[4] = sp,
        Registers::Arm64(it) => it.sp = sp,
        Registers::X86_32(it) => it.general[4] = sp as u32,
    }
}

/// What a machine reports of functions that only return.
fn returned(plan: &Plan) -> Report {
    let stops = plan.setup.calls.iter().zip(&plan.stacks).map(|(call, stack)| {
        let mut registers = call.registers.clone();
        set_sp(&mut registers, stack.returned);
        Stop { reason: StopReason::Landed, registers, stack: window(plan, stack.returned) }
    });
    let kept = plan.setup.regions.iter().filter(|region| region.kept);
    Report {
        stops: stops.collect(),
        memory: kept.map(content).collect(),
        cpu: Duration::ZERO,
        instructions: None,
        trace: Vec::new(),
    }
}

fn verdict(plan: &Plan, report: Report) -> Verdict {
    read(&program(plan.setup.architecture, &[]), plan, report, "made up")
}

fn buffer(bytes: &[u8]) -> Argument {
    Argument::Pointer { bytes: Some(HexBytes(bytes.to_vec())) }
}

fn x86_64(report: &mut Report) -> &mut crate::registers::X86_64 {
    match &mut report.stops[0].registers {
        Registers::X86_64(it) => it,
        other => panic!("{other:?}"),
    }
}

const CONVENTIONS: [Convention; 5] = [
    Convention::SystemV,
    Convention::Win64,
    Convention::Aapcs64,
    Convention::Cdecl,
    Convention::Stdcall,
];

#[test]
fn a_call_that_only_returns_breaks_nothing() {
    for convention in CONVENTIONS {
        for calls in [Calls::Once, Calls::Pure, Calls::AtOnce(2)] {
            let args = vec![Argument::Int64 { value: 3 }; 9];
            let args = args.into_iter().chain([buffer(b"abc"), buffer(b"")]).collect();
            let plan = planned(convention, args, TypeName::Void, calls);
            let verdict = verdict(&plan, returned(&plan));
            let buffers = vec![HexBytes(b"abc".to_vec()), HexBytes(Vec::new())];
            let answer = Answer { value: Returned::Void, buffers: buffers.clone() };
            assert_eq!(verdict.others, vec![answer; plan.setup.calls.len() - 1]);
            assert_eq!(verdict.outcome, Outcome::Returned { value: Returned::Void, buffers });
            assert_eq!(verdict.breaches, [], "{convention:?} {calls:?}");
            assert_eq!((verdict.pc, verdict.chain), (None, Vec::new()));
        }
    }
}

#[rstest]
#[case(TypeName::Int8, Returned::Int8 { value: -2 })]
#[case(TypeName::Int16, Returned::Int16 { value: -2 })]
#[case(TypeName::Int32, Returned::Int32 { value: 0x5555_fffe })]
#[case(TypeName::Int64, Returned::Int64 { value: 0x1234_5678_5555_fffe })]
#[case(TypeName::Float32, Returned::Float32 { bits: 0x4000_0000 })]
#[case(TypeName::Float64, Returned::Float64 { bits: 0x3ff8_0000_4000_0000 })]
fn results_by_type(#[case] returns: TypeName, #[case] expected: Returned) {
    for convention in CONVENTIONS {
        let plan = planned(convention, Vec::new(), returns, Calls::Once);
        let mut report = returned(&plan);
        let (integer, float) = (0x1234_5678_5555_fffe_u64, 0x3ff8_0000_4000_0000_u64);
        let mut expected = expected.clone();
        match &mut report.stops[0].registers {
            Registers::X86_64(it) => (it.general[0], it.xmm[0]) = (integer, float.into()),
            Registers::Arm64(it) => (it.x[0], it.v[0]) = (integer, float.into()),
            Registers::X86_32(it) => {
                (it.general[0], it.general[2]) = (integer as u32, (integer >> 32) as u32);
                // 1.5 and a little; as a single that little is lost.
                it.st0 = [0, 0, 0, 0, 0, 2, 0, 0xc0, 0xff, 0x3f];
                match &mut expected {
                    Returned::Float32 { bits } => *bits = 0x3fc0_0002,
                    Returned::Float64 { bits } => *bits = 0x3ff8_0000_4000_0000,
                    _ => {}
                }
            }
        }
        let Outcome::Returned { value, .. } = verdict(&plan, report).outcome else {
            panic!("{convention:?} returned")
        };
        assert_eq!(value, expected, "{convention:?}");
    }
}

#[test]
fn addresses_are_said_by_what_they_belong_to() {
    let args = vec![buffer(&[0; 8]), Argument::Pointer { bytes: None }, buffer(&[0; 4])];
    let plan = planned(Convention::SystemV, args, TypeName::StructRef, Calls::Once);
    let second = plan.buffers[0][1].0;
    let cases = [
        (0, Address::Null),
        (second + 3, Address::Buffer { index: 1, offset: 3 }),
        (second + 4, Address::Buffer { index: 1, offset: 4 }),
        (DATA + 1, Address::Image { offset: DATA + 1 - CODE }),
        (second + 5, Address::Other { address: second + 5 }),
        (CODE + 0x100, Address::Other { address: CODE + 0x100 }),
    ];
    for (pointer, expected) in cases {
        let mut report = returned(&plan);
        x86_64(&mut report).general[0] = pointer;
        let Outcome::Returned { value, .. } = verdict(&plan, report).outcome else {
            panic!("returned")
        };
        assert_eq!(value, Returned::StructRef(expected));
    }
}

#[test]
fn registers_that_were_not_kept_are_named() {
    for convention in CONVENTIONS {
        let plan = planned(convention, Vec::new(), TypeName::Void, Calls::Once);
        let mut report = returned(&plan);
        let (name, after) = match &mut report.stops[0].registers {
            Registers::X86_64(it) if convention == Convention::Win64 => {
                it.xmm[6] ^= 1 << 127;
                it.xmm[5] = 0;
                ("xmm6", it.xmm[6])
            }
            Registers::X86_64(it) => {
                it.general[12] = 1;
                (it.general[7], it.general[6], it.xmm[6]) = (0, 0, 0);
                ("r12", 1)
            }
            Registers::Arm64(it) => {
                it.v[15] = 5;
                it.v[8] ^= 1 << 64; // only the lower half is kept
                (it.v[16], it.x[18], it.x[30]) = (0, 0, 0);
                ("d15", 5)
            }
            Registers::X86_32(it) => {
                it.general[6] = 9;
                it.general[1] = 0;
                ("esi", 9)
            }
        };
        let breaches = verdict(&plan, report).breaches;
        let [Breach::Register { name: found, after: value, before }] = &breaches[..] else {
            panic!("{convention:?}: {breaches:?}")
        };
        assert_eq!((found.as_str(), *value), (name, after));
        assert_ne!(*before, after);
    }
}

#[test]
fn the_stack_pointer_flags_and_control_words_are_checked() {
    let plan = planned(Convention::SystemV, Vec::new(), TypeName::Void, Calls::Once);
    let mut report = returned(&plan);
    let it = x86_64(&mut report);
    it.rflags |= 1 << 10 | 1;
    it.mxcsr = 0x1f80 | 0x8000 | 0x3f; // flush to zero, and every status flag
    it.fpu_control = 0x27f;
    it.general[4] += 8;
    let expected = plan.stacks[0].returned;
    assert_eq!(
        verdict(&plan, report).breaches,
        [
            Breach::StackPointer { expected, found: expected + 8 },
            Breach::DirectionFlag,
            Breach::FloatControl { name: "mxcsr", before: 0x1f80, after: 0x9f80 },
            Breach::FloatControl { name: "x87 control word", before: 0x37f, after: 0x27f },
        ]
    );
}

#[test]
fn a_stdcall_function_that_returns_like_cdecl_is_noticed() {
    let args = vec![Argument::Int32 { value: 1 }; 3];
    let plan = planned(Convention::Stdcall, args, TypeName::Void, Calls::Once);
    let mut report = returned(&plan);
    let expected = plan.stacks[0].returned;
    set_sp(&mut report.stops[0].registers, expected - 12);
    let breaches = verdict(&plan, report).breaches;
    assert_eq!(breaches, [Breach::StackPointer { expected, found: expected - 12 }]);
}

#[test]
fn words_of_the_caller_are_its_own_and_arguments_are_not() {
    for convention in CONVENTIONS {
        let args = vec![Argument::Int64 { value: 1 }; 10];
        let plan = planned(convention, args, TypeName::Void, Calls::Once);
        let stack = plan.stacks[0];
        let sp = plan.setup.calls[0].registers.sp();
        let breaches_at = |address: u64| {
            let mut report = returned(&plan);
            let at = address.checked_sub(stack.returned).map(|at| at as usize);
            let byte = at.and_then(|at| report.stops[0].stack.get_mut(at)).expect("in the window");
            *byte ^= 1;
            verdict(&plan, report).breaches
        };
        let first = stack.caller;
        assert_eq!(breaches_at(first), [Breach::CallerStack { address: first }], "{convention:?}");
        assert_eq!(breaches_at(first + 9), [Breach::CallerStack { address: first + 9 }]);
        if convention != Convention::Stdcall {
            assert!(first - 1 > sp);
            assert_eq!(breaches_at(first - 1), [], "{convention:?}");
        }
    }
}

#[test]
fn wild_stack_pointers_are_no_reason_to_panic() {
    let plan = planned(Convention::SystemV, Vec::new(), TypeName::Void, Calls::Once);
    for sp in [0, 1, plan.stacks[0].end - 1, plan.stacks[0].end, u64::MAX - 3, u64::MAX] {
        let mut report = returned(&plan);
        set_sp(&mut report.stops[0].registers, sp);
        let expected = plan.stacks[0].returned;
        let breaches = verdict(&plan, report).breaches;
        assert!(breaches.contains(&Breach::StackPointer { expected, found: sp }));
    }
}

#[rstest]
#[case::before(-1)]
#[case::after(5)]
#[case::long_before(-4000)]
fn bytes_beside_a_buffer_are_not_its_own(#[case] offset: i64) {
    let args = vec![buffer(b"0123456789abcdef"), buffer(b"hello")];
    let plan = planned(Convention::SystemV, args, TypeName::Void, Calls::Once);
    let mut report = returned(&plan);
    let region =
        plan.setup.regions.iter().filter(|it| it.kept).position(|it| it.name == "buffer 1");
    let region = region.expect("it is kept");
    let at = 4096 - 16_i64 + offset;
    report.memory[region][at as usize] = 0;
    let verdict = verdict(&plan, report);
    assert_eq!(verdict.breaches, [Breach::BesideBuffer { index: 1, offset }]);
}

#[test]
fn pure_functions_change_nothing_and_repeat_themselves() {
    let pure = |returns| planned(Convention::SystemV, vec![buffer(b"abc")], returns, Calls::Pure);
    let plan = pure(TypeName::Int32);
    let mut report = returned(&plan);
    x86_64(&mut report).general[0] = 1;
    if let Registers::X86_64(it) = &mut report.stops[1].registers {
        it.general[0] = 2;
    }
    let (first, second) = (Returned::Int32 { value: 1 }, Returned::Int32 { value: 2 });
    let expected = [Breach::NotRepeatable { first, second }];
    assert_eq!(verdict(&plan, report).breaches, expected);

    let kept: Vec<Region> =
        plan.setup.regions.iter().filter(|region| region.kept).cloned().collect();
    for (index, region) in kept.iter().enumerate() {
        let offset = region.offset + 2;
        let mut report = returned(&plan);
        report.memory[index][offset as usize] = 77;
        let breaches = verdict(&plan, report).breaches;
        let [Breach::Impure { place }] = &breaches[..] else { panic!("{breaches:?}") };
        assert_eq!(place.address, region.address + offset);
        // Counted from the buffer, or from the start of other memory.
        let from = if region.name == "data" { 0 } else { region.offset };
        assert_eq!(place.region, Some((region.name.clone(), (offset - from) as i64)));
    }
    // A change in memory that is zero at first counts as well.
    let data = kept.iter().position(|region| region.name == "data").expect("it is kept");
    let mut report = returned(&plan);
    report.memory[data][0x80] = 1;
    assert_eq!(verdict(&plan, report).breaches.len(), 1);
}

fn stopped(plan: &Plan, reason: StopReason, rip: u64) -> Report {
    let mut report = returned(plan);
    report.stops[0].reason = reason;
    x86_64(&mut report).rip = rip;
    report
}

#[test]
fn stops_become_outcomes_with_places() {
    let plan = planned(Convention::SystemV, Vec::new(), TypeName::Void, Calls::Once);
    let trap = Trap {
        cause: Cause::Unmapped,
        access: Some(Access::Write),
        address: Some(DATA + 0x100),
        signal: Some((11, 1)),
    };
    let verdict = verdict(&plan, stopped(&plan, StopReason::Trapped(trap), CODE + 0x23));
    let pc = verdict.pc.expect("it did not return");
    assert_eq!(pc.to_string(), "0x10000023 in code + 0x23 <second + 0x3>");
    let Outcome::Trapped { cause, access, address: Some(address), signal } = verdict.outcome else {
        panic!("trapped")
    };
    assert_eq!((cause, access, signal), (trap.cause, trap.access, trap.signal));
    assert_eq!(address.to_string(), "0x10002100, at the end of data");
    assert_eq!(verdict.breaches, []);
}

#[rstest]
#[case(0, "0x0")]
#[case(CODE - 4, "0xffffffc, 4 bytes before code")]
#[case(DATA + 0x103, "0x10002103, 3 bytes after the end of data")]
#[case(CODE, "0x10000000 in code + 0x0 <first>")]
#[case(0x7000_0000_0000, "0x700000000000")]
fn places_in_words(#[case] address: u64, #[case] expected: &str) {
    let plan = planned(Convention::SystemV, Vec::new(), TypeName::Void, Calls::Once);
    let program = program(Architecture::X86_64, &[]);
    assert_eq!(place::place(&plan.setup, &program, address).to_string(), expected);
}

#[test]
fn of_several_calls_the_one_that_came_to_grief_decides() {
    let plan = planned(Convention::SystemV, Vec::new(), TypeName::Void, Calls::AtOnce(3));
    let mut report = returned(&plan);
    report.stops[0].reason = StopReason::Abandoned;
    report.stops[2].reason = StopReason::Exhausted(Resource::Cpu);
    let outcome = verdict(&plan, report).outcome;
    assert_eq!((outcome.stage(), outcome), (Stage::Exhausted, Outcome::Exhausted(Resource::Cpu)));
    let mut report = returned(&plan);
    report.stops.truncate(0);
    assert_eq!(verdict(&plan, report).outcome, Outcome::Killed(0));
}

#[rstest]
#[case::x86_64(Convention::SystemV, &[0xe8, 0, 0, 0, 0, 0xff, 0xd0, 0x41, 0xff, 0x54, 0x24, 0x08, 0x90], &[5, 7, 12])]
#[case::x86_32(Convention::Cdecl, &[0xe8, 0, 0, 0, 0, 0xff, 0x15, 0, 0, 0, 0, 0xc3], &[5, 11])]
#[case::arm64(
    Convention::Aapcs64,
    &[0x1f, 0x20, 0x03, 0xd5, 0, 0, 0, 0x94, 0x00, 0x02, 0x3f, 0xd6, 0, 0, 0, 0x14],
    &[8, 12]
)]
fn return_addresses_on_the_stack_make_a_chain(
    #[case] convention: Convention,
    #[case] code: &[u8],
    #[case] expected: &[u64],
) {
    let plan = planned(convention, Vec::new(), TypeName::Void, Calls::Once);
    let size = plan.setup.architecture.pointer_size() as usize;
    let mut report = returned(&plan);
    report.stops[0].reason = StopReason::Killed(9);
    report.stops[0].stack =
        (0..=code.len() as u64).flat_map(|at| (CODE + at).to_le_bytes()[..size].to_vec()).collect();
    let verdict = read(&program(plan.setup.architecture, code), &plan, report, "made up");
    let found: Vec<u64> = verdict.chain.iter().map(|place| place.address - CODE).collect();
    assert_eq!(found, expected);
}
