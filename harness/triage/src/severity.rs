//! How bad a crash is.
//!
//! Levels and names of classes are those of CASR, so that results can be compared. Its crate `libcasr` is not
//! used: the list of classes is a table of strings there, and it comes with a debugger's output parser, regular
//! expressions, clocks and clustering; its classification reads core dumps through gdb and guesses from the
//! disassembly whether an access was a read or a write. Here the processor's error code says which; only where
//! it says nothing, as for non-canonical addresses, the instruction does.

use std::fmt;

use harness_protocol::trap::{Access, Cause};
use harness_sandbox::{Breach, Outcome, Program, Resource, Verdict};
use serde::Serialize;

use crate::instruction::{self, Flow, Instruction};
use crate::target::Target;

/// How likely it is that somebody can make more of a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    /// Unlikely: a denial of service.
    NotExploitable,
    /// It depends on more than can be seen here.
    ProbablyExploitable,
    /// Control of the program counter or of memory is likely.
    Exploitable,
}

impl Level {
    /// CASR's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotExploitable => "NOT_EXPLOITABLE",
            Self::ProbablyExploitable => "PROBABLY_EXPLOITABLE",
            Self::Exploitable => "EXPLOITABLE",
        }
    }
}

/// How bad a crash is, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Severity {
    /// How likely it is that somebody can make more of it.
    pub level: Level,
    /// Its class: CASR's name where CASR has one.
    pub class: &'static str,
    /// What speaks for that, in a sentence.
    pub why: &'static str,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.level.name(), self.class, self.why)
    }
}

const NOT: Level = Level::NotExploitable;
const PROBABLY: Level = Level::ProbablyExploitable;
const EXPLOITABLE: Level = Level::Exploitable;

/// How bad the end of a verdict is; `None` when everything went as it should.
#[must_use]
pub fn severity(program: &Program, verdict: &Verdict) -> Option<Severity> {
    let (level, class, why) = match &verdict.outcome {
        Outcome::Returned { .. } => broken(&verdict.breaches)?,
        Outcome::Trapped { cause, access, .. } => {
            let instruction = instruction::at(program, &verdict.registers);
            let target = Target::of(program, verdict, instruction.as_ref());
            trapped(*cause, *access, target, instruction.as_ref())
        }
        Outcome::Forbidden(_) => (
            PROBABLY,
            "ForbiddenSystemCall",
            "the code asked the operating system for something, which nothing here may",
        ),
        Outcome::Exhausted(Resource::Cpu | Resource::Wall | Resource::Instructions) => {
            (NOT, "timeout", "the code did not come to an end within its budget")
        }
        Outcome::Killed(_) => {
            (NOT, "AbortSignal", "the operating system ended the process without saying why")
        }
    };
    Some(Severity { level, class, why })
}

type Class = (Level, &'static str, &'static str);

fn trapped(
    cause: Cause,
    access: Option<Access>,
    target: Option<Target>,
    instruction: Option<&Instruction>,
) -> Class {
    match cause {
        Cause::Unmapped | Cause::Protected | Cause::OutOfBounds | Cause::NonCanonical => {
            access_violation(access, target, instruction)
        }
        Cause::DivideError | Cause::FloatingPoint => {
            (NOT, "FPE", "an arithmetic exception was raised")
        }
        Cause::UndefinedInstruction | Cause::PrivilegedInstruction => {
            (PROBABLY, "BadInstruction", "control arrived where no instruction is that may run")
        }
        Cause::Breakpoint | Cause::SingleStep => {
            (NOT, "TrapSignal", "a breakpoint or single step was hit")
        }
        Cause::Misaligned => {
            (NOT, "AccessViolation", "an instruction that needs an aligned address got another")
        }
        Cause::Other => (NOT, "Undefined", "the trap says nothing about its cause"),
    }
}

