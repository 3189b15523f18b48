//! What must be known of an instruction before it runs, because the engine would do something else than a
//! processor under Linux. Found once for each address that runs.

pub(crate) mod arm64;
pub(crate) mod x86;

use harness_sandbox::Architecture;
use harness_sandbox::machine::Trap;
use unicorn_engine::Unicorn;

use crate::memory::Memory;
use crate::observer::{Event, Observer};

/// An instruction, as far as it matters.
pub(crate) struct Inspected {
    /// Its bytes.
    pub(crate) length: u64,
    /// Whether control may go elsewhere after it.
    pub(crate) branch: bool,
    /// What to do before it runs.
    pub(crate) special: Option<Special>,
}

/// An instruction that needs a look before it runs.
#[derive(Clone, Copy)]
pub(crate) enum Special {
    /// It always traps.
    Trap(Trap),
    /// One of x86.
    X86(x86::Special),
    /// One of ARM64.
    Arm64(arm64::Special),
}

/// Looks at the instruction at `pc`.
pub(crate) fn inspect(architecture: Architecture, memory: &Memory, pc: u64) -> Inspected {
    match architecture {
        Architecture::X86_64 => x86::inspect(64, memory, pc),
        Architecture::X86_32 => x86::inspect(32, memory, pc),
        Architecture::Arm64 => arm64::inspect(memory, pc),
    }
}

/// What happens instead of the instruction, if anything.
pub(crate) fn check(special: Special, uc: &mut Unicorn<'_, Observer>) -> Option<Event> {
    match special {
        Special::Trap(trap) => Some(Event::Trapped(trap)),
        Special::X86(special) => x86::check(special, uc),
        Special::Arm64(special) => arm64::check(special, uc),
    }
}

/// Bytes of the instruction at `pc`; `None` when its region ends before it does.
pub(crate) fn length(architecture: Architecture, memory: &Memory, pc: u64) -> Option<u64> {
    match architecture {
        Architecture::X86_64 => x86::length(64, memory, pc),
        Architecture::X86_32 => x86::length(32, memory, pc),
        Architecture::Arm64 => (memory.bytes(pc, 4).len() == 4).then_some(arm64::LENGTH),
    }
}
