//! A run with one of everything, in every format.

use std::collections::BTreeMap;
use std::io::BufReader;

use harness_protocol::{Describe, Level, Reply, Stage};
use harness_report::limits::SCHEMA;
use harness_report::{Header, Recorded, ReportError, Stream, SummaryOptions, json, junit, summary};
use harness_runner::{
    CaseResult, Crash, Finding, FindingKind, Observations, Observed, Outcome, RunReport, Skip,
};
use rstest::rstest;

fn case(index: usize, id: &str, outcome: Outcome, cause: &str) -> CaseResult {
    CaseResult {
        id: id.into(),
        index,
        rule: Some("SCP-HEADER-CHECKSUM".into()),
        level: Level::Must,
        outcome,
        failed_as: None,
        expected: vec![Stage::Invalid],
        cause: cause.into(),
        why: if outcome.is_failure() {
            "accepts a damaged or altered blob".into()
        } else {
            "".into()
        },
        got: None,
        notes: Vec::new(),
        isolated: outcome.is_failure().then_some(outcome),
        observed: None,
        duration_us: 7,
        crash: None,
        skip: None,
        deviation: None,
    }
}

/// What a hostile loader makes of a message.
const HOSTILE: &str = "<b>&\"'\u{1b}[2J\u{0}]]>\nnext\u{202e}";

fn run() -> RunReport {
    let mut crash = case(3, "scp/header.size/over", Outcome::Crash, HOSTILE);
    crash.crash = Some(Crash {
        signal: Some("SIGSEGV".into()),
        exit_code: None,
        stderr: format!("{}last words {HOSTILE}", "x".repeat(100_000)),
    });
    crash.got = Some(Reply { message: Some("m".repeat(100_000)), ..Reply::default() });
    let mut skipped = case(4, "scp/arm64/base", Outcome::Skip, "no arm64 here");
    skipped.skip = Some(Skip::Derived("no arm64 here".into()));
    let mut known = case(5, "scp/flags/bit", Outcome::ExpectedFail, "accepted");
    known.failed_as = Some(Outcome::WrongAccept);
    known.deviation = Some("flags are the caller's".into());
    let mut advice = case(6, "scp/names/long", Outcome::WrongAccept, "accepted");
    advice.level = Level::Should;
    let mut seen = case(0, "scp/header.magic/first", Outcome::Pass, "");
    seen.observed = Some(Observed::Seen);
    known.observed = Some(Observed::Reported);
    advice.observed = Some(Observed::NotSeen(HOSTILE.into()));
    let cases = vec![
        seen,
        case(
            1,
            "scp/header.checksum/flip/1",
            Outcome::WrongAccept,
            "accepted (valid), must be rejected",
        ),
        case(
            2,
            "scp/header.checksum/flip/2",
            Outcome::WrongAccept,
            "accepted (valid), must be rejected",
        ),
        crash,
        skipped,
        known,
        advice,
    ];
    let mut counts = BTreeMap::new();
    for result in &cases {
        *counts.entry(result.outcome).or_insert(0) += 1;
    }
    RunReport {
        target: "./my loader".into(),
        connection: "pipe".into(),
        describe: Describe { name: "naive".into(), version: "1.0".into(), ..Describe::default() },
        choices: BTreeMap::from([("scp.magic-order".into(), "value".into())]),
        selected: cases.len(),
        observations: Observations::of(&cases),
        cases,
        counts,
        findings: vec![Finding {
            kind: FindingKind::Skips,
            text: "skipped 8 of 9".into(),
            fails: true,
        }],
        interrupted: false,
        enforce_should: false,
        duration_us: 1_234_567,
    }
}

fn header(run: &RunReport) -> Header {
    Header {
        schema: SCHEMA,
        target: run.target.clone(),
        connection: run.connection.clone(),
        describe: run.describe.clone(),
        suite: "9f3c".into(),
        harness: "0.1.0".into(),
        total: run.selected,
    }
}

fn streamed(run: &RunReport) -> Vec<u8> {
    let stream = Stream::begin(Vec::new(), &header(run)).expect("memory does not fail");
    // As they come, not in order.
    run.cases.iter().rev().for_each(|result| stream.case(result));
    stream.end(run).expect("memory does not fail")
}

