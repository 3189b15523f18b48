//! Vectors that do not apply to a loader, and the bound on those that a loader says it cannot try.

use harness_protocol::{Describe, Vector, Want, limits::MAX_FRAME};

use crate::connection::session::Question;
use crate::expectation::{Choices, expectation};
use crate::limits::MAX_CLAIMED_SKIP_PERCENT;
use crate::{CaseResult, Connection, Implementation, Skip};

/// Why `question` does not apply to `implementation`; `None` when it does. The reasons come from the
/// declaration and the connection alone, never from an answer.
pub(crate) fn derived(
    question: &Question<'_>,
    implementation: &Implementation,
    choices: &Choices,
) -> Option<String> {
    let Question { format, vector } = question;
    let describe = &implementation.describe;
    if let Some(reason) = unspeakable(vector, &implementation.connection) {
        return Some(reason);
    }
    if !describe.formats.is_empty() && !describe.formats.iter().any(|id| id == format) {
        return Some(format!("the loader does not declare the format {format}"));
    }
    if !declares(describe, vector.want) {
        return Some(format!("the loader does not declare that it can {}", verb(vector.want)));
    }
    if let Some(architecture) = missing_architecture(vector, describe) {
        return Some(format!("the loader does not declare the architecture {architecture}"));
    }
    if let Some(architecture) = foreign_architecture(vector) {
        return Some(format!(
            "mapping and calling {architecture} code needs a machine of that architecture"
        ));
    }
    if let Some(own) = vector.needs.not_architecture.as_deref()
        && Some(own) == host_architecture()
    {
        return Some(format!("{own} code is not foreign on this machine"));
    }
    if vector.needs.containment && !describe.contains {
        return Some("the loader does not declare that it contains the code it calls".into());
    }
    if let Err(conflict) = expectation(vector, choices) {
        let (first, second) = (conflict.first, conflict.second);
        return Some(format!("the declared readings of {first} and {second} contradict here"));
    }
    if question.frame_size() > MAX_FRAME {
        return Some(format!("the file does not fit in a frame of {MAX_FRAME} bytes"));
    }
    None
}

/// What of `vector` the connection has no words for.
fn unspeakable(vector: &Vector, connection: &Connection) -> Option<String> {
    let interface = match connection {
        Connection::Pipe { .. } => return None,
        Connection::OneShot { .. } => "a command line",
        Connection::Dylib { .. } => "the C interface",
    };
    if vector.want == Want::Scenario {
        return Some(format!("{interface} has no words for the steps of a scenario"));
    }
    let offered = vector.want >= Want::Load && !vector.imports.is_empty();
    offered.then(|| format!("{interface} has no words for the imports that the host offers"))
}

fn declares(describe: &Describe, want: Want) -> bool {
    if describe.wants.is_empty() { want == Want::Validate } else { describe.wants.contains(&want) }
}

fn missing_architecture<'a>(vector: &'a Vector, describe: &Describe) -> Option<&'a str> {
    let needed = vector.needs.architecture.as_deref()?;
    let known = &describe.architectures;
    (!known.is_empty() && !known.iter().any(|name| name == needed)).then_some(needed)
}

/// The architecture that a vector needs to be mapped or called and that this machine is not.
fn foreign_architecture(vector: &Vector) -> Option<&str> {
    let needed = vector.needs.architecture.as_deref().filter(|_| vector.want != Want::Validate)?;
    (Some(needed) != host_architecture()).then_some(needed)
}

/// This machine by the names that specs use; `None` when no format here has code for it.
fn host_architecture() -> Option<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Some("x86_64"),
        "aarch64" => Some("arm64"),
        "x86" => Some("x86_32"),
        _ => None,
    }
}

fn verb(want: Want) -> &'static str {
    match want {
        Want::Validate => "validate",
        Want::Load => "load",
        Want::Call => "call",
        Want::Scenario => "work through scenarios",
    }
}

