//! What an exit code and the last line of stdout say.

use harness_protocol::exit::{ONESHOT_ACCEPT, ONESHOT_REJECT, ONESHOT_UNSUPPORTED};
use harness_protocol::{Image, Reply, Stage};
use serde_json::Value;

use crate::attempt::Told;
use crate::connection::incident::{Incident, crash};
use crate::connection::tail::Tail;
use crate::judge::Said;
use crate::sys::wait::Exit;
use crate::text::cut;

/// First words of what runtimes print when a program dies by their hand and then exit with code 1,
/// which would read as a rejection. A crash is never a rejection.
const DEATH_NOTES: [&str; 8] = [
    "Traceback (most recent call last):", // Python
    "Exception in thread \"",             // JVM
    "ERROR: AddressSanitizer",            // its default exit code is 1
    "ERROR: LeakSanitizer",
    "WARNING: MemorySanitizer",
    "WARNING: ThreadSanitizer",
    ": runtime error: ", // UndefinedBehaviorSanitizer
    "Uncaught Error",    // JavaScript
];

/// The keys of a reply that a one-shot loader may print. A last line without any of them is prose.
const REPLY_KEYS: [&str; 9] =
    ["stage", "skip", "rule", "offset", "message", "model", "result", "images", "exports"];

/// What a one-shot process told by its end and its output.
pub(crate) fn told(exit: &Exit, stdout: &[u8], stderr: &Tail) -> Told {
    let died = || Told::Incident(Incident::Died(crash(exit, stderr)));
    let said = match exit.status.code() {
        Some(ONESHOT_ACCEPT) => Said::Accepts,
        Some(ONESHOT_REJECT) if has_death_note(stderr) => return died(),
        Some(ONESHOT_REJECT) => Said::Rejects,
        Some(ONESHOT_UNSUPPORTED) => Said::Stage(Stage::Unsupported),
        _ => return died(),
    };
    match last_reply(stdout).and_then(|reply| refine(said, reply)) {
        Ok(told) => told,
        Err(text) => Told::Incident(Incident::Protocol(text)),
    }
}

/// The images that an answer reports.
pub(crate) fn images(told: &Told) -> &[Image] {
    match told {
        Told::Answer(_, reply) => &reply.images,
        _ => &[],
    }
}

fn has_death_note(stderr: &Tail) -> bool {
    let text = String::from_utf8_lossy(stderr.bytes());
    DEATH_NOTES.iter().any(|note| text.contains(note))
}

/// The reply on the last line of stdout, if that is one.
pub(crate) fn last_reply(stdout: &[u8]) -> Result<Option<Reply>, String> {
    let text = String::from_utf8_lossy(stdout);
    let Some(line) = text.lines().rev().find(|line| !line.trim().is_empty()) else {
        return Ok(None);
    };
    let Ok(Value::Object(object)) = serde_json::from_str(line) else { return Ok(None) };
    if !REPLY_KEYS.iter().any(|key| object.contains_key(*key)) {
        return Ok(None);
    }
    serde_json::from_value(Value::Object(object))
        .map(Some)
        .map_err(|error| format!("the last line of stdout is no reply: {error}: {}", cut(line)))
}

/// What code and reply say together, or how they contradict each other.
fn refine(code: Said, reply: Option<Reply>) -> Result<Told, String> {
    let Some(mut reply) = reply else { return Ok(Told::Answer(code, Box::default())) };
    if let Some(reason) = &reply.skip {
        let reason = reason.clone();
        return match code {
            Said::Stage(Stage::Unsupported) => Ok(Told::Skip(reason, Box::new(reply))),
            _ => Err(format!("the reply says skip, the exit code says {code}")),
        };
    }
    if reply.stage.is_none() && reply.result.is_some() {
        reply.stage = Some(Stage::Returned);
    }
    let Some(stage) = reply.stage else { return Ok(Told::Answer(code, Box::new(reply))) };
    let agrees = match code {
        Said::Stage(unsupported) => stage == unsupported,
        _ => stage.accepts() == code.accepts(),
    };
    if agrees {
        Ok(Told::Answer(Said::Stage(stage), Box::new(reply)))
    } else {
        Err(format!("the reply says {stage}, the exit code says {code}"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use rstest::rstest;

    use super::*;

    fn told_by(raw: i32, stdout: &str, stderr: &str) -> String {
        let mut tail = Tail::new(1000);
        tail.push(stderr.as_bytes());
        let exit = Exit { status: ExitStatus::from_raw(raw), max_rss_kib: 0 };
        match told(&exit, stdout.as_bytes(), &tail) {
            Told::Answer(said, _) => said.to_string(),
            Told::Skip(reason, _) => format!("skip: {reason}"),
            Told::Incident(incident) => format!("{}: {incident}", incident.outcome()),
        }
    }

    const ACCEPT: i32 = 0;
    const REJECT: i32 = 1 << 8;
    const UNSUPPORTED: i32 = 89 << 8;
    const SEGV: i32 = 11;

    #[rstest]
    #[case::accept(ACCEPT, "", "accepted")]
    #[case::reject(REJECT, "", "rejected")]
    #[case::unsupported(UNSUPPORTED, "", "unsupported")]
    #[case::usage(2 << 8, "", "crash: exited with code 2")]
    #[case::shell(139 << 8, "", "crash: exited with code 139 (a shell's word for signal 11)")]
    #[case::signal(SEGV, "", "crash: killed by SIGSEGV")]
    #[case::prose(REJECT, "bad file\n", "rejected")]
    #[case::prose_json(REJECT, "{\"bad\": 1}\n", "rejected")]
    #[case::refined(REJECT, "checking\n{\"stage\": \"invalid\"}\n\n", "invalid")]
    #[case::rule_only(REJECT, "{\"rule\": \"SCP-X\"}", "rejected")]
    #[case::result(ACCEPT, "{\"result\": {\"type\": \"void\"}}", "returned")]
    #[case::skipped(UNSUPPORTED, "{\"skip\": \"no\"}", "skip: no")]
    #[case::skip_and_accept(
        ACCEPT,
        "{\"skip\": \"no\"}",
        "protocol: the reply says skip, the exit code says accepted"
    )]
    #[case::contradiction(
        ACCEPT,
        "{\"stage\": \"invalid\"}",
        "protocol: the reply says invalid, the exit code says accepted"
    )]
    #[case::contradiction_unsupported(
        UNSUPPORTED,
        "{\"stage\": \"invalid\"}",
        "protocol: the reply says invalid, the exit code says unsupported"
    )]
    #[case::reject_refined_to_unsupported(REJECT, "{\"stage\": \"unsupported\"}", "unsupported")]
    fn codes_and_replies(#[case] raw: i32, #[case] stdout: &str, #[case] told: &str) {
        assert_eq!(told_by(raw, stdout, ""), told);
    }

    #[test]
    fn a_bad_reply_is_no_prose() {
        assert!(told_by(REJECT, "{\"stage\": \"broken\"}", "").starts_with("protocol: "));
    }

    #[rstest]
    #[case("Traceback (most recent call last):\n  ...\nIndexError: out of range")]
    #[case("==7==ERROR: AddressSanitizer: heap-buffer-overflow")]
    #[case("loader.c:7:3: runtime error: shift exponent 64 is too large")]
    fn code_1_from_a_dying_runtime_is_a_crash(#[case] stderr: &str) {
        assert!(told_by(REJECT, "", stderr).starts_with("crash: "));
        assert_eq!(told_by(ACCEPT, "", stderr), "accepted");
    }
}