fn read(bytes: &[u8]) -> Result<Recorded, ReportError> {
    Recorded::read(BufReader::new(bytes))
}

#[test]
fn a_stream_is_read_back_as_it_was() {
    let run = run();
    let recorded = read(&streamed(&run)).unwrap();
    assert!(recorded.is_complete());
    assert_eq!(recorded.header, header(&run));
    let footer = recorded.footer.as_ref().unwrap();
    assert_eq!((footer.exit_code, footer.observations), (1, run.observations));
    assert_eq!(recorded.into_report(), run);
}

#[test]
fn a_stream_cut_anywhere_is_incomplete_but_readable() {
    let run = run();
    let whole = streamed(&run);
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for length in (first..whole.len() - 1).step_by(97) {
        let recorded = read(&whole[..length]).unwrap();
        assert!(!recorded.is_complete(), "cut at {length}");
        assert!(recorded.into_report().interrupted);
    }
}

#[rstest]
#[case::nothing(|_: Vec<u8>| Vec::new(), "there is no header")]
#[case::no_header(|bytes: Vec<u8>| bytes.splitn(2, |b| *b == b'\n').last().unwrap().to_vec(),
    "line 1 of")]
#[case::two_footers(|bytes: Vec<u8>| {
    let last = bytes.trim_ascii_end().rsplit(|b| *b == b'\n').next().unwrap().to_vec();
    [bytes, last].concat()
}, "behind the end")]
#[case::a_line_lost(|bytes: Vec<u8>| {
    let mut lines: Vec<_> = bytes.split(|b| *b == b'\n').collect();
    lines.remove(2);
    lines.join(&b'\n')
}, "7 cases are announced, 6 stand")]
#[case::a_cut_line_inside(|bytes: Vec<u8>| {
    let mut lines: Vec<_> = bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    lines[2].truncate(20);
    lines.join(&b'\n')
}, "behind the end")]
#[case::other_schema(|bytes: Vec<u8>| {
    String::from_utf8(bytes).unwrap().replacen("\"schema\":1", "\"schema\":2", 1).into_bytes()
}, "schema 2 is not 1")]
fn a_broken_stream_says_where(#[case] damage: fn(Vec<u8>) -> Vec<u8>, #[case] part: &str) {
    let error = read(&damage(streamed(&run()))).unwrap_err().to_string();
    assert!(error.contains(part), "{error}");
}

#[test]
fn a_writer_that_fails_is_reported_at_the_end() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let run = run();
    let stream = Stream::begin(Full(500), &header(&run)).unwrap();
    run.cases.iter().for_each(|result| stream.case(result));
    assert!(matches!(stream.end(&run), Err(ReportError::Stream(_))));
}

#[test]
fn the_json_report_holds_the_run_flat() {
    let run = run();
    let document = json::Document::new(&header(&run), &run);
    let text = document.to_json().unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["exit_code"], 1);
    assert_eq!(value["counts"]["wrong-accept"], 3);
    assert_eq!(value["observations"]["as_reported"], 1);
    assert_eq!(value["cases"][0]["observed"], "seen");
    assert_eq!(value["cases"][5]["observed"], "reported");
    assert_eq!(value["cases"][4]["skip"]["derived"], "no arm64 here");
    assert_eq!(serde_json::from_str::<json::Document>(&text).unwrap(), document);
}

#[test]
fn reports_of_a_version_that_did_not_look_are_read() {
    let run = run();
    let text = json::Document::new(&header(&run), &run).to_json().unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value.as_object_mut().unwrap().remove("observations");
    let document: json::Document = serde_json::from_value(value).unwrap();
    assert!(document.run.observations.is_empty());
}