fn access_violation(
    access: Option<Access>,
    target: Option<Target>,
    instruction: Option<&Instruction>,
) -> Class {
    let near_null = target == Some(Target::Null);
    if access == Some(Access::Fetch) {
        return if near_null {
            (PROBABLY, "SegFaultOnPcNearNull", "control went to null or a little above")
        } else {
            (EXPLOITABLE, "SegFaultOnPc", "control went to an address that holds no code")
        };
    }
    if target == Some(Target::BelowStack) {
        return (NOT, "StackOverflow", "the stack was used up");
    }
    // What a call or jump reads is where it goes; what a return reads is the stack.
    let reads = access != Some(Access::Write);
    match instruction.map(|it| it.flow) {
        Some(Flow::Return) if reads => {
            return (EXPLOITABLE, "ReturnAv", "a return trapped: its stack is corrupt");
        }
        Some(Flow::Call) if reads => return call(near_null),
        Some(Flow::Branch) if reads => return branch(near_null),
        _ => {}
    }
    let instruction = instruction.and_then(|it| it.writes);
    let writes = access.map(|access| access == Access::Write).or(instruction);
    match (writes, target) {
        (Some(true), Some(Target::BeforeBuffer | Target::AfterBuffer)) => {
            (EXPLOITABLE, "buffer-overflow(write)", "a write went beside the buffer of an argument")
        }
        (Some(false), Some(Target::BeforeBuffer | Target::AfterBuffer)) => {
            (NOT, "buffer-overflow(read)", "a read went beside the buffer of an argument")
        }
        (Some(true), Some(Target::Null)) => {
            (PROBABLY, "DestAvNearNull", "a write went to null or a little above")
        }
        (Some(true), _) => (EXPLOITABLE, "DestAv", "a write went where nothing may be written"),
        (Some(false), Some(Target::Null)) => {
            (NOT, "SourceAvNearNull", "a read went to null or a little above")
        }
        (Some(false), _) => (NOT, "SourceAv", "a read went where nothing may be read"),
        (None, _) => (NOT, "AccessViolation", "an access trapped, of which more is not known"),
    }
}

fn call(near_null: bool) -> Class {
    if near_null {
        (PROBABLY, "CallAvNearNull", "a call read its target at null or a little above")
    } else {
        (EXPLOITABLE, "CallAv", "a call trapped: its target comes from where it should not")
    }
}

fn branch(near_null: bool) -> Class {
    if near_null {
        (PROBABLY, "BranchAvNearNull", "a jump read its target at null or a little above")
    } else {
        (EXPLOITABLE, "BranchAv", "a jump trapped: its target comes from where it should not")
    }
}

/// The worst of the broken promises.
fn broken(breaches: &[Breach]) -> Option<Class> {
    let class = |breach: &Breach| match breach {
        Breach::BesideBuffer { .. } => (
            EXPLOITABLE,
            "buffer-overflow(write)",
            "bytes beside the buffer of an argument changed",
        ),
        Breach::CallerStack { .. } => (
            EXPLOITABLE,
            "stack-buffer-overflow(write)",
            "the part of the stack that belongs to the caller changed",
        ),
        Breach::StackPointer { .. } => {
            (PROBABLY, "BrokenConvention", "the stack pointer does not stand where it should")
        }
        Breach::Register { .. } => {
            (PROBABLY, "BrokenConvention", "a register that belongs to the caller changed")
        }
        Breach::DirectionFlag => {
            (PROBABLY, "BrokenConvention", "string instructions of the caller would run backwards")
        }
        Breach::FloatControl { .. } => {
            (NOT, "BrokenConvention", "the caller's floating-point arithmetic would change")
        }
        Breach::NotRepeatable { .. } => {
            (NOT, "BrokenPurity", "a function marked pure gave two results")
        }
        Breach::Impure { .. } => (NOT, "BrokenPurity", "a function marked pure changed memory"),
    };
    // Of equally bad ones the first stays.
    breaches.iter().map(class).reduce(|worst, next| if next.0 > worst.0 { next } else { worst })
}
