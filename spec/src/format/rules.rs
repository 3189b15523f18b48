//! Rules with every name looked up.

use super::{Condition, Fill, Level, Operand, Protection, Refers, Stage, Target};

/// One thing that may be wrong with a file.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Frozen id.
    pub id: String,
    /// How far a loader gets with a file that breaks it.
    pub stage: Stage,
    /// Other stages that are right as well.
    pub also: Vec<Stage>,
    /// Demanded or recommended.
    pub level: Level,
    /// Nothing else is looked at.
    pub gate: bool,
    /// Whether it holds under the readings of this format.
    pub active: bool,
    /// Clause.
    pub clause: String,
    /// Choice.
    pub choice: Option<String>,
    /// What goes wrong without it.
    pub why: String,
    /// Name of the kind.
    pub kind: &'static str,
    /// Which elements it looks at.
    pub filter: Condition,
    /// What is checked.
    pub check: Check,
}

/// What a rule checks; see [`crate::source::Check`] for the meaning of each kind.
#[derive(Clone, Debug)]
#[expect(
    missing_docs,
    reason = "each variant and field is documented where it is written, in source::Check"
)]
pub enum Check {
    Bounds { region: usize },
    Const { target: Target, value: Constant },
    Range { target: Target, min: Option<Operand>, max: Option<Operand> },
    InEnum { target: Target },
    Excludes { target: Target, codes: Vec<u64> },
    ReservedBits { target: Target, reserved: u64 },
    ClearBits { target: Target, mask: u64 },
    Filled { region: usize, with: Fill },
    Ends { region: usize },
    Utf8 { region: usize },
    Within { target: Target, refers: Refers },
    EntryStart { target: Target, region: usize },
    Align { target: Target, to: Operand },
    NeedsEntry { target: Target, codes: Vec<u64>, region: usize },
    Unique { target: Target, text_in: Option<usize> },
    Implies { when: Vec<(Target, Vec<u64>)>, then: Vec<(Target, Vec<u64>)> },
    Fits { each: Target, start: Operand, length: Operand, least: u64, size: Operand },
    PowerOfTwo { target: Target },
    NameLength { target: Target, region: usize, max: u64 },
    NameUtf8 { target: Target, region: usize },
    RefersTo { target: Target, region: usize, is: Condition },
    ImageSize { images: Vec<usize>, max: u64 },
    HostPlatform { target: Target, any: Vec<u64> },
    Resolved { region: usize },
    RelocationRange { region: usize },
    Separate { regions: Vec<usize> },
    Disjoint { each: Target, start: Operand, length: Operand },
    Derived { target: Target },
    Mapping { image: usize, never: Protection },
}

/// The value of a constant field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constant {
    /// A number.
    Number(u64),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Check {
    /// The field or the elements that the check looks at, for the kinds that look at any.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        match self {
            Self::Const { target, .. }
            | Self::Range { target, .. }
            | Self::InEnum { target }
            | Self::Excludes { target, .. }
            | Self::ReservedBits { target, .. }
            | Self::ClearBits { target, .. }
            | Self::Within { target, .. }
            | Self::EntryStart { target, .. }
            | Self::Align { target, .. }
            | Self::NeedsEntry { target, .. }
            | Self::Unique { target, .. }
            | Self::Derived { target }
            | Self::PowerOfTwo { target }
            | Self::NameLength { target, .. }
            | Self::NameUtf8 { target, .. }
            | Self::RefersTo { target, .. }
            | Self::HostPlatform { target, .. }
            | Self::Fits { each: target, .. }
            | Self::Disjoint { each: target, .. } => Some(target),
            Self::Implies { when, .. } => when.first().map(|(target, _)| target),
            Self::Bounds { .. }
            | Self::Filled { .. }
            | Self::Ends { .. }
            | Self::Utf8 { .. }
            | Self::Separate { .. }
            | Self::ImageSize { .. }
            | Self::Resolved { .. }
            | Self::RelocationRange { .. }
            | Self::Mapping { .. } => None,
        }
    }

    /// Whether a file shows nothing of it before it is loaded.
    #[must_use]
    pub fn is_about_loading(&self) -> bool {
        matches!(
            self,
            Self::HostPlatform { .. }
                | Self::Resolved { .. }
                | Self::RelocationRange { .. }
                | Self::Mapping { .. }
        )
    }
}
