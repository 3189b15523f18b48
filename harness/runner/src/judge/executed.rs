//! Judging how a call ended: results and buffers, traps, broken promises, and the death of a loader that runs code
//! without containing it.

use harness_protocol::executed::{ExpectedTrap, FaultAddress, Trapped};
use harness_protocol::trap::Cause;
use harness_protocol::{Expect, Reply, Stage, Vector, Want};

use crate::Crash;
use crate::text::cut;

use super::{Said, call_difference, stages};

/// What is not as it must be about a call that ended as `said`; `None` when all is.
pub(super) fn difference(expect: &Expect, said: Said, reply: &Reply) -> Option<String> {
    match said {
        Said::Stage(Stage::Trap) => {
            reply.trap.as_ref().and_then(|trapped| trap_difference(expect, trapped))
        }
        Said::Stage(Stage::Exhausted) => None,
        // A result is said in words; ending well is none of the other ways to end.
        Said::Accepts if !expect.stages.contains(&Stage::Returned) && executes(expect) => {
            Some(format!("the loader ended well, {} was expected", stages(expect)))
        }
        _ => call_difference(expect, reply).or_else(|| breach_difference(expect, reply)),
    }
}

fn executes(expect: &Expect) -> bool {
    expect.stages.iter().any(|stage| matches!(stage, Stage::Trap | Stage::Exhausted))
}

fn trap_difference(expect: &Expect, trapped: &Trapped) -> Option<String> {
    match (trapped.system_call, &expect.system_call, &expect.trap) {
        (Some(made), Some(expected), _) if expected.is(made) => None,
        (Some(made), Some(expected), _) => {
            Some(format!("ended in {made}, {} was expected", expected.number))
        }
        (_, _, Some(trap)) => trap.difference(trapped),
        (None, Some(expected), None) => {
            let cause = trapped.cause.map_or("another trap", Cause::name);
            Some(format!("ended in {cause}, system call {} was expected", expected.number))
        }
        _ => None,
    }
}

/// A loader that says nothing of promises finds none broken.
fn breach_difference(expect: &Expect, reply: &Reply) -> Option<String> {
    let sorted = |names: &[String]| {
        let mut names: Vec<String> = names.iter().map(|name| cut(name)).collect();
        names.sort_unstable();
        names
    };
    let found = sorted(reply.breaches.as_deref().unwrap_or_default());
    let expected = sorted(&expect.breaches);
    let words = |names: &[String]| if names.is_empty() { "none".into() } else { names.join(", ") };
    (found != expected)
        .then(|| format!("broken promises: {}, {} was expected", words(&found), words(&expected)))
}

/// Whether the code that `vector` calls may rightly take a loader down that does not contain it.
pub(crate) fn may_die(vector: &Vector, expect: &Expect) -> bool {
    vector.want == Want::Call && !vector.needs.containment && expect.stages.contains(&Stage::Trap)
}

/// Whether a loader that does not contain code died of what the code must end in. It loaded and called rightly then.
///
/// The signal may have been caught by the loader's runtime, which then says so: by an exit code as shells have them,
/// or by naming it on stderr.
#[must_use]
pub fn is_right_death(vector: &Vector, expect: &Expect, crash: &Crash) -> bool {
    if !may_die(vector, expect) {
        return false;
    }
    signals(expect.trap.as_ref()).into_iter().any(|signal| {
        crash.signal.as_deref() == Some(signal.name)
            || crash.exit_code == Some(128 + signal.number)
            || names(&crash.stderr, signal)
    })
}

