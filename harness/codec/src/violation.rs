//! What is wrong with a file.

use blobspec::Format;
use blobspec::format::Stage;

/// A violated rule at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Position in [`Format::rules`].
    pub rule: usize,
    /// Absolute byte offset.
    pub offset: u64,
    /// What was found, as a sentence.
    pub detail: String,
}

/// How far a correct loader gets with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No rule is violated.
    Valid,
    /// The first violation in the fixed order (stage, order of the rules in the spec, offset).
    Rejected {
        /// The stage.
        stage: Stage,
        /// Id of the rule.
        rule: String,
        /// Absolute byte offset.
        offset: u64,
        /// What was found.
        detail: String,
    },
}

impl Verdict {
    pub(crate) fn of(format: &Format, violations: &[Violation]) -> Self {
        let first = violations
            .first()
            .and_then(|violation| Some((format.rules.get(violation.rule)?, violation)));
        first.map_or(Self::Valid, |(rule, violation)| Self::Rejected {
            stage: rule.stage,
            rule: rule.id.clone(),
            offset: violation.offset,
            detail: violation.detail.clone(),
        })
    }
}
