//! Hand-written vectors and the loaders that answer them wrongly.

use harness_protocol::{Expect, Stage, Vector, Want};
use harness_runner::{Implementation, ProbeOptions, Target};

/// `count` vectors, alternately to be accepted and rejected. The first byte is the answer, the second the
/// number; see `saboteur.py`.
pub(crate) fn vectors(count: u8) -> Vec<Vector> {
    (0..count).map(|number| vector(number, number % 2 == 0, Want::Validate)).collect()
}

/// One vector.
pub(crate) fn vector(number: u8, accepted: bool, want: Want) -> Vector {
    let good = if want == Want::Load { Stage::Loaded } else { Stage::Valid };
    Vector {
        id: format!("t/{number}"),
        rule: Some("T-FIRST".into()),
        base: "base".into(),
        want,
        bytes: vec![u8::from(accepted), number].into(),
        expect: expect(if accepted { good } else { Stage::Invalid }),
        why: "code that runs must have been checked".into(),
        ..Vector::default()
    }
}

/// An answer at this stage and nothing more.
pub(crate) fn expect(stage: Stage) -> Expect {
    Expect { stages: vec![stage], ..Expect::default() }
}

/// The text of `--impl` for a mode of the saboteur.
pub(crate) fn saboteur(mode: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/saboteur.py");
    format!("python3 -S -E {} {mode}", shell_words::quote(script))
}

/// A pipe connection to the saboteur.
pub(crate) fn pipe(mode: &str) -> Implementation {
    let text = format!("pipe:{}", saboteur(mode));
    Target::parse(&text, &ProbeOptions::default()).expect("it starts")
}

/// A one-shot connection to a shell script whose `$1` is the file and `$first` its first byte.
pub(crate) fn script(body: &str) -> Implementation {
    let script = format!("first=$(od -An -tu1 -N1 \"$1\"); first=$((first)); {body}");
    let text = format!("oneshot:sh -c {} loader", shell_words::quote(&script));
    Target::parse(&text, &ProbeOptions::default()).expect("it starts")
}
