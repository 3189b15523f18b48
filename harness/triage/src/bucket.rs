//! Which crashes are the same.

use std::fmt;

use harness_protocol::trap::{Access, Cause};
use harness_sandbox::expect::promise;
use harness_sandbox::{Outcome, Place, Program, Resource, SystemCallAbi, Verdict};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::instruction;
use crate::limits::CHAIN;
use crate::target::Target;

/// What crashes with the same cause have in common. It does not depend on the base, on where in a function
/// the instruction lies, or on the machine, where machines report the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Bucket {
    /// What happened.
    pub kind: Kind,
    /// What was being done with memory.
    pub access: Option<Access>,
    /// What kind of memory that was.
    pub target: Option<Target>,
    /// The instruction, without what depends on where it lies.
    pub instruction: Option<String>,
    /// The functions on the way, innermost first; `?` for code without a name.
    pub functions: Vec<String>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A trap.
    Trapped(Cause),
    /// A system call: the door and its number.
    Forbidden(&'static str, u64),
    /// A budget was used up.
    Exhausted(&'static str),
    /// The operating system ended the process with this signal.
    Killed(i32),
    /// Every call returned, but promises were broken: which, without repetition.
    Broken(Vec<String>),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trapped(cause) => write!(f, "{cause}"),
            Self::Forbidden(abi, number) => write!(f, "system-call {abi} {number}"),
            Self::Exhausted(resource) => write!(f, "exhausted {resource}"),
            Self::Killed(signal) => write!(f, "killed {signal}"),
            Self::Broken(breaches) => write!(f, "broken {}", breaches.join("+")),
        }
    }
}

impl Bucket {
    /// The whole as one line: equal for equal buckets only.
    #[must_use]
    pub fn key(&self) -> String {
        let access = self.access.map(|access| format!(" {access}"));
        let target = self.target.map(|target| format!(" {}", target.name()));
        let instruction = self.instruction.as_ref().map(|text| format!(" | {text}"));
        let functions = match self.functions.as_slice() {
            [] => String::new(),
            functions => format!(" | {}", functions.join(" < ")),
        };
        let [access, target, instruction] =
            [access, target, instruction].map(Option::unwrap_or_default);
        format!("{}{access}{target}{instruction}{functions}", self.kind)
    }

    /// The key as 16 hexadecimal digits, for names of files.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(&Sha256::digest(self.key())[..8])
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())
    }
}

/// The bucket of a verdict; `None` when everything went as it should.
#[must_use]
pub fn bucket(program: &Program, verdict: &Verdict) -> Option<Bucket> {
    let kind = kind(verdict)?;
    let trapped = matches!(kind, Kind::Trapped(_));
    let instruction = instruction::at(program, &verdict.registers).filter(|_| trapped);
    let access = match &verdict.outcome {
        Outcome::Trapped { access, .. } => *access,
        _ => None,
    };
    Some(Bucket {
        kind,
        access,
        target: Target::of(program, verdict, instruction.as_ref()),
        instruction: instruction.map(|it| it.text).or_else(|| door(verdict)),
        functions: functions(verdict),
    })
}

/// The instruction that asked the operating system; the program counter is behind it.
fn door(verdict: &Verdict) -> Option<String> {
    let Outcome::Forbidden(call) = &verdict.outcome else { return None };
    let name = match call.abi {
        SystemCallAbi::X86_64 => "syscall",
        SystemCallAbi::I386 => "int 0x80",
        SystemCallAbi::Arm64 => "svc",
    };
    Some(name.to_owned())
}

fn kind(verdict: &Verdict) -> Option<Kind> {
    Some(match &verdict.outcome {
        Outcome::Trapped { cause, .. } => Kind::Trapped(*cause),
        Outcome::Forbidden(call) => Kind::Forbidden(abi(call.abi), call.number),
        Outcome::Exhausted(resource) => Kind::Exhausted(self::resource(*resource)),
        Outcome::Killed(signal) => Kind::Killed(*signal),
        Outcome::Returned { .. } => {
            let mut breaches: Vec<_> = verdict.breaches.iter().map(promise).collect();
            breaches.sort_unstable();
            breaches.dedup();
            if breaches.is_empty() {
                return None;
            }
            Kind::Broken(breaches)
        }
    })
}

fn abi(abi: SystemCallAbi) -> &'static str {
    match abi {
        SystemCallAbi::X86_64 => "x86_64",
        SystemCallAbi::I386 => "i386",
        SystemCallAbi::Arm64 => "arm64",
    }
}

fn resource(resource: Resource) -> &'static str {
    match resource {
        // Which of the clocks runs out first depends on the machine's load.
        Resource::Cpu | Resource::Wall => "time",
        Resource::Instructions => "instructions",
    }
}

/// Names of the functions at the program counter and on the chain of calls. An endless loop is stopped
/// anywhere, so where it was says nothing beyond the function.
fn functions(verdict: &Verdict) -> Vec<String> {
    let name = |place: &Place| place.symbol.as_ref().map_or("?", |(name, _)| name).to_owned();
    let inside = |place: &&Place| place.inside;
    let mut functions: Vec<String> =
        verdict.pc.iter().filter(inside).chain(&verdict.chain).map(name).collect();
    // A recursion's depth at the trap is chance.
    functions.dedup();
    functions.truncate(CHAIN);
    functions
}
