//! The rules that a decoded file can break, one module a part of the file.
//!
//! All of them are looked at in passes over each table, and the one that comes first in canonical order is
//! reported. On the good path nothing is stored, unless sections or relocations are not in ascending order.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod header;
mod overlap;
mod relocations;
mod sections;
mod symbols;

use super::error::{Error, Violation};
use super::file::File;
use super::quota::Quota;
use super::rule::Rule;
use crate::limits::MAX_IMAGES;

/// Checks `file` against every rule but those of the decoding and of the host.
pub(crate) fn check(file: &File<'_>, quota: &dyn Quota) -> Result<(), Error> {
    let mut findings = Findings::default();
    let layout = file.layout();
    header::check(file, &layout, &mut findings);
    sections::check(file, quota, &mut findings)?;
    symbols::check(file, &layout, &mut findings);
    relocations::check(file, &layout, quota, &mut findings)?;
    if let Some(offset) = sections::first_beyond(file, MAX_IMAGES) {
        findings.report(Rule::ImageSize, offset);
    }
    findings.first.map_or(Ok(()), |violation| Err(violation.into()))
}

/// Checks that the images of `file` are not larger than `max` bytes together.
pub(crate) fn check_size(file: &File<'_>, max: u64) -> Result<(), Violation> {
    match sections::first_beyond(file, max) {
        Some(offset) => Err(Violation { rule: Rule::ImageSize, offset }),
        None => Ok(()),
    }
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

    #[inline]
    fn require(&mut self, holds: bool, rule: Rule, offset: u64) {
        if !holds {
            self.report(rule, offset);
        }
    }

    /// Whether something of an earlier rule than `rule`, an invalid one, was found.
    fn before(&self, rule: Rule) -> bool {
        self.first.is_some_and(|first| (first.rule.stage(), first.rule) < (rule.stage(), rule))
    }
}

/// Whether the `length` bytes from `start` lie in `size` bytes.
#[inline]
fn fits(start: u64, length: u64, size: u64) -> bool {
    start.checked_add(length).is_some_and(|end| end <= size)
}
