//! Code that does nothing but jump somewhere far away, for calls that reach 2 GiB only.

use crate::limits::PAGE;
use crate::{Architecture, Permissions, Segment};

/// Name of their segment.
const NAME: &str = "stubs";

/// Bytes of a stub: a jump through the eight bytes behind it.
const SIZE: u64 = 16;

/// The stubs of a module, one for each target.
pub(super) struct Stubs {
    architecture: Architecture,
    address: u64,
    targets: Vec<u64>,
}

/// The first address for other memory after `segment`, with an unmapped page between.
pub(super) fn after(segment: &Segment) -> u64 {
    segment.address.saturating_add(segment.size).next_multiple_of(PAGE).saturating_add(PAGE)
}

impl Stubs {
    /// Stubs that will lie at `address`.
    pub(super) fn new(architecture: Architecture, address: u64) -> Self {
        Self { architecture, address, targets: Vec::new() }
    }

    /// The address of code that jumps to `target`.
    pub(super) fn to(&mut self, target: u64) -> u64 {
        let known = self.targets.iter().position(|known| *known == target);
        let index = known.unwrap_or_else(|| {
            self.targets.push(target);
            self.targets.len() - 1
        });
        self.address + index as u64 * SIZE
    }

    /// Their code, if there are any.
    pub(super) fn segment(&self) -> Option<Segment> {
        let bytes: Vec<u8> = self.targets.iter().flat_map(|target| self.code(*target)).collect();
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let permissions = Permissions::Rx;
        let segment =
            Segment { name: NAME.to_owned(), address: self.address, bytes, size, permissions };
        (size > 0).then_some(segment)
    }

    fn code(&self, target: u64) -> Vec<u8> {
        let jump: &[u8] = match self.architecture {
            Architecture::X86_64 => &[0xff, 0x25, 2, 0, 0, 0, 0xcc, 0xcc], // jmp [rip + 2]
            Architecture::Arm64 => &[0x50, 0, 0, 0x58, 0, 0x02, 0x1f, 0xd6], // ldr x16, . + 8; br x16
            Architecture::X86_32 => &[0x68, 0, 0, 0, 0, 0xc3, 0xcc, 0xcc],   // push target; ret
        };
        let mut code = jump.to_vec();
        if self.architecture == Architecture::X86_32 {
            code[1..5].copy_from_slice(&target.to_le_bytes()[..4]);
        }
        code.extend(target.to_le_bytes());
        code
    }
}
