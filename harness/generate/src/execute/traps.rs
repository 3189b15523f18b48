//! Calls that end in a trap, one for each kind, and one that never ends.

use harness_protocol::executed::{ExpectedTrap, FaultAddress};
use harness_protocol::trap::{Access, Cause};
use harness_protocol::{Argument, Expect, Returned, Stage};

use super::{CODE, Case, int32, null, pointer};

const WHY: &str = "code that cannot go on is reported as a rejection, a result or another trap";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = memory();
    cases.extend(instructions());
    cases.extend(division());
    cases
}

/// The call ends in a trap of one of these causes.
pub(super) fn trapping(
    causes: &[Cause],
    access: Option<Access>,
    address: Option<FaultAddress>,
) -> Expect {
    let trap = ExpectedTrap { causes: causes.to_vec(), access, address };
    Expect { stages: vec![Stage::Trap], trap: Some(trap), ..Expect::default() }
}

fn memory() -> Vec<Case> {
    use Access::{Fetch, Read, Write};
    let case = |name: &str, snippet, args, causes: &[Cause], access, address| {
        let expect = trapping(causes, access, address);
        Case::ending(format!("traps/{name}"), snippet, args, expect, WHY)
    };
    let null_at = Some(FaultAddress::Null);
    let unmapped = [Cause::Unmapped];
    let protected = [Cause::Protected];
    let far = [Cause::NonCanonical];
    let code = Some(FaultAddress::Image { name: CODE.into(), offset: 0 });
    let buffer = Some(FaultAddress::Buffer { index: 0, offset: 0 });
    let guard = [Cause::Unmapped, Cause::Protected];
    vec![
        case("read-null", "read_null", vec![], &unmapped, Some(Read), null_at.clone()),
        case("write-null", "write_null", vec![], &unmapped, Some(Write), null_at.clone()),
        case("fetch-null", "fetch_null", vec![], &unmapped, Some(Fetch), null_at.clone()),
        case("member-of-null", "read_member", vec![null()], &unmapped, Some(Read), null_at),
        case("write-code", "write_code", vec![], &protected, Some(Write), code),
        case(
            "execute-buffer",
            "execute_buffer",
            vec![pointer(&[0xc3; 8])],
            &protected,
            Some(Fetch),
            buffer,
        ),
        case(
            "execute-stack",
            "execute_stack",
            vec![],
            &protected,
            Some(Fetch),
            Some(FaultAddress::Stack),
        ),
        case(
            "stack-overflow",
            "stack_overflow",
            vec![],
            &guard,
            Some(Write),
            Some(FaultAddress::BelowStack),
        ),
        // The processor does not say what was being done, nor where.
        case("read-non-canonical", "read_non_canonical", vec![], &far, None, None),
        case("write-non-canonical", "write_non_canonical", vec![], &far, None, None),
        case("fetch-non-canonical", "fetch_non_canonical", vec![], &far, None, None),
    ]
}

fn instructions() -> Vec<Case> {
    let case = |name: &str, snippet, args, cause| {
        let expect = trapping(&[cause], None, None);
        Case::ending(format!("traps/{name}"), snippet, args, expect, WHY)
    };
    let endless = Expect { stages: vec![Stage::Exhausted], ..Expect::default() };
    vec![
        case("undefined-instruction", "undefined", vec![], Cause::UndefinedInstruction),
        case("breakpoint", "breakpoint", vec![], Cause::Breakpoint),
        case("misaligned-sse", "misaligned", vec![pointer(&[0; 32])], Cause::Misaligned)
            .only_on("x86_64", "arm64 loads vectors from any address"),
        case("privileged-instruction", "privileged", vec![], Cause::PrivilegedInstruction)
            .only_on("x86_64", "for programs of arm64 such instructions are undefined ones"),
        Case::ending(
            "traps/endless-loop",
            "endless",
            vec![],
            endless,
            "a call that never ends hangs the host",
        )
        .contained(),
    ]
}

fn division() -> Vec<Case> {
    let x86 = "arm64 has no such trap: its answer is a vector of its own";
    let arm = "x86_64 traps: that is a vector of its own";
    let args = |dividend, divisor| -> Vec<Argument> { vec![int32(dividend), int32(divisor)] };
    let ways = [("divide-by-zero", 7, 0, 0), ("divide-overflow", i32::MIN, -1, i32::MIN)];
    let mut cases = Vec::new();
    for (name, dividend, divisor, value) in ways {
        let quotient = Returned::Int32 { value };
        let id = format!("traps/{name}");
        let returned = Case::returning(&id, "divide", args(dividend, divisor), quotient, WHY);
        let trap = trapping(&[Cause::DivideError], None, None);
        cases.push(Case { expect: trap, ..returned.clone() }.only_on("x86_64", x86));
        cases.push(returned.only_on("arm64", arm));
    }
    cases
}
