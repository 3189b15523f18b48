//! What holds for the suite of every format: the built-in ones and those that the language is tried on.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use blobspec::format::Check;
use blobspec::{Readings, Spec};
use harness_codec::{Verdict, decode};
use harness_generate::{Suite, findings, generate};
use harness_protocol::{Vector, Want};
use rstest::rstest;

struct Made {
    spec: Spec,
    suite: Suite,
}

static MADE: LazyLock<HashMap<&'static str, Made>> = LazyLock::new(|| {
    let own = ["container", "bytecode", "mission"].map(|name| {
        let path = format!("{}/../../spec/tests/formats/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        (name, text)
    });
    let builtin = blobspec::BUILTIN.iter().map(|(name, text)| (*name, (*text).to_owned()));
    let starter = [("starter", blobspec::STARTER.to_owned())];
    builtin.chain(own).chain(starter).map(|(name, text)| (name, made(name, &text))).collect()
});

fn made(name: &str, text: &str) -> Made {
    let spec = Spec::load(name, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let suite = generate(&spec, &Readings::new()).unwrap_or_else(|error| panic!("{name}: {error}"));
    Made { spec, suite }
}

#[rstest]
#[case("scp", 1_000)]
#[case("smf", 2_000)]
#[case("container", 1_000)]
#[case("bytecode", 150)]
#[case("mission", 150)]
#[case("starter", 150)]
fn there_are_enough_vectors(#[case] name: &str, #[case] least: usize) {
    let count = MADE[name].suite.vectors.len();
    assert!(count >= least, "{count}");
}

#[rstest]
fn making_them_again_gives_the_same(
    #[values("scp", "smf", "container", "bytecode", "mission", "starter")] name: &str,
) {
    let Made { spec, suite } = &MADE[name];
    let again = generate(spec, &Readings::new()).unwrap();
    assert!(again.vectors == suite.vectors && again.groups == suite.groups);
    assert_eq!(harness_generate::files::files(&again), harness_generate::files::files(suite));
}

#[rstest]
fn a_vector_is_what_it_says(
    #[values("scp", "smf", "container", "bytecode", "mission", "starter")] name: &str,
) {
    let Made { spec, suite } = &MADE[name];
    let format = spec.format();
    for vector in &suite.vectors {
        let decoded = decode(format, &vector.bytes.0);
        let loading = |id: &String| format.rule(id).is_some_and(|r| r.check.is_about_loading());
        match vector.expect.rule.as_ref().filter(|id| !loading(id)) {
            // Scenarios carry their files in their steps.
            None if vector.want == Want::Scenario => assert!(vector.bytes.0.is_empty()),
            // What loading alone shows is wrong with files that are right.
            None => assert_eq!(decoded.verdict, Verdict::Valid, "{}", vector.id),
            Some(rule) => {
                let broken: Vec<&str> = decoded
                    .violated_rules()
                    .into_iter()
                    .map(|rule| format.rules[rule].id.as_str())
                    .collect();
                assert_eq!(broken, [rule], "{}", vector.id);
            }
        }
        // Code for another processor breaks no rule of the format, and is refused all the same.
        let foreign = vector.needs.not_architecture.is_some();
        let accepted = vector.expect.accepts() || foreign;
        assert_eq!(vector.expect.rule.is_none(), accepted, "{}", vector.id);
        assert!(!vector.why.is_empty(), "{}", vector.id);
    }
}

#[rstest]
fn ids_and_questions_are_unique(
    #[values("scp", "smf", "container", "bytecode", "mission", "starter")] name: &str,
) {
    let vectors = &MADE[name].suite.vectors;
    let ids: HashSet<&str> = vectors.iter().map(|vector| vector.id.as_str()).collect();
    assert_eq!(ids.len(), vectors.len());
    // A scenario without modules is asked of loaders of every architecture.
    let steps = |vector: &Vector| {
        let scenario = vector.want == Want::Scenario;
        let needs = vector.needs.architecture.clone().filter(|_| scenario);
        // Which machine asks decides between a file that is loaded and the same one refused.
        let foreign = vector.needs.not_architecture.clone();
        // One file may be called with many arguments.
        let call = serde_json::to_string(&vector.call).unwrap();
        (serde_json::to_string(&vector.steps).unwrap(), needs, foreign, call)
    };
    let questions: HashSet<_> = vectors
        .iter()
        .map(|v| (&v.bytes.0, v.want, &v.imports, v.base_address, steps(v)))
        .collect();
    assert_eq!(questions.len(), vectors.len());
}

#[rstest]
fn a_twin_is_on_the_other_side(
    #[values("scp", "smf", "container", "bytecode", "mission", "starter")] name: &str,
) {
    let vectors = &MADE[name].suite.vectors;
    let by_id: HashMap<&str, &Vector> = vectors.iter().map(|v| (v.id.as_str(), v)).collect();
    for vector in vectors {
        if let Some(twin) = &vector.twin {
            let partner = by_id[twin.as_str()];
            assert_ne!(partner.expect.accepts(), vector.expect.accepts(), "{} {twin}", vector.id);
        }
    }
}

/// Kinds whose rules have a neighbour just inside that is another file than the one that was edited.
fn has_partner(check: &Check) -> bool {
    matches!(
        check,
        Check::InEnum { .. }
            | Check::Excludes { .. }
            | Check::Filled { .. }
            | Check::Utf8 { .. }
            | Check::Within { .. }
            | Check::Align { .. }
            | Check::NeedsEntry { .. }
            | Check::Implies { .. }
            | Check::Fits { .. }
            | Check::Disjoint { .. }
            | Check::PowerOfTwo { .. }
            | Check::NameLength { .. }
            | Check::NameUtf8 { .. }
            | Check::RefersTo { .. }
            | Check::ImageSize { .. }
            | Check::HostPlatform { .. }
    )
}

#[rstest]
fn every_rule_is_broken_alone(
    #[values("scp", "smf", "container", "bytecode", "mission", "starter")] name: &str,
) {
    let Made { spec, suite } = &MADE[name];
    let seen = spec.format().rules.iter().filter(|rule| rule.active);
    let mut alone = Vec::new();
    for rule in seen.filter(|rule| !matches!(rule.check, Check::Mapping { .. })) {
        let about = |vector: &&Vector| vector.rule.as_deref() == Some(&rule.id);
        let broken = |vector: &Vector| vector.expect.rule.as_deref() == Some(&rule.id);
        let vectors: Vec<&Vector> = suite.vectors.iter().filter(about).collect();
        assert!(vectors.iter().any(|vector| broken(vector)), "nothing breaks {}", rule.id);
        if vectors[0].want == Want::Validate {
            let base = format!("{name}/base/{}", vectors[0].base);
            assert!(suite.vectors.iter().any(|v| v.id == base && v.expect.accepts()), "{base}");
        }
        let partner = vectors.iter().any(|vector| !broken(vector) || vector.twin.is_some());
        if !partner && has_partner(&rule.check) {
            alone.push(rule.id.as_str());
        }
    }
    // The size of relocations follows from their number, so no edit of it alone is right; the partners of this
    // rule are the files with another number of relocations.
    let known: &[&str] = if name == "smf" { &["SMF-RELOC-SECTION-SIZE"] } else { &[] };
    assert_eq!(alone, known, "rules without an accepted partner");
}

#[rstest]
fn every_reading_is_told_from_the_default(
    #[values("scp", "smf", "container", "bytecode", "mission", "starter")] name: &str,
) {
    let Made { spec, suite } = &MADE[name];
    for (id, choice) in spec.choices() {
        let default = spec.default_reading(id).unwrap();
        for reading in choice.readings.keys().filter(|reading| *reading != default) {
            let apart =
                |v: &Vector| v.readings.get(id).is_some_and(|theirs| theirs.contains_key(reading));
            assert!(suite.vectors.iter().any(apart), "{id}: {reading}");
        }
    }
}

/// Under each reading the suite keeps the same promises: what a loader that declares it is held to.
#[test]
fn answers_under_other_readings_are_what_the_codec_says() {
    let Made { spec, suite } = &MADE["scp"];
    for vector in suite.vectors.iter().filter(|vector| vector.want == Want::Validate) {
        for (choice, theirs) in &vector.readings {
            for (reading, expect) in theirs {
                let format =
                    spec.under(&Readings::from([(choice.clone(), reading.clone())])).unwrap();
                let decoded = decode(&format, &vector.bytes.0);
                let accepted = decoded.verdict == Verdict::Valid;
                assert_eq!(accepted, expect.accepts(), "{} {choice}={reading}", vector.id);
            }
        }
    }
}

#[rstest]
#[case("scp", &[])]
#[case("smf", &[])]
#[case("starter", &[])]
#[case("container", &[])]
#[case("bytecode", &[])]
#[case("mission", &[])]
fn findings_are_known(#[case] name: &str, #[case] known: &[(&str, &str)]) {
    let Made { spec, suite } = &MADE[name];
    let found = findings(spec, suite);
    let found: Vec<_> = found.iter().map(|f| (f.kind, f.subject.as_str())).collect();
    assert_eq!(found, known);
}

#[rstest]
fn a_dictionary_is_one_a_fuzzer_reads(
    #[values("scp", "smf", "container", "bytecode", "mission", "starter")] name: &str,
) {
    let text = harness_generate::fuzzing::dictionary(MADE[name].spec.format());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (key, value) = line.split_once('=').unwrap();
        assert!(key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
        assert!(value.starts_with("\"\\x") && value.ends_with('"'), "{line}");
    }
}
