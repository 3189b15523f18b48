//! Code that runs on this processor, and what is said about it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to end")]
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use harness_protocol::trap::{Access, Cause};
use harness_protocol::{Argument, Returned, TypeName};
use harness_sandbox::native::Native;
use harness_sandbox::{
    Architecture, Breach, Budget, Calls, Convention, Job, Machine as _, Outcome, Permissions,
    Program, Report, Resource, Segment, StopReason, SystemCallAbi, Tracing, Verdict, job, verdict,
};
use rstest::rstest;

const BASE: u64 = 0x3000_0000_0000;

fn program(code: &[u8]) -> Program {
    let code = Segment {
        name: "code".into(),
        address: BASE,
        bytes: code.to_vec(),
        size: code.len() as u64,
        permissions: Permissions::Rx,
    };
    Program { architecture: Architecture::X86_64, segments: vec![code], symbols: vec![] }
}

fn run(code: &[u8], args: Vec<Argument>) -> Verdict {
    let program = program(code);
    let job = Job {
        entry: BASE,
        convention: Convention::SystemV,
        args,
        returns: TypeName::Int32,
        calls: Calls::Once,
        budget: Budget { cpu: std::time::Duration::from_millis(50), ..Budget::default() },
    };
    let plan = job::plan(&program, job).unwrap();
    let report = Native::start().unwrap().run(&plan.setup).unwrap();
    verdict::read(&program, &plan, report, "native")
}

#[test]
fn a_function_returns_its_sum() {
    let sum = [0x8d, 0x04, 0x37, 0xc3]; // lea eax, [rdi + rsi]; ret
    let args = [2, 40].map(|value| Argument::Int32 { value });
    let verdict = run(&sum, args.to_vec());
    let value = Returned::Int32 { value: 42 };
    assert_eq!(verdict.outcome, Outcome::Returned { value, buffers: vec![] });
    assert_eq!(verdict.breaches, []);
}

/// Address of the trap, where it is known: a number, or the distance from the code.
#[derive(Clone, Copy)]
enum At {
    Number(u64),
    Code(u64),
    Somewhere,
}
use At::{Code, Number, Somewhere};

#[rstest]
#[case::null_read(&[0x31, 0xc0, 0x8b, 0x00], Cause::Unmapped, Some(Access::Read), Number(0))]
#[case::null_write(&[0x31, 0xc0, 0x89, 0x00], Cause::Unmapped, Some(Access::Write), Number(0))]
#[case::null_fetch(&[0x31, 0xc0, 0xff, 0xe0], Cause::Unmapped, Some(Access::Fetch), Number(0))]
#[case::write_to_code(&[0x48, 0x8d, 0x05, 0, 0, 0, 0, 0x88, 0x00, 0xc3], Cause::Protected, Some(Access::Write), Code(7))]
#[case::execute_stack(&[0xff, 0xe4], Cause::Protected, Some(Access::Fetch), Somewhere)]
#[case::stack_overflow(&[0x50, 0xeb, 0xfd], Cause::Unmapped, Some(Access::Write), Somewhere)]
#[case::non_canonical(&[0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 0x48, 0x89, 0x00], Cause::NonCanonical, Some(Access::Write), Number(0x0807_0605_0403_0201))]
#[case::jump_to_non_canonical(&[0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0xe0], Cause::NonCanonical, Some(Access::Fetch), Number(0x0807_0605_0403_0201))]
#[case::misaligned_sse(&[0x0f, 0x29, 0x44, 0x24, 0x01], Cause::Misaligned, Some(Access::Write), Somewhere)]
#[case::divide_by_zero(&[0x31, 0xc9, 0xf7, 0xf1], Cause::DivideError, None, Somewhere)]
#[case::undefined(&[0x0f, 0x0b], Cause::UndefinedInstruction, None, Somewhere)]
#[case::breakpoint(&[0xcc], Cause::Breakpoint, None, Somewhere)]
#[case::halt(&[0xf4], Cause::PrivilegedInstruction, None, Somewhere)]
#[case::interrupt(&[0xcd, 0x81], Cause::PrivilegedInstruction, None, Somewhere)]
#[case::run_off_the_end_of_code(&[0x31, 0xc0], Cause::Unmapped, Some(Access::Write), Number(0))] // add [rax], al
fn traps_are_told_apart(
    #[case] code: &[u8],
    #[case] expected: Cause,
    #[case] kind: Option<Access>,
    #[case] at: At,
) {
    let Outcome::Trapped { cause, access, address, .. } = run(code, vec![]).outcome else {
        panic!("it did not trap")
    };
    assert_eq!((cause, access), (expected, kind));
    let address = address.map(|place| place.address);
    match at {
        Number(number) => assert_eq!(address, Some(number)),
        Code(offset) => assert_eq!(address, Some(BASE + offset)),
        Somewhere => assert_eq!(address.is_some(), kind.is_some()),
    }
}