/// What is wrong with the skips that the loader itself claimed, in words.
pub(crate) fn excess(results: &[CaseResult]) -> Vec<String> {
    let mut applicable = 0;
    let mut claimed = 0;
    let mut silent = Vec::new();
    for result in results {
        match &result.skip {
            Some(Skip::Derived(_)) => continue,
            Some(Skip::Claimed(reason)) => {
                claimed += 1;
                if reason.trim().is_empty() {
                    silent.push(result.id.as_str());
                }
            }
            None => {}
        }
        applicable += 1;
    }
    let mut found = Vec::new();
    if claimed * 100 > applicable * MAX_CLAIMED_SKIP_PERCENT {
        found.push(format!(
            "skipped {claimed} of {applicable}: more than {MAX_CLAIMED_SKIP_PERCENT} % say nothing \
             about the loader"
        ));
    }
    if let Some(first) = silent.first() {
        found.push(format!("{} skips without a reason, the first is {first}", silent.len()));
    }
    found
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::Outcome;

    fn results(total: usize, claimed: usize, derived: usize) -> Vec<CaseResult> {
        let vector = crate::sample::vector("scp/x", &[harness_protocol::Stage::Valid]);
        let mut results: Vec<_> =
            (0..total).map(|index| CaseResult::blank(&vector, index, &[])).collect();
        for (index, result) in results.iter_mut().enumerate().take(claimed + derived) {
            result.outcome = Outcome::Skip;
            result.skip = Some(match index < claimed {
                true => Skip::Claimed("no 64-bit host".into()),
                false => Skip::Derived("no such architecture".into()),
            });
        }
        results
    }

    #[rstest]
    #[case(10, 1, 0, true)]
    #[case(10, 2, 0, false)]
    #[case(900, 812, 0, false)]
    #[case(10, 0, 10, true)]
    #[case(10, 1, 5, false)]
    fn the_bound_counts_claimed_among_applicable(
        #[case] total: usize,
        #[case] claimed: usize,
        #[case] derived: usize,
        #[case] fine: bool,
    ) {
        assert_eq!(excess(&results(total, claimed, derived)).is_empty(), fine);
    }

    #[test]
    fn a_skip_needs_a_reason() {
        let mut results = results(100, 1, 0);
        results[0].skip = Some(Skip::Claimed(" ".into()));
        assert!(excess(&results).concat().contains("without a reason"));
    }

    #[rstest]
    #[case::declared(&["x86_64"], &[Want::Load], None)]
    #[case::all_architectures(&[], &[Want::Load], None)]
    #[case::other_architecture(&["arm64"], &[Want::Load], Some("architecture x86_64"))]
    #[case::only_validates(&[], &[], Some("can load"))]
    fn declarations_decide(
        #[case] architectures: &[&str],
        #[case] wants: &[Want],
        #[case] reason: Option<&str>,
    ) {
        let mut vector = crate::sample::vector("scp/x", &[harness_protocol::Stage::Loaded]);
        vector.want = Want::Load;
        vector.needs.architecture = Some("x86_64".into());
        let describe = Describe {
            formats: vec!["scp".into()],
            architectures: architectures.iter().map(ToString::to_string).collect(),
            wants: wants.to_vec(),
            ..Describe::default()
        };
        let pipe = implementation(describe, Connection::Pipe { command: Vec::new() });
        let question = Question { format: "scp", vector: &vector };
        let found = derived(&question, &pipe, &Choices::new());
        match reason {
            Some(reason) => assert!(found.unwrap().contains(reason)),
            None => assert_eq!(found, None),
        }
        let question = Question { format: "smf", vector: &vector };
        assert!(derived(&question, &pipe, &Choices::new()).is_some());
    }

    #[rstest]
    #[case(false, true, Some("contains the code"))]
    #[case(true, true, None)]
    #[case(false, false, None)]
    fn only_who_contains_code_is_asked_to_call_what_does_harm(
        #[case] contains: bool,
        #[case] containment: bool,
        #[case] reason: Option<&str>,
    ) {
        let mut vector = crate::sample::vector("scp/x", &[harness_protocol::Stage::Returned]);
        vector.want = Want::Call;
        vector.needs.containment = containment;
        let describe = Describe { wants: vec![Want::Call], contains, ..Describe::default() };
        let pipe = implementation(describe, Connection::Pipe { command: Vec::new() });
        let question = Question { format: "scp", vector: &vector };
        let found = derived(&question, &pipe, &Choices::new());
        assert_eq!(found.is_some(), reason.is_some(), "{found:?}");
        assert!(found.unwrap_or_default().contains(reason.unwrap_or_default()));
    }

    fn implementation(describe: Describe, connection: Connection) -> Implementation {
        Implementation { text: String::new(), describe, connection, sanitized: false }
    }

    #[rstest]
    #[case::pipe(Connection::Pipe { command: Vec::new() }, [None; 3])]
    #[case::one_shot(Connection::OneShot { command: Vec::new() },
        [None, Some("a command line has no words for the imports"),
            Some("a command line has no words for the steps")])]
    #[case::dylib(Connection::Dylib { path: "l.so".into(), command: Vec::new() },
        [None, Some("the C interface has no words for the imports"),
            Some("the C interface has no words for the steps")])]
    fn connections_have_limits(#[case] connection: Connection, #[case] reasons: [Option<&str>; 3]) {
        let wants = vec![Want::Validate, Want::Load, Want::Scenario];
        let loader =
            implementation(Describe { wants: wants.clone(), ..Describe::default() }, connection);
        for (want, reason) in wants.into_iter().zip(reasons) {
            let mut vector = crate::sample::vector("smf/x", &[harness_protocol::Stage::Loaded]);
            vector.want = want;
            vector.imports = std::collections::BTreeMap::from([("puts".into(), 0x1000)]);
            let question = Question { format: "smf", vector: &vector };
            let found = derived(&question, &loader, &Choices::new());
            assert_eq!(found.is_some(), reason.is_some(), "{found:?}");
            assert!(found.unwrap_or_default().contains(reason.unwrap_or_default()));
        }
    }
}
