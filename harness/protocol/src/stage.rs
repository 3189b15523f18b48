//! How far a loader got with a file.

use serde::{Deserialize, Serialize};

/// How far a loader got. The order is the order of a load: a file that breaks two rules is reported at
/// the earlier stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The bytes do not decode: truncated, wrong magic, a table that runs past its end.
    Malformed,
    /// The bytes decode but break a rule of the format.
    Invalid,
    /// Nothing is wrong with the file, but it is not for this loader: version, architecture, feature.
    Unsupported,
    /// An import, a dependency or a relocation cannot be resolved.
    Unresolvable,
    /// The operating system refused a mapping or a protection change.
    Unmappable,
    /// The file was validated and not mapped: the answer to [`Want::Validate`](crate::Want::Validate).
    Valid,
    /// The file is mapped and may be called.
    Loaded,
    /// The called function ended in a trap (only a loader that executes in a sandbox can say so).
    Trap,
    /// The called function used up its budget.
    Exhausted,
    /// The called function returned.
    Returned,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::Invalid,
        Self::Unsupported,
        Self::Unresolvable,
        Self::Unmappable,
        Self::Valid,
        Self::Loaded,
        Self::Trap,
        Self::Exhausted,
        Self::Returned,
    ];

    /// Whether this stage means that the file was accepted.
    #[must_use]
    pub fn accepts(self) -> bool {
        matches!(self, Self::Valid | Self::Loaded | Self::Trap | Self::Exhausted | Self::Returned)
    }

    /// The stage's name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Invalid => "invalid",
            Self::Unsupported => "unsupported",
            Self::Unresolvable => "unresolvable",
            Self::Unmappable => "unmappable",
            Self::Valid => "valid",
            Self::Loaded => "loaded",
            Self::Trap => "trap",
            Self::Exhausted => "exhausted",
            Self::Returned => "returned",
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
