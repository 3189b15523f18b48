//! Small vectors for this crate's own tests.

use harness_protocol::{Expect, Level, Needs, Stage, Vector, Want};

/// A vector of one byte that expects one of `stages`.
pub(crate) fn vector(id: &str, stages: &[Stage]) -> Vector {
    Vector {
        id: id.into(),
        rule: Some("SCP-X".into()),
        base: "base".into(),
        edit: String::new(),
        want: Want::Validate,
        bytes: vec![0].into(),
        call: None,
        expect: Expect {
            stages: stages.to_vec(),
            rule: None,
            offset: None,
            model: None,
            result: None,
            buffers: Vec::new(),
        },
        readings: Default::default(),
        needs: Needs::default(),
        observe: Vec::new(),
        twin: None,
        level: Level::Must,
        why: "it matters".into(),
    }
}
