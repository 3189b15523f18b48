//! The rules that a decoded file can break, one module a part of the file.
//!
//! All of them are looked at in one pass over each table, and the one that comes first in canonical order
//! is reported. On the good path nothing is stored but the names seen so far.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod functions;
mod header;
mod names;
mod types;

use crate::error::Violation;
use crate::file::File;
use crate::rule::Rule;
use crate::strings::Strings;

/// Checks `file` against every rule but those of the decoding.
pub(crate) fn check(file: &File<'_>) -> Result<(), Violation> {
    let mut findings = Findings::default();
    header::check(file, &mut findings);
    if let Some(offset) = file.strings().first_invalid() {
        findings.report(Rule::StrUtf8, offset);
    }
    functions::check(file, &mut findings);
    types::check(file, &mut findings);
    dependencies(file, &mut findings);
    findings.first.map_or(Ok(()), Err)
}

/// The violation that comes first so far.
#[derive(Debug, Default)]
struct Findings {
    first: Option<Violation>,
}

impl Findings {
    #[cold]
    fn report(&mut self, rule: Rule, offset: u64) {
        let order =
            |violation: &Violation| (violation.rule.stage(), violation.rule, violation.offset);
        let found = Violation { rule, offset };
        if self.first.as_ref().is_none_or(|first| order(&found) < order(first)) {
            self.first = Some(found);
        }
    }

    /// Whether a further violation of `rule`, an invalid one, would not be reported: something of this
    /// rule or an earlier one was found, and entries are looked at in file order.
    #[inline]
    fn decided_before(&self, rule: Rule) -> bool {
        self.first.is_some_and(|first| first.rule <= rule)
    }

    #[inline]
    fn require(&mut self, holds: bool, rule: Rule, offset: u64) {
        if !holds {
            self.report(rule, offset);
        }
    }
}

fn dependencies(file: &File<'_>, findings: &mut Findings) {
    let rules = NameRules { bounds: Rule::DepNameBounds, start: Rule::DepNameStart };
    let strings = file.strings();
    for dependency in file.dependencies() {
        rules.check(&strings, dependency.name_offset, dependency.name_at(), findings);
    }
}

/// The two rules that a `name_offset` obeys, for one table.
struct NameRules {
    bounds: Rule,
    start: Rule,
}

impl NameRules {
    /// Checks the `name_offset` that stands at the offset `at`.
    #[inline]
    fn check(&self, strings: &Strings<'_>, name_offset: u32, at: u64, findings: &mut Findings) {
        if u64::from(name_offset) >= strings.length() {
            findings.report(self.bounds, at);
        } else if !strings.starts_at(name_offset) {
            findings.report(self.start, at);
        }
    }
}
