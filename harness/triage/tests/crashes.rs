//! Buckets and severity of crashes, from what the processor reports of real instructions.

use std::time::Duration;

use harness_protocol::trap::{Access, Cause};
use harness_protocol::{Argument, HexBytes, TypeName};
use harness_sandbox::limits::{POISON, STACK_SIZE};
use harness_sandbox::machine::Trap;
use harness_sandbox::{
    Architecture, Budget, Calls, Convention, Job, Permissions, Plan, Program, Registers, Report,
    Resource, Segment, Stop, StopReason, Symbol, SystemCall, SystemCallAbi, Verdict, job, verdict,
};
use harness_triage::{Kind, Level, Target, bucket, severity};
use rstest::rstest;

/// A program with `code` at the start of a function `work`, called by `main` if anyone asks.
fn program(architecture: Architecture, base: u64, code: &[u8]) -> Program {
    // `main` calls `work`: e8 … / bl …; the return address is main + 5 or main + 4.
    let call: &[u8] = match architecture {
        Architecture::Arm64 => &[0xfc, 0xff, 0xff, 0x97],
        _ => &[0xe8, 0xdb, 0xff, 0xff, 0xff],
    };
    let mut bytes = code.to_vec();
    bytes.resize(0x20, 0x90);
    bytes.extend(call);
    let segment = |name: &str, address, bytes, permissions| Segment {
        name: name.into(),
        address,
        bytes,
        size: 0x100,
        permissions,
    };
    Program {
        architecture,
        segments: vec![
            segment("code", base, bytes, Permissions::Rx),
            segment("constants", base + 0x2000, Vec::new(), Permissions::R),
            segment("data", base + 0x4000, Vec::new(), Permissions::Rw),
        ],
        symbols: vec![
            Symbol { name: "work".into(), address: base },
            Symbol { name: "main".into(), address: base + 0x20 },
        ],
    }
}

fn planned(program: &Program) -> Plan {
    let job = Job {
        entry: program.segments[0].address,
        convention: Convention::c(program.architecture),
        args: vec![Argument::Pointer { bytes: Some(HexBytes(vec![0; 16])) }],
        returns: TypeName::Void,
        calls: Calls::Once,
        budget: Budget::default(),
    };
    job::plan(program, job).expect("planned")
}

/// The verdict on a stop at the first instruction, reached by a call from `main`.
fn stopped(
    program: &Program,
    plan: &Plan,
    reason: StopReason,
    change: impl Fn(&mut Registers),
) -> Verdict {
    let mut registers = plan.setup.calls[0].registers.clone();
    let back = program.symbols[1].address
        + if program.architecture == Architecture::Arm64 { 4 } else { 5 };
    change(&mut registers);
    let size = usize::try_from(program.architecture.pointer_size()).expect("small");
    let stop = Stop { reason, registers, stack: back.to_le_bytes()[..size].to_vec() };
    let report = Report {
        stops: vec![stop],
        memory: Vec::new(),
        cpu: Duration::ZERO,
        instructions: None,
        trace: Vec::new(),
    };
    verdict::read(program, plan, report, "made up")
}

fn trap(cause: Cause, access: Option<Access>, address: Option<u64>) -> StopReason {
    StopReason::Trapped(Trap { cause, access, address, signal: None })
}

const BASE: u64 = 0x3000_0000_0000;

/// Where a trap went for, relative to what lies where.
fn address_of(plan: &Plan, target: Target, base: u64) -> u64 {
    let buffer = plan.buffers[0][0].0;
    match target {
        Target::Null => 0x10,
        Target::Poison => POISON + 8,
        Target::Code => base + 1,
        Target::Constants => base + 0x2001,
        Target::Data => base + 0x4001,
        Target::BesideImage => base + 0x4200,
        Target::Stack => plan.stacks[0].end - 8,
        Target::BelowStack => plan.stacks[0].end - STACK_SIZE - 8,
        Target::AboveStack => plan.stacks[0].end + 8,
        Target::Buffer => buffer,
        Target::BeforeBuffer => buffer - 0x1200,
        Target::AfterBuffer => buffer + 16,
        Target::NonCanonical => 0x8000_0000_0000_0000,
        Target::Elsewhere => 0x4444_0000_0000,
    }
}

