//! Small vectors for this crate's own tests.

use harness_protocol::{Expect, Stage, Vector, Want};

/// A vector of one byte that expects one of `stages`.
pub(crate) fn vector(id: &str, stages: &[Stage]) -> Vector {
    Vector {
        id: id.into(),
        rule: Some("SCP-X".into()),
        base: "base".into(),
        want: Want::Validate,
        bytes: vec![0].into(),
        expect: Expect { stages: stages.to_vec(), ..Expect::default() },
        why: "it matters".into(),
        ..Vector::default()
    }
}
