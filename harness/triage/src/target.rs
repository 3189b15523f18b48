//! What kind of memory an access that trapped went for.

use harness_protocol::trap::Cause;
use harness_sandbox::limits::POISON;
use harness_sandbox::{Architecture, Outcome, Permissions, Place, Program, Verdict};
use serde::Serialize;

use crate::instruction::Instruction;
use crate::limits::{NEAR_NULL, NEAR_POISON};

/// What kind of memory an access that trapped went for. The same at every base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Null or a little above.
    Null,
    /// A value that nobody set: the poison of unused registers and fresh stacks.
    Poison,
    /// Code of the module.
    Code,
    /// Read-only data of the module.
    Constants,
    /// Writable data of the module.
    Data,
    /// Beside memory of the module.
    BesideImage,
    /// The stack.
    Stack,
    /// Below the stack: it was used up.
    BelowStack,
    /// Above the stack.
    AboveStack,
    /// The buffer of an argument.
    Buffer,
    /// Before the buffer of an argument.
    BeforeBuffer,
    /// Behind the buffer of an argument.
    AfterBuffer,
    /// An address that no processor of the kind can have.
    NonCanonical,
    /// Nothing is near.
    Elsewhere,
}

impl Target {
    /// Its name in keys and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Poison => "poison",
            Self::Code => "code",
            Self::Constants => "constants",
            Self::Data => "data",
            Self::BesideImage => "beside-image",
            Self::Stack => "stack",
            Self::BelowStack => "below-stack",
            Self::AboveStack => "above-stack",
            Self::Buffer => "buffer",
            Self::BeforeBuffer => "before-buffer",
            Self::AfterBuffer => "after-buffer",
            Self::NonCanonical => "non-canonical",
            Self::Elsewhere => "elsewhere",
        }
    }

    /// What the access of a verdict went for. Where the processor does not say the address, as for non-canonical
    /// ones, it is computed from the instruction and the registers.
    pub(crate) fn of(
        program: &Program,
        verdict: &Verdict,
        instruction: Option<&Instruction>,
    ) -> Option<Self> {
        let Outcome::Trapped { cause, access, address, .. } = &verdict.outcome else {
            return None;
        };
        if let Some(place) = address {
            return Some(Self::of_place(program, place));
        }
        let computed = instruction.and_then(|it| it.memory.or(it.branch));
        match computed {
            Some(address) if is_poison(program.architecture, address) => Some(Self::Poison),
            _ if *cause == Cause::NonCanonical => Some(Self::NonCanonical),
            _ => access.map(|_| Self::Elsewhere),
        }
    }

    fn of_place(program: &Program, place: &Place) -> Self {
        if place.address < NEAR_NULL {
            return Self::Null;
        }
        if is_poison(program.architecture, place.address) {
            return Self::Poison;
        }
        let Some((name, offset)) = &place.region else { return Self::Elsewhere };
        // Where the region starts says whose it is; a module may give its sections any name.
        let start = place.address.wrapping_sub(offset.cast_unsigned());
        let segment = program.segments.iter().find(|segment| segment.address == start);
        match (segment, name.starts_with("stack"), place.inside) {
            (Some(segment), _, true) => match segment.permissions {
                Permissions::Rx => Self::Code,
                Permissions::R => Self::Constants,
                Permissions::Rw => Self::Data,
            },
            (Some(_), _, false) => Self::BesideImage,
            (None, true, true) => Self::Stack,
            (None, true, false) if *offset < 0 => Self::BelowStack,
            (None, true, false) => Self::AboveStack,
            (None, false, true) => Self::Buffer,
            (None, false, false) if *offset < 0 => Self::BeforeBuffer,
            (None, false, false) => Self::AfterBuffer,
        }
    }
}

/// Whether an address is poison with something small added or taken away.
fn is_poison(architecture: Architecture, address: u64) -> bool {
    let poison = match architecture {
        Architecture::X86_32 => POISON & u64::from(u32::MAX),
        Architecture::X86_64 | Architecture::Arm64 => POISON,
    };
    address.abs_diff(poison) < NEAR_POISON
}