#[rstest]
#[case::syscall(&[0xb8, 39, 0, 0, 0, 0x0f, 0x05], SystemCallAbi::X86_64)]
#[case::int_0x80(&[0xb8, 39, 0, 0, 0, 0xcd, 0x80], SystemCallAbi::I386)]
fn system_calls_are_refused_by_name(#[case] code: &[u8], #[case] door: SystemCallAbi) {
    let Outcome::Forbidden(call) = run(code, vec![Argument::Int64 { value: 7 }]).outcome else {
        panic!("it was not refused")
    };
    assert_eq!((call.abi, call.number), (door, 39));
    if door == SystemCallAbi::X86_64 {
        assert_eq!(call.arguments[0], 7);
    }
}

#[test]
fn an_endless_loop_uses_up_its_time() {
    let verdict = run(&[0xeb, 0xfe], vec![]);
    assert_eq!(verdict.outcome, Outcome::Exhausted(Resource::Cpu));
    assert_eq!(verdict.pc.unwrap().address, BASE);
}

#[rstest]
#[case::short(&[0x90, 0xcc])]
#[case::long(&[0x90, 0xcd, 0x03])]
fn a_breakpoint_is_where_its_instruction_is(#[case] code: &[u8]) {
    assert_eq!(run(code, vec![]).pc.unwrap().address, BASE + 1);
}

/// Runs `code` with each argument in a batch.
fn batch(code: &[u8], arguments: impl IntoIterator<Item = i32>) -> Vec<Verdict> {
    let program = program(code);
    let plan = |value| {
        let args =
            vec![Argument::Int32 { value }, Argument::Pointer { bytes: Some(vec![1; 5].into()) }];
        let budget = Budget { cpu: std::time::Duration::from_millis(50), ..Budget::default() };
        let (convention, calls) = (Convention::SystemV, Calls::Once);
        let returns = TypeName::Int32;
        job::plan(&program, Job { entry: BASE, convention, args, returns, calls, budget }).unwrap()
    };
    let plans: Vec<_> = arguments.into_iter().map(plan).collect();
    let setups: Vec<_> = plans.iter().map(|plan| plan.setup.clone()).collect();
    let reports = Native::start().unwrap().run_batch(&setups).unwrap();
    assert_eq!(reports.len(), plans.len());
    let read = |(plan, report)| verdict::read(&program, plan, report, "native");
    plans.iter().zip(reports).map(read).collect()
}

#[test]
fn a_batch_says_what_single_calls_say() {
    // add byte ptr [rsi + 4], dil; lea eax, [rdi + rdi]; ret
    let verdicts = batch(&[0x40, 0x00, 0x7e, 0x04, 0x8d, 0x04, 0x3f, 0xc3], 0..2500);
    for (verdict, value) in verdicts.iter().zip(0_i32..) {
        let [low, ..] = (value + 1).to_le_bytes();
        let buffers = vec![vec![1, 1, 1, 1, low].into()];
        let value = Returned::Int32 { value: 2 * value };
        assert_eq!(verdict.outcome, Outcome::Returned { value, buffers });
        assert_eq!(verdict.breaches, []);
    }
}

