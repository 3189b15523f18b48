//! Code that breaks the promises of its calling convention, or asks the operating system for something. Only a
//! loader that contains what it calls can tell.

use harness_protocol::executed::{ExpectedSystemCall, SystemCallAbi, breach};
use harness_protocol::trap::Cause;
use harness_protocol::{Expect, Returned, Stage};

use super::traps::trapping;
use super::{Case, pointer};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = system_calls();
    cases.extend(registers());
    cases.extend(memory());
    cases
}

fn system_calls() -> Vec<Case> {
    let why = "code reaches the operating system past its loader";
    let case = |name: &str, snippet, abi, number| {
        let call = Some(ExpectedSystemCall { abi, number });
        let expect = Expect { stages: vec![Stage::Trap], system_call: call, ..Expect::default() };
        Case::ending(format!("promises/{name}"), snippet, vec![], expect, why).contained()
    };
    let numbers = "the numbers of system calls differ by architecture";
    let door = "only x86 has this door to the operating system";
    let old = Some(SystemCallAbi::I386);
    // Where the operating system does not open that door, the instruction itself traps.
    let or_closed = |mut case: Case, causes: &[Cause]| {
        case.expect.trap = trapping(causes, None, None).trap;
        case
    };
    let refused = [Cause::PrivilegedInstruction, Cause::Other];
    let unknown = [Cause::UndefinedInstruction, Cause::PrivilegedInstruction, Cause::Other];
    vec![
        case("system-call", "system_call", None, 1000),
        case("system-call-getpid", "system_call_getpid", None, 39).only_on("x86_64", numbers),
        case("system-call-getpid", "system_call_getpid", None, 172).only_on("arm64", numbers),
        case("system-call-exit-group", "system_call_exit", None, 231).only_on("x86_64", numbers),
        case("system-call-exit-group", "system_call_exit", None, 94).only_on("arm64", numbers),
        or_closed(case("system-call-int80", "system_call_int80", old, 20), &refused)
            .only_on("x86_64", door),
        or_closed(case("system-call-sysenter", "system_call_sysenter", old, 20), &unknown)
            .only_on("x86_64", door),
    ]
}

/// What the callee must keep by the convention of each architecture: snippet → broken promise.
const KEPT: [(&str, &[(&str, &str)]); 2] = [
    (
        "x86_64",
        &[
            ("clobber_rbx", "rbx"),
            ("clobber_rbp", "rbp"),
            ("clobber_r12", "r12"),
            ("clobber_r13", "r13"),
            ("clobber_r14", "r14"),
            ("clobber_r15", "r15"),
            ("clobber_direction", breach::DIRECTION_FLAG),
            ("clobber_mxcsr", breach::MXCSR),
            ("clobber_x87", breach::X87_CONTROL_WORD),
        ],
    ),
    (
        "arm64",
        &[
            ("clobber_x19", "x19"),
            ("clobber_x20", "x20"),
            ("clobber_x21", "x21"),
            ("clobber_x22", "x22"),
            ("clobber_x23", "x23"),
            ("clobber_x24", "x24"),
            ("clobber_x25", "x25"),
            ("clobber_x26", "x26"),
            ("clobber_x27", "x27"),
            ("clobber_x28", "x28"),
            ("clobber_x29", "x29"),
            ("clobber_d8", "d8"),
            ("clobber_d9", "d9"),
            ("clobber_d10", "d10"),
            ("clobber_d11", "d11"),
            ("clobber_d12", "d12"),
            ("clobber_d13", "d13"),
            ("clobber_d14", "d14"),
            ("clobber_d15", "d15"),
            ("clobber_fpcr", breach::FPCR),
        ],
    ),
];

fn registers() -> Vec<Case> {
    let why = "a caller goes on with registers that are not its own any more";
    let own = "the registers of architectures differ";
    let mut cases = vec![
        breaking("clobber-stack-pointer", "clobber_sp", why, breach::STACK_POINTER),
        Case::returning(
            "promises/upper-halves-are-free",
            "keep_low_halves",
            vec![],
            Returned::Void,
            "the callee is blamed for what the caller keeps: the upper halves of v8 to v15",
        )
        .only_on("arm64", own),
    ];
    for (architecture, registers) in KEPT {
        for (snippet, name) in registers {
            let case = breaking(&format!("clobber-{name}"), snippet, why, name);
            cases.push(case.only_on(architecture, own));
        }
    }
    cases
}

fn breaking(id: &str, snippet: &'static str, why: &'static str, promise: &str) -> Case {
    let mut case =
        Case::returning(format!("promises/{id}"), snippet, vec![], Returned::Void, why).contained();
    case.expect.breaches = vec![promise.to_owned()];
    case
}

/// Memory that is not the callee's.
fn memory() -> Vec<Case> {
    let why = "a write beside what was passed goes unnoticed";
    let buffer = [1, 2, 3, 4, 5, 6, 7, 8];
    let beside = |id: &str, snippet| {
        let mut case = breaking(id, snippet, why, breach::BESIDE_BUFFER);
        case.args = vec![pointer(&buffer)];
        case.expect.stages.push(Stage::Trap);
        // Where nothing lies beside the buffer, the access itself fails.
        let nothing = [Cause::OutOfBounds, Cause::Unmapped];
        case.expect.trap = trapping(&nothing, None, None).trap;
        case.leaving(&[&buffer])
    };
    let mut impure = breaking(
        "pure-function-writes",
        "write_two",
        "what a caller may leave out or repeat has effects",
        breach::IMPURE,
    );
    impure.args = vec![pointer(&buffer)];
    vec![
        breaking("write-caller-stack", "write_caller_stack", why, breach::CALLER_STACK),
        beside("write-after-buffer", "write_after_buffer"),
        beside("write-before-buffer", "write_before_buffer"),
        Case { pure: true, ..impure.leaving(&[&[2, 2, 3, 4, 5, 6, 7, 8]]) },
    ]
}
