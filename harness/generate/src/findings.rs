//! What only making vectors can show about a spec: rules that nothing breaks alone, choices that no vector
//! tells apart.

use blobspec::Spec;
use blobspec::format::Check;

use crate::suite::Suite;

/// Something about a spec that its author should know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Short name of the kind: `entangled-rule`, `untested-reading`, …
    pub kind: &'static str,
    /// The rule, choice, clause or field it is about.
    pub subject: String,
    /// What it is, and what to do.
    pub message: String,
}

/// The findings of `spec` that its default suite shows.
#[must_use]
pub fn findings(spec: &Spec, suite: &Suite) -> Vec<Finding> {
    let mut findings = entangled(spec, suite);
    findings.extend(untested_choices(spec, suite));
    findings
}

fn entangled(spec: &Spec, suite: &Suite) -> Vec<Finding> {
    let format = spec.format();
    let mut findings = Vec::new();
    for (position, rule) in format.rules.iter().enumerate().filter(|(_, rule)| rule.active) {
        let observed = matches!(rule.check, Check::Mapping { .. });
        let broken =
            |vector: &harness_protocol::Vector| vector.expect.rule.as_deref() == Some(&rule.id);
        if observed || suite.vectors.iter().any(broken) {
            continue;
        }
        let message = match suite.entangled.get(&position).and_then(|sets| sets.iter().min_by_key(|set| set.len())) {
            Some(set) => {
                let others = set.iter().filter(|other| **other != position).map(|other| format.rules[*other].id.as_str());
                format!("nothing breaks it alone: whatever breaks it also breaks {}", others.collect::<Vec<_>>().join(", "))
            }
            None => "nothing that was tried breaks it: another rule implies it, or its values cannot occur".to_owned(),
        };
        findings.push(Finding { kind: "entangled-rule", subject: rule.id.clone(), message });
    }
    findings
}

fn untested_choices(spec: &Spec, suite: &Suite) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, choice) in spec.choices().filter(|(_, choice)| choice.untestable.is_none()) {
        let by_rule = |rule: &&blobspec::format::Rule| {
            rule.choice.as_deref() == Some(id) || choice.rules.contains(&rule.id)
        };
        let rules: Vec<&str> =
            spec.format().rules.iter().filter(by_rule).map(|rule| rule.id.as_str()).collect();
        let tested = |vector: &harness_protocol::Vector| {
            vector.readings.contains_key(id)
                || vector.rule.as_deref().is_some_and(|rule| rules.contains(&rule))
        };
        if !suite.vectors.iter().any(tested) {
            let message =
                "no vector depends on it; if no file can, say why with `untestable`".to_owned();
            findings.push(Finding { kind: "untested-choice", subject: id.to_owned(), message });
        }
        let default = spec.default_reading(id);
        for reading in choice.readings.keys().filter(|name| Some(name.as_str()) != default) {
            let apart = |vector: &harness_protocol::Vector| {
                vector.readings.get(id).is_some_and(|readings| readings.contains_key(reading))
            };
            if !suite.vectors.iter().any(apart) {
                let message = format!("no vector tells its reading `{reading}` from the default");
                findings.push(Finding {
                    kind: "untested-reading",
                    subject: id.to_owned(),
                    message,
                });
            }
        }
    }
    findings
}