#[test]
fn junit_is_clean_xml_that_says_why() {
    let xml = junit::xml(&run()).unwrap();
    let bad = |c: char| c.is_control() && c != '\n';
    assert!(!xml.contains(bad), "{xml}");
    assert!(!xml.contains("<b>") && xml.contains("&lt;b&gt;&amp;"), "{xml}");
    assert!(xml.len() < 20_000, "{}", xml.len());
    assert!(xml.contains("last words"));
    assert!(xml.contains(r#"<property name="memory" value="looked at"/>"#), "{xml}");
    assert!(xml.contains(r#"value="1 looked at, 0 as reported, 0 not seen""#), "{xml}");
    assert!(xml.contains(r#"name="scp/header.checksum" tests="2" "#), "{xml}");
    assert!(xml.contains("wrong-accept: accepted (valid), must be rejected"));
    assert!(xml.contains("known: wrong-accept: flags are the caller"));
    assert!(xml.contains("recommended only: wrong-accept"));
    assert!(xml.contains("skipped 8 of 9"));
}

#[test]
fn the_summary_leads_to_the_next_step() {
    let text = summary(&run(), &SummaryOptions::default());
    let expected = "\
SCP-HEADER-CHECKSUM  wrong-accept ×3  accepts a damaged or altered blob
    scp/header.checksum/flip/1
    accepted (valid), must be rejected
    harness replay scp/header.checksum/flip/1 --impl './my loader'

SCP-HEADER-CHECKSUM  crash ×1  accepts a damaged or altered blob
    scp/header.size/over
    <b>&\"'\\u{1b}[2J\\u{0}]]>\\nnext\\u{202e}
    harness replay scp/header.size/over --impl './my loader'

  pass                  1
  wrong-accept          3
  crash                 1
  skip                  1
                        1: no arm64 here
  expected-fail         1
  memory: 1 looked at, 1 as reported, 1 not seen

finding: skipped 8 of 9
DOES NOT CONFORM  naive 1.0 (pipe): 3 of 6 vectors fail [1.23 s]
";
    assert_eq!(text, expected);
}

#[test]
fn an_interrupted_run_says_so_everywhere() {
    let run = RunReport { interrupted: true, selected: 1247, ..run() };
    let said = "1240 of 1247 vectors were not tried, 3 failed";
    let text = summary(&run, &SummaryOptions::default());
    assert!(text.contains(&format!("INTERRUPTED  naive 1.0 (pipe): {said} [")), "{text}");
    let xml = junit::xml(&run).unwrap();
    assert!(xml.contains(&format!("INTERRUPTED: {said}")), "{xml}");
    assert_eq!(run.exit_code(), 1);
    let clean = RunReport { cases: Vec::new(), findings: Vec::new(), ..run };
    assert!(junit::xml(&clean).unwrap().contains("errors=\"1\""));
}

#[test]
fn colours_are_only_for_those_who_ask() {
    let escape = '\u{1b}';
    assert!(!summary(&run(), &SummaryOptions::default()).contains(escape));
    let colored = SummaryOptions { color: true, target: Some("--impl-set all".into()) };
    let text = summary(&run(), &colored);
    assert!(text.contains(escape) && text.contains("--impl-set all"));
    assert!(!text.contains("\u{1b}[2J"));
}

#[rstest]
#[case::good(&[Outcome::Pass], false, "CONFORMS")]
#[case::known(&[Outcome::Pass, Outcome::ExpectedFail], false, "AS EXPECTED")]
#[case::skipped(&[Outcome::Skip], false, "NOTHING RAN")]
#[case::interrupted(&[Outcome::Pass], true, "INTERRUPTED")]
#[case::interrupted_after_a_failure(&[Outcome::Pass, Outcome::Hang], true, "INTERRUPTED")]
#[case::stopped_at_the_end(&[Outcome::Pass, Outcome::Pass, Outcome::Hang], true, "DOES NOT CONFORM")]
#[case::failed(&[Outcome::Pass, Outcome::Hang], false, "DOES NOT CONFORM")]
fn the_last_line_is_the_verdict(
    #[case] outcomes: &[Outcome],
    #[case] interrupted: bool,
    #[case] verdict: &str,
) {
    let cases = outcomes.iter().enumerate().map(|(n, outcome)| case(n, "f/a/b", *outcome, ""));
    let run = RunReport {
        cases: cases.collect(),
        findings: Vec::new(),
        interrupted,
        selected: 3,
        ..run()
    };
    let text = summary(&run, &SummaryOptions::default());
    assert!(text.lines().last().unwrap().starts_with(verdict), "{text}");
}