/// Whether a runtime or a sanitizer says that the process got this signal.
fn names(stderr: &str, signal: Signal) -> bool {
    let sanitizer = signal.name.trim_start_matches("SIG");
    stderr.contains(signal.name) || stderr.contains(&format!("AddressSanitizer: {sanitizer}"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Signal {
    name: &'static str,
    number: i32,
}

const ILL: Signal = Signal { name: "SIGILL", number: 4 };
const TRAP: Signal = Signal { name: "SIGTRAP", number: 5 };
const ABRT: Signal = Signal { name: "SIGABRT", number: 6 };
const BUS: Signal = Signal { name: "SIGBUS", number: 7 };
const FPE: Signal = Signal { name: "SIGFPE", number: 8 };
const SEGV: Signal = Signal { name: "SIGSEGV", number: 11 };

/// The signals that Linux sends for such a trap; for a trap that nothing is said of, any of them.
fn signals(trap: Option<&ExpectedTrap>) -> Vec<Signal> {
    let Some(trap) = trap else { return vec![ILL, TRAP, ABRT, BUS, FPE, SEGV] };
    let mut signals: Vec<Signal> =
        trap.causes.iter().flat_map(|cause| signals_of(*cause)).copied().collect();
    // Runtimes that guard their stacks give up on their own.
    if trap.address == Some(FaultAddress::BelowStack) {
        signals.push(ABRT);
    }
    signals
}

fn signals_of(cause: Cause) -> &'static [Signal] {
    match cause {
        Cause::Unmapped | Cause::Protected | Cause::OutOfBounds | Cause::NonCanonical => &[SEGV],
        Cause::Misaligned => &[SEGV, BUS],
        Cause::DivideError | Cause::FloatingPoint => &[FPE],
        Cause::UndefinedInstruction => &[ILL],
        Cause::PrivilegedInstruction => &[SEGV, ILL],
        Cause::Breakpoint | Cause::SingleStep => &[TRAP],
        Cause::Other => &[ILL, TRAP, BUS, FPE, SEGV],
    }
}

#[cfg(test)]
mod tests {
    use harness_protocol::executed::{ExpectedSystemCall, SystemCallAbi, SystemCalled, breach};
    use harness_protocol::trap::Access;
    use harness_protocol::{Needs, Returned};
    use rstest::rstest;

    use super::*;
    use crate::Outcome;
    use crate::judge::{Strictness, judge};

    fn null_read() -> Expect {
        let trap = ExpectedTrap {
            causes: vec![Cause::Unmapped],
            access: Some(Access::Read),
            address: Some(FaultAddress::Null),
        };
        Expect { stages: vec![Stage::Trap], trap: Some(trap), ..Expect::default() }
    }

    fn outcome(expect: &Expect, said: Said, reply: &Reply) -> Outcome {
        let vector = Vector { want: Want::Call, ..Vector::default() };
        judge(&vector, expect, said, reply, Strictness::default()).outcome
    }

    fn trapped(trapped: Trapped) -> Reply {
        Reply { stage: Some(Stage::Trap), trap: Some(Box::new(trapped)), ..Reply::default() }
    }

    #[rstest]
    #[case::without_a_word(Said::Stage(Stage::Trap), Reply::default(), Outcome::Pass)]
    #[case::right(Said::Stage(Stage::Trap),
        trapped(Trapped { cause: Some(Cause::Unmapped), ..Trapped::default() }), Outcome::Pass)]
    #[case::another_cause(Said::Stage(Stage::Trap),
        trapped(Trapped { cause: Some(Cause::Breakpoint), ..Trapped::default() }), Outcome::WrongResult)]
    #[case::another_access(Said::Stage(Stage::Trap),
        trapped(Trapped { access: Some(Access::Write), ..Trapped::default() }), Outcome::WrongResult)]
    #[case::returned(Said::Stage(Stage::Returned), Reply::default(), Outcome::WrongResult)]
    #[case::ended_well(Said::Accepts, Reply::default(), Outcome::WrongResult)]
    #[case::rejected(Said::Stage(Stage::Invalid), Reply::default(), Outcome::WrongReject)]
    fn a_trap_is_a_trap(#[case] said: Said, #[case] reply: Reply, #[case] expected: Outcome) {
        assert_eq!(outcome(&null_read(), said, &reply), expected);
    }

    #[rstest]
    #[case::right(SystemCallAbi::I386, 20, Outcome::Pass)]
    #[case::another_number(SystemCallAbi::I386, 21, Outcome::WrongResult)]
    #[case::another_door(SystemCallAbi::X86_64, 20, Outcome::WrongResult)]
    fn system_calls_are_compared(
        #[case] abi: SystemCallAbi,
        #[case] number: u64,
        #[case] expected: Outcome,
    ) {
        let call = ExpectedSystemCall { abi: Some(SystemCallAbi::I386), number: 20 };
        let expect =
            Expect { stages: vec![Stage::Trap], system_call: Some(call), ..Expect::default() };
        let system_call = Some(SystemCalled { abi, number });
        let reply = trapped(Trapped { system_call, ..Trapped::default() });
        assert_eq!(outcome(&expect, Said::Stage(Stage::Trap), &reply), expected);
        let other = trapped(Trapped { cause: Some(Cause::Other), ..Trapped::default() });
        let said = Said::Stage(Stage::Trap);
        assert_eq!(outcome(&expect, said, &other), Outcome::WrongResult);
    }

    #[rstest]
    #[case::right(Some(&["rbx", breach::DIRECTION_FLAG][..]), Outcome::Pass)]
    #[case::in_any_order(Some(&[breach::DIRECTION_FLAG, "rbx"][..]), Outcome::Pass)]
    #[case::too_few(Some(&["rbx"][..]), Outcome::WrongResult)]
    #[case::silent(None, Outcome::WrongResult)]
    fn broken_promises_are_compared(#[case] found: Option<&[&str]>, #[case] expected: Outcome) {
        let expect = Expect {
            stages: vec![Stage::Returned],
            result: Some(Returned::Void),
            breaches: vec!["rbx".into(), breach::DIRECTION_FLAG.into()],
            ..Expect::default()
        };
        let breaches = found.map(|names| names.iter().map(ToString::to_string).collect());
        let reply = Reply { result: Some(Returned::Void), breaches, ..Reply::default() };
        assert_eq!(outcome(&expect, Said::Stage(Stage::Returned), &reply), expected);
        let unbroken = Expect { breaches: Vec::new(), ..expect };
        let right = if found.is_none() { Outcome::Pass } else { Outcome::WrongResult };
        assert_eq!(outcome(&unbroken, Said::Stage(Stage::Returned), &reply), right);
    }

    fn death(signal: Option<&str>, exit_code: Option<i32>, stderr: &str) -> Crash {
        Crash { signal: signal.map(Into::into), exit_code, stderr: stderr.into() }
    }

    #[rstest]
    #[case::by_signal(death(Some("SIGSEGV"), None, ""), true)]
    #[case::by_a_shell(death(None, Some(139), ""), true)]
    #[case::said_by_a_runtime(
        death(None, Some(2), "[signal SIGSEGV: segmentation violation]"),
        true
    )]
    #[case::said_by_a_sanitizer(death(None, Some(1), "ERROR: AddressSanitizer: SEGV on"), true)]
    #[case::by_another_signal(death(Some("SIGILL"), None, ""), false)]
    #[case::by_giving_up(death(Some("SIGABRT"), None, "assertion failed"), false)]
    #[case::without_reason(death(None, Some(3), ""), false)]
    fn who_does_not_contain_code_dies_of_it(#[case] crash: Crash, #[case] right: bool) {
        let vector = Vector { want: Want::Call, ..Vector::default() };
        assert_eq!(is_right_death(&vector, &null_read(), &crash), right);
        let loading = Vector { want: Want::Load, ..Vector::default() };
        assert!(!is_right_death(&loading, &null_read(), &crash));
        let needs = Needs { containment: true, ..Needs::default() };
        let contained = Vector { needs, ..vector.clone() };
        assert!(!is_right_death(&contained, &null_read(), &crash));
        let returning = Expect { stages: vec![Stage::Returned], ..Expect::default() };
        assert!(!is_right_death(&vector, &returning, &crash));
    }

    #[test]
    fn a_guarded_stack_may_end_in_an_abort() {
        let vector = Vector { want: Want::Call, ..Vector::default() };
        let mut expect = null_read();
        let abort = death(Some("SIGABRT"), None, "");
        assert!(!is_right_death(&vector, &expect, &abort));
        expect.trap.as_mut().unwrap().address = Some(FaultAddress::BelowStack);
        assert!(is_right_death(&vector, &expect, &abort));
    }
}