#[test]
fn what_does_not_return_from_a_batch_is_run_on_its_own() {
    // cmp edi, 7; je $; cmp edi, 9; jne +2; ud2; cmp edi, 11; jne +2; syscall; xchg eax, edi; ret
    let code = [
        0x83, 0xff, 0x07, 0x74, 0xfe, 0x83, 0xff, 0x09, 0x75, 0x02, 0x0f, 0x0b, 0x83, 0xff, 0x0b,
        0x75, 0x02, 0x0f, 0x05, 0x97, 0xc3,
    ];
    let verdicts = batch(&code, 0..16);
    for (verdict, value) in verdicts.iter().zip(0..) {
        match (value, &verdict.outcome) {
            (7, Outcome::Exhausted(Resource::Cpu)) | (11, Outcome::Forbidden(_)) => {}
            (9, Outcome::Trapped { cause, .. }) => assert_eq!(*cause, Cause::UndefinedInstruction),
            (_, Outcome::Returned { value: returned, .. }) => {
                assert_eq!(*returned, Returned::Int32 { value });
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A run with everything that a job can ask for.
fn run_as(code: &[u8], calls: Calls, tracing: Tracing) -> (Verdict, Report) {
    let program = program(code);
    let args =
        vec![Argument::Int32 { value: 5 }, Argument::Pointer { bytes: Some(vec![1; 5].into()) }];
    let (entry, convention, returns) = (BASE, Convention::SystemV, TypeName::Int32);
    let budget = Budget { cpu: std::time::Duration::from_millis(200), ..Budget::default() };
    let mut plan =
        job::plan(&program, Job { entry, convention, args, returns, calls, budget }).unwrap();
    plan.setup.tracing = tracing;
    let report = Native::start().unwrap().run(&plan.setup).unwrap();
    (verdict::read(&program, &plan, report.clone(), "native"), report)
}

#[test]
fn every_instruction_is_traced() {
    // mov eax, edi; dec eax; jnz -4; ret
    let code = [0x89, 0xf8, 0xff, 0xc8, 0x75, 0xfc, 0xc3];
    let (verdict, _) = run_as(&code, Calls::Once, Tracing::Instructions);
    let steps = std::iter::once(0).chain([2, 4].repeat(5)).chain([6]);
    assert_eq!(verdict.trace, steps.map(|step| BASE + step).collect::<Vec<_>>());
    assert_eq!(verdict.instructions, Some(12));
    assert_eq!(verdict.outcome.stage(), harness_protocol::Stage::Returned);
}

#[test]
fn a_trap_ends_a_trace() {
    let (verdict, _) = run_as(&[0x90, 0x0f, 0x0b], Calls::Once, Tracing::Instructions);
    assert_eq!(verdict.trace, [BASE, BASE + 1]);
    assert_eq!(verdict.pc.unwrap().address, BASE + 1);
}

#[test]
fn a_pure_function_is_called_twice() {
    let (verdict, report) = run_as(&[0x8d, 0x04, 0x3f, 0xc3], Calls::Pure, Tracing::None);
    assert_eq!(report.stops.len(), 2);
    assert_eq!(verdict.breaches, []);
    let value = Returned::Int32 { value: 10 };
    assert!(matches!(verdict.outcome, Outcome::Returned { value: v, .. } if v == value));
}

#[test]
fn a_function_that_counts_its_calls_is_not_pure() {
    // inc byte ptr [rsi]; movzx eax, byte ptr [rsi]; ret
    let (verdict, _) = run_as(&[0xfe, 0x06, 0x0f, 0xb6, 0x06, 0xc3], Calls::Pure, Tracing::None);
    assert!(verdict.breaches.iter().any(|breach| matches!(breach, Breach::NotRepeatable { .. })));
    assert!(verdict.breaches.iter().any(|breach| matches!(breach, Breach::Impure { .. })));
}

#[test]
fn threads_call_at_once_with_stacks_and_buffers_of_their_own() {
    // inc byte ptr [rsi]; push rdi; pop rax; ret
    let (verdict, report) =
        run_as(&[0xfe, 0x06, 0x57, 0x58, 0xc3], Calls::AtOnce(16), Tracing::None);
    assert_eq!(report.stops.len(), 16);
    assert!(report.stops.iter().all(|stop| stop.reason == StopReason::Landed));
    assert_eq!(report.memory.len(), 16);
    assert_eq!(verdict.breaches, []);
    let buffers = vec![vec![2, 1, 1, 1, 1].into()];
    assert_eq!(verdict.outcome, Outcome::Returned { value: Returned::Int32 { value: 5 }, buffers });
}

#[test]
fn threads_run_at_the_same_time() {
    // Each waits until all four have been here: mov rax, [rip + counter] … counts in a word of its own data.
    let counter = BASE + 0x2000;
    let mut code = vec![0x48, 0xb8];
    code.extend(counter.to_le_bytes()); // mov rax, counter
    code.extend([0xf0, 0xff, 0x00]); // lock inc dword ptr [rax]
    code.extend([0x83, 0x38, 0x04, 0x75, 0xfb]); // cmp dword ptr [rax], 4; jne -5
    code.extend([0x8b, 0x00, 0xc3]); // mov eax, [rax]; ret
    let mut program = program(&code);
    program.segments.push(Segment {
        name: "data".into(),
        address: counter,
        bytes: vec![],
        size: 4,
        permissions: Permissions::Rw,
    });
    let (entry, convention, returns) = (BASE, Convention::SystemV, TypeName::Int32);
    let budget = Budget { cpu: std::time::Duration::from_secs(2), ..Budget::default() };
    let calls = Calls::AtOnce(4);
    let job = Job { entry, convention, args: vec![], returns, calls, budget };
    let plan = job::plan(&program, job).unwrap();
    let report = Native::start().unwrap().run(&plan.setup).unwrap();
    let verdict = verdict::read(&program, &plan, report, "native");
    assert_eq!(verdict.outcome.stage(), harness_protocol::Stage::Returned);
}

#[test]
fn one_thread_that_traps_stops_all() {
    // test spl, spl … the stacks differ by their number: the thread whose stack has this bit spins, others trap.
    let code = [0x48, 0x8d, 0x05, 0x00, 0x00, 0x00, 0x00, 0x0f, 0x0b]; // lea rax, [rip]; ud2
    let (verdict, report) = run_as(&code, Calls::AtOnce(4), Tracing::None);
    assert_eq!(report.stops.len(), 4);
    assert!(matches!(verdict.outcome, Outcome::Trapped { cause: Cause::UndefinedInstruction, .. }));
}