const WRITE: &[u8] = &[0x89, 0x08]; // mov [rax], ecx
const READ: &[u8] = &[0x8b, 0x08]; // mov ecx, [rax]
const RET: &[u8] = &[0xc3];
const CALL: &[u8] = &[0xff, 0x10]; // call [rax]
const JUMP: &[u8] = &[0xff, 0x20]; // jmp [rax]

#[rstest]
#[case::null_read(READ, Access::Read, Target::Null, Level::NotExploitable, "SourceAvNearNull")]
#[case::null_write(
    WRITE,
    Access::Write,
    Target::Null,
    Level::ProbablyExploitable,
    "DestAvNearNull"
)]
#[case::null_fetch(&[], Access::Fetch, Target::Null, Level::ProbablyExploitable, "SegFaultOnPcNearNull")]
#[case::data_fetch(&[], Access::Fetch, Target::Data, Level::Exploitable, "SegFaultOnPc")]
#[case::stack_fetch(&[], Access::Fetch, Target::Stack, Level::Exploitable, "SegFaultOnPc")]
#[case::code_write(WRITE, Access::Write, Target::Code, Level::Exploitable, "DestAv")]
#[case::constants_write(WRITE, Access::Write, Target::Constants, Level::Exploitable, "DestAv")]
#[case::wild_read(READ, Access::Read, Target::Elsewhere, Level::NotExploitable, "SourceAv")]
#[case::image_read(READ, Access::Read, Target::BesideImage, Level::NotExploitable, "SourceAv")]
#[case::overrun_write(
    WRITE,
    Access::Write,
    Target::AfterBuffer,
    Level::Exploitable,
    "buffer-overflow(write)"
)]
#[case::overrun_read(
    READ,
    Access::Read,
    Target::AfterBuffer,
    Level::NotExploitable,
    "buffer-overflow(read)"
)]
#[case::underrun_write(
    WRITE,
    Access::Write,
    Target::BeforeBuffer,
    Level::Exploitable,
    "buffer-overflow(write)"
)]
#[case::stack_overflow(&[0x50], Access::Write, Target::BelowStack, Level::NotExploitable, "StackOverflow")]
#[case::above_the_stack(&[0x58], Access::Read, Target::AboveStack, Level::NotExploitable, "SourceAv")]
#[case::return_av(RET, Access::Read, Target::Elsewhere, Level::Exploitable, "ReturnAv")]
#[case::call(CALL, Access::Read, Target::Elsewhere, Level::Exploitable, "CallAv")]
#[case::call_null(CALL, Access::Read, Target::Null, Level::ProbablyExploitable, "CallAvNearNull")]
#[case::jump(JUMP, Access::Read, Target::Elsewhere, Level::Exploitable, "BranchAv")]
#[case::jump_null(JUMP, Access::Read, Target::Null, Level::ProbablyExploitable, "BranchAvNearNull")]
fn access_violations(
    #[case] code: &[u8],
    #[case] access: Access,
    #[case] target: Target,
    #[case] level: Level,
    #[case] class: &str,
) {
    let program = program(Architecture::X86_64, BASE, code);
    let plan = planned(&program);
    let address = address_of(&plan, target, BASE);
    let reason = trap(Cause::Unmapped, Some(access), Some(address));
    let verdict = stopped(&program, &plan, reason, |registers| match registers {
        Registers::X86_64(it) if access == Access::Fetch => it.rip = address,
        _ => {}
    });
    let severity = severity(&program, &verdict).expect("a crash");
    assert_eq!((severity.level, severity.class), (level, class), "{severity}");
    let bucket = bucket(&program, &verdict).expect("a crash");
    assert_eq!((bucket.access, bucket.target), (Some(access), Some(target)));
}

