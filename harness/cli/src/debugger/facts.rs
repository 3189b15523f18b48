//! What happened, in sentences.

use harness_protocol::trap::{Access, Cause};
use harness_protocol::value::Address;
use harness_protocol::{HexBytes, Returned};
use harness_sandbox::verdict::Breach;
use harness_sandbox::{Outcome, Place, Resource, SystemCall};

use super::signals;
use crate::execution::Execution;

/// Addresses below this are a null pointer and an offset.
const NEAR_NULL: u64 = 4096;

/// What happened, in one line.
pub(crate) fn headline(execution: &Execution<'_>) -> String {
    match &execution.verdict.outcome {
        Outcome::Returned { value, .. } => {
            let broken = execution.verdict.breaches.len();
            let value = returned(value);
            match broken {
                0 => format!("returned {value}"),
                1 => format!("returned {value}, but broke a promise"),
                _ => format!("returned {value}, but broke {broken} promises"),
            }
        }
        Outcome::Trapped { cause, access, address, signal } => {
            let what = trap(execution, *cause, *access, address.as_ref());
            let signal = signal.map(|(number, code)| {
                let name = signals::signal(number);
                let code = signals::code(number, code).map(|name| format!(", {name}"));
                format!(" ({name}{})", code.unwrap_or_default())
            });
            format!("{what}{}", signal.unwrap_or_default())
        }
        Outcome::Forbidden(call) => format!("asked the system for {}", system_call(call)),
        Outcome::Exhausted(resource) => exhausted(execution, *resource),
        Outcome::Killed(0) => "the process was gone before it began".to_owned(),
        Outcome::Killed(signal) => format!("killed by {}", signals::signal(*signal)),
    }
}

fn exhausted(execution: &Execution<'_>, resource: Resource) -> String {
    let budget = execution.plan.job.budget;
    match resource {
        Resource::Cpu => {
            format!("did not return within {} s on the processor", budget.cpu.as_secs_f64())
        }
        Resource::Wall => format!("did not return within {} s", budget.wall.as_secs_f64()),
        Resource::Instructions => {
            format!("did not return within {} instructions", budget.instructions.unwrap_or(0))
        }
    }
}

fn trap(
    execution: &Execution<'_>,
    cause: Cause,
    access: Option<Access>,
    address: Option<&Place>,
) -> String {
    let at = address.map(|place| format!(" at {}", place_text(execution, place)));
    let at = at.unwrap_or_default();
    let access = access.map_or("access", Access::name);
    let permissions = address.and_then(|place| permissions(execution, place));
    match cause {
        Cause::Unmapped if address.is_some_and(|place| below_stack(execution, place)) => {
            format!("{access}{at}: the stack is used up")
        }
        Cause::Unmapped => format!("{access}{at}: there is no memory"),
        Cause::Protected => {
            format!("{access}{at}: the memory is {}", permissions.unwrap_or("protected"))
        }
        Cause::OutOfBounds => format!("{access}{at}: past what belongs to the program"),
        Cause::NonCanonical => format!("{access}{at}: no address has these upper bits"),
        Cause::Misaligned => format!("{access}{at}: the instruction needs an aligned address"),
        Cause::DivideError => "division by zero, or a quotient that does not fit".to_owned(),
        Cause::FloatingPoint => "floating-point exception".to_owned(),
        Cause::UndefinedInstruction => "undefined instruction".to_owned(),
        Cause::PrivilegedInstruction => "privileged instruction".to_owned(),
        Cause::Breakpoint => "breakpoint".to_owned(),
        Cause::SingleStep => "single step: the trap flag was set".to_owned(),
        Cause::Other => format!("trap{at}"),
    }
}

/// Whether a place is in the guard below a stack, the first or that of a thread.
fn below_stack(execution: &Execution<'_>, place: &Place) -> bool {
    let Some((name, offset)) = place.region.as_ref().filter(|_| !place.inside) else {
        return false;
    };
    // Where the region starts says whose it is; a module may give its sections any name.
    let start = place.address.wrapping_sub(offset.cast_unsigned());
    let own = execution.module.program.segments.iter().any(|segment| segment.address == start);
    name.starts_with("stack") && *offset < 0 && !own
}

