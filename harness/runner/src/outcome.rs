//! What became of a vector.

use serde::{Deserialize, Serialize};

/// What became of a vector, in the order in which a summary lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// Answered as a conforming loader answers.
    Pass,
    /// Accepted, and must be rejected.
    WrongAccept,
    /// Rejected, and must be accepted.
    WrongReject,
    /// Accepted or rejected rightly, but at another stage; with strict rules also: for another rule or at
    /// another offset.
    WrongStage,
    /// The decoded file differs from the expected one.
    WrongModel,
    /// The mapped image is not as it must be, seen by the harness itself.
    WrongImage,
    /// The called function returned something else, or left something else in its buffers.
    WrongResult,
    /// The process died. Never a rejection.
    Crash,
    /// No answer within the deadline.
    Hang,
    /// Answered, but used more memory than it may.
    OverBudget,
    /// What the process wrote is not an answer.
    Protocol,
    /// Not tried.
    Skip,
    /// Failed as a deviation says.
    ExpectedFail,
    /// Passed although a deviation says that it fails.
    UnexpectedPass,
}

impl Outcome {
    /// All outcomes in order.
    pub const ALL: [Self; 14] = [
        Self::Pass,
        Self::WrongAccept,
        Self::WrongReject,
        Self::WrongStage,
        Self::WrongModel,
        Self::WrongImage,
        Self::WrongResult,
        Self::Crash,
        Self::Hang,
        Self::OverBudget,
        Self::Protocol,
        Self::Skip,
        Self::ExpectedFail,
        Self::UnexpectedPass,
    ];

    /// The outcome's name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::WrongAccept => "wrong-accept",
            Self::WrongReject => "wrong-reject",
            Self::WrongStage => "wrong-stage",
            Self::WrongModel => "wrong-model",
            Self::WrongImage => "wrong-image",
            Self::WrongResult => "wrong-result",
            Self::Crash => "crash",
            Self::Hang => "hang",
            Self::OverBudget => "over-budget",
            Self::Protocol => "protocol",
            Self::Skip => "skip",
            Self::ExpectedFail => "expected-fail",
            Self::UnexpectedPass => "unexpected-pass",
        }
    }

    /// The outcome of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }

    /// Whether the loader did something wrong. Deviations are judged apart.
    #[must_use]
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Pass | Self::Skip | Self::ExpectedFail | Self::UnexpectedPass)
    }

    /// Whether a failure counts even where the document only recommends: no recommendation covers
    /// dying, hanging or talking nonsense.
    #[must_use]
    pub fn is_fault(self) -> bool {
        matches!(self, Self::Crash | Self::Hang | Self::OverBudget | Self::Protocol)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_wire_names_in_order() {
        for outcome in Outcome::ALL {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.name());
            assert_eq!(Outcome::named(outcome.name()), Some(outcome));
        }
        assert!(Outcome::ALL.is_sorted());
    }
}