#[test]
fn every_place_is_told_apart() {
    let program = program(Architecture::X86_64, BASE, READ);
    let plan = planned(&program);
    let targets = [
        Target::Null,
        Target::Poison,
        Target::Code,
        Target::Constants,
        Target::Data,
        Target::BesideImage,
        Target::Stack,
        Target::BelowStack,
        Target::AboveStack,
        Target::Buffer,
        Target::BeforeBuffer,
        Target::AfterBuffer,
        Target::Elsewhere,
    ];
    for target in targets {
        let address = address_of(&plan, target, BASE);
        let reason = trap(Cause::Unmapped, Some(Access::Read), Some(address));
        let found = bucket(&program, &stopped(&program, &plan, reason, |_| {}));
        assert_eq!(found.and_then(|bucket| bucket.target), Some(target));
    }
}

#[rstest]
#[case::poisoned_read(READ, 0, POISON, Target::Poison, "SourceAv", "mov ecx,[rax]")]
#[case::wild_write(WRITE, 0, 1 << 62, Target::NonCanonical, "DestAv", "mov [rax],ecx")]
#[case::poisoned_call(&[0xff, 0xd0], 0, POISON, Target::Poison, "CallAv", "call rax")]
#[case::wild_jump(&[0xff, 0xe1], 1, 1 << 62, Target::NonCanonical, "BranchAv", "jmp rcx")]
#[case::wild_return(RET, 0, 0, Target::NonCanonical, "ReturnAv", "ret")]
fn where_the_processor_says_no_address_the_instruction_does(
    #[case] code: &[u8],
    #[case] register: usize,
    #[case] value: u64,
    #[case] target: Target,
    #[case] class: &str,
    #[case] text: &str,
) {
    let program = program(Architecture::X86_64, BASE, code);
    let plan = planned(&program);
    let verdict = stopped(&program, &plan, trap(Cause::NonCanonical, None, None), |registers| {
        if let Registers::X86_64(it) = registers {
            it.general[register] = value;
        }
    });
    let bucket = bucket(&program, &verdict).expect("a crash");
    assert_eq!((bucket.target, bucket.instruction.as_deref()), (Some(target), Some(text)));
    assert_eq!(severity(&program, &verdict).map(|it| it.class), Some(class));
}

#[rstest]
#[case(Cause::DivideError, Level::NotExploitable, "FPE")]
#[case(Cause::UndefinedInstruction, Level::ProbablyExploitable, "BadInstruction")]
#[case(Cause::PrivilegedInstruction, Level::ProbablyExploitable, "BadInstruction")]
#[case(Cause::Breakpoint, Level::NotExploitable, "TrapSignal")]
#[case(Cause::Misaligned, Level::NotExploitable, "AccessViolation")]
fn other_traps(#[case] cause: Cause, #[case] level: Level, #[case] class: &str) {
    let program = program(Architecture::X86_64, BASE, &[0xf7, 0xf1]);
    let plan = planned(&program);
    let verdict = stopped(&program, &plan, trap(cause, None, None), |_| {});
    let severity = severity(&program, &verdict).expect("a crash");
    assert_eq!((severity.level, severity.class), (level, class));
    let bucket = bucket(&program, &verdict).expect("a crash");
    assert_eq!(bucket.target, None);
    assert_eq!(bucket.key(), format!("{cause} | div ecx | work < main"));
}

/// What must not tell buckets apart: the base, and where in a function an instruction lies.
#[rstest]
#[case::x86_64(Architecture::X86_64, READ, "mov ecx,[rax]")]
#[case::rip_relative(Architecture::X86_64, &[0x8b, 0x05, 0x10, 0x20, 0, 0], "mov eax,[rip]")]
#[case::x86_32(Architecture::X86_32, &[0xa1, 0, 0x20, 0, 0x10], "mov eax,[0]")]
#[case::arm64(Architecture::Arm64, &[0x01, 0x00, 0x40, 0xb9], "ldr w1, [x0]")]
#[case::arm64_literal(Architecture::Arm64, &[0x41, 0x00, 0x00, 0x18], "ldr")]
fn buckets_are_the_same_at_every_base(
    #[case] architecture: Architecture,
    #[case] code: &[u8],
    #[case] text: &str,
) {
    let key = |base: u64| {
        let program = program(architecture, base, code);
        let plan = planned(&program);
        let reason = trap(Cause::Protected, Some(Access::Read), Some(base + 0x2000));
        let bucket = bucket(&program, &stopped(&program, &plan, reason, |_| {})).expect("a crash");
        (bucket.key(), bucket.id())
    };
    let expected = format!("protected read constants | {text} | work < main");
    let (one, other) = (key(0x1000_0000), key(0x2000_0000));
    assert_eq!(one.0, expected);
    assert_eq!(one, other);
    assert_eq!(one.1.len(), 16);
}