/// What may be done with the memory at a place, in words.
fn permissions(execution: &Execution<'_>, place: &Place) -> Option<&'static str> {
    let mut regions = execution.plan.setup.regions.iter();
    let (name, _) = place.region.as_ref().filter(|_| place.inside)?;
    Some(match regions.find(|region| region.name == *name)?.permissions.name() {
        "r" => "read-only",
        "rw" => "not executable",
        _ => "code, not writable",
    })
}

/// An address with what it means: null, an import, a place in a region.
pub(super) fn place_text(execution: &Execution<'_>, place: &Place) -> String {
    let import = execution.imports.iter().find(|(_, address)| **address == place.address);
    match (place.address, import) {
        (address, Some((name, _))) => format!("{address:#x} (import {name})"),
        (0, None) => "null".to_owned(),
        (address, None) if address < NEAR_NULL => format!("null + {address:#x}"),
        (_, None) => place.to_string(),
    }
}

/// A system call with its name and arguments.
pub(super) fn system_call(call: &SystemCall) -> String {
    let name = signals::system_call(call).map_or_else(
        || format!("number {}", call.number),
        |name| format!("{name} ({})", call.number),
    );
    let arguments = call.arguments.map(|argument| format!("{argument:#x}")).join(", ");
    let door = signals::door(call.abi);
    format!("{name} with {arguments}, by {door}; nothing was done")
}

/// A value as people write it.
pub(crate) fn returned(value: &Returned) -> String {
    match value {
        Returned::Void => "(nothing)".to_owned(),
        Returned::Int8 { value } => value.to_string(),
        Returned::Int16 { value } => value.to_string(),
        Returned::Int32 { value } => value.to_string(),
        Returned::Int64 { value } => value.to_string(),
        Returned::Float32 { bits } => format!("{:?}", f32::from_bits(*bits)),
        Returned::Float64 { bits } => format!("{:?}", f64::from_bits(*bits)),
        Returned::Pointer(address) | Returned::StructRef(address) => match address {
            Address::Null => "null".to_owned(),
            Address::Buffer { index, offset } => format!("buffer {index} + {offset:#x}"),
            Address::Image { offset } => format!("image + {offset:#x}"),
            Address::Other { address } => format!("{address:#x}"),
        },
    }
}

/// A buffer as hexadecimal bytes, and as text where it is text.
pub(crate) fn bytes(buffer: &HexBytes) -> String {
    let hex: String = buffer.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = std::str::from_utf8(&buffer.0).ok().map(|text| text.trim_end_matches('\0'));
    match text.filter(|text| !text.is_empty() && !text.chars().any(char::is_control)) {
        Some(text) => format!("{hex}  {text:?}"),
        None => hex,
    }
}

/// A broken promise.
pub(crate) fn breach(breach: &Breach) -> String {
    match breach {
        Breach::Register { name, before, after } => {
            format!("{name} was {before:#x} and is {after:#x}: the caller relies on it")
        }
        Breach::StackPointer { expected, found } => {
            let off = found.wrapping_sub(*expected).cast_signed();
            format!("the stack pointer is {found:#x} instead of {expected:#x}: {off:+} bytes")
        }
        Breach::DirectionFlag => {
            "the direction flag is set: string instructions run backwards".to_owned()
        }
        Breach::FloatControl { name, before, after } => {
            format!("{name} was {before:#x} and is {after:#x}: later arithmetic differs")
        }
        Breach::CallerStack { address } => {
            format!("the word at {address:#x}, which is the caller's, was changed")
        }
        Breach::BesideBuffer { index, offset } => {
            format!("the byte at buffer {index} {offset:+}, outside of it, was changed")
        }
        Breach::NotRepeatable { first, second } => {
            let (first, second) = (returned(first), returned(second));
            format!("it is marked pure, but gave {first} and then {second}")
        }
        Breach::Impure { place } => format!("it is marked pure, but changed memory at {place}"),
    }
}