#[rstest]
#[case::other_instruction(WRITE, Cause::Unmapped, Access::Read, Target::Null)]
#[case::other_cause(READ, Cause::Protected, Access::Read, Target::Null)]
#[case::other_access(READ, Cause::Unmapped, Access::Write, Target::Null)]
#[case::other_target(READ, Cause::Unmapped, Access::Read, Target::Data)]
fn what_tells_buckets_apart(
    #[case] code: &[u8],
    #[case] cause: Cause,
    #[case] access: Access,
    #[case] target: Target,
) {
    let id = |code: &[u8], cause, access, target| {
        let program = program(Architecture::X86_64, BASE, code);
        let plan = planned(&program);
        let reason = trap(cause, Some(access), Some(address_of(&plan, target, BASE)));
        bucket(&program, &stopped(&program, &plan, reason, |_| {})).expect("a crash").id()
    };
    let usual = id(READ, Cause::Unmapped, Access::Read, Target::Null);
    assert_ne!(id(code, cause, access, target), usual);
}

#[test]
fn other_ends_have_buckets_too() {
    let program = program(Architecture::X86_64, BASE, &[0x0f, 0x05]);
    let plan = planned(&program);
    let call = SystemCall { abi: SystemCallAbi::X86_64, number: 57, arguments: [0; 6] };
    let reasons = [
        (
            StopReason::SystemCall(call),
            "system-call x86_64 57 | syscall | work < main",
            "ForbiddenSystemCall",
        ),
        (StopReason::Exhausted(Resource::Cpu), "exhausted time | work < main", "timeout"),
        (StopReason::Exhausted(Resource::Wall), "exhausted time | work < main", "timeout"),
        (StopReason::Killed(9), "killed 9 | work < main", "AbortSignal"),
    ];
    for (reason, key, class) in reasons {
        let verdict = stopped(&program, &plan, reason, |_| {});
        assert_eq!(bucket(&program, &verdict).map(|it| it.key()).as_deref(), Some(key));
        assert_eq!(severity(&program, &verdict).map(|it| it.class), Some(class));
    }
}

#[test]
fn a_return_is_no_crash_unless_promises_are_broken() {
    let program = program(Architecture::X86_64, BASE, RET);
    let plan = planned(&program);
    let good = |registers: &mut Registers| {
        if let Registers::X86_64(it) = registers {
            it.general[4] += 8;
        }
    };
    let verdict = stopped(&program, &plan, StopReason::Landed, good);
    // What lies above the return address in the made-up report is not the poison that it should be.
    let breaches = verdict.breaches.clone();
    let whole = Verdict { breaches: Vec::new(), ..verdict.clone() };
    assert_eq!((bucket(&program, &whole), severity(&program, &whole)), (None, None));
    assert!(!breaches.is_empty());
    let found = bucket(&program, &verdict).expect("a broken promise");
    assert_eq!(found.kind, Kind::Broken(vec!["caller-stack".to_owned()]));
    assert_eq!(severity(&program, &verdict).map(|it| it.level), Some(Level::Exploitable));

    let verdict = stopped(&program, &plan, StopReason::Landed, |registers| {
        good(registers);
        if let Registers::X86_64(it) = registers {
            (it.general[3], it.general[12], it.rflags) = (0, 0, 0x602);
        }
    });
    let found = bucket(&program, &verdict).expect("broken promises");
    assert_eq!(found.key(), "broken caller-stack+direction-flag+r12+rbx");
}
