//! Rules: one module for each kind, and each knows how to check it, how to break it as little as possible
//! (with the partner just inside the boundary), how to say it in a sentence, and where the defaults of a
//! generated file need help, how to satisfy it.
//!
//! A new kind is one variant in `blobspec`, one module here, and its line in the four dispatchers below.

mod align;
mod bits;
mod bounds;
mod constant;
mod derived;
mod disjoint;
mod ends;
mod entry_start;
mod excludes;
mod filled;
mod fits;
mod image_size;
mod implies;
mod in_enum;
mod name_length;
mod name_utf8;
mod needs_entry;
mod power_of_two;
mod range;
mod reach;
mod refers_to;
mod separate;
mod unique;
mod utf8;
mod within;
mod workbench;

use blobspec::Format;
use blobspec::format::{Check, Protection, Rule};

use crate::draft::Draft;
use crate::evaluate::Context;
use crate::limits::MAX_KEPT_PER_RULE;
use crate::violation::Violation;

pub use workbench::{Proposal, Workbench};

/// Collects violations.
pub(crate) struct Sink {
    /// The rule that is being checked.
    pub(crate) rule: usize,
    pub(crate) violations: Vec<Violation>,
    pub(crate) exercised: Vec<bool>,
    kept: Vec<usize>,
}

impl Sink {
    pub(crate) fn new(format: &Format) -> Self {
        let rules = format.rules.len();
        Self {
            rule: 0,
            violations: Vec::new(),
            exercised: vec![false; rules],
            kept: vec![0; rules],
        }
    }

    /// The current rule looked at something.
    pub(crate) fn exercise(&mut self) {
        if let Some(seen) = self.exercised.get_mut(self.rule) {
            *seen = true;
        }
    }

    pub(crate) fn exercise_bounds(&mut self, format: &Format, region: usize) {
        if let Some(rule) = bounds_rule(format, region) {
            self.rule = rule;
            self.exercise();
        }
    }

    /// Whether further violations of the current rule would not be kept.
    pub(crate) fn is_full(&self) -> bool {
        self.kept.get(self.rule).is_none_or(|kept| *kept >= MAX_KEPT_PER_RULE)
    }

    /// The current rule is violated at `offset`; `detail` says how.
    pub(crate) fn report(&mut self, offset: u64, detail: impl FnOnce() -> String) {
        let Some(kept) = self.kept.get_mut(self.rule) else { return };
        if *kept < MAX_KEPT_PER_RULE {
            *kept = kept.saturating_add(1);
            self.violations.push(Violation { rule: self.rule, offset, detail: detail() });
        }
    }
}

/// The rule that a region breaks which does not decode.
pub(crate) fn bounds_rule(format: &Format, index: usize) -> Option<usize> {
    let bounds = |rule: &Rule| {
        rule.active && matches!(rule.check, Check::Bounds { region } if region == index)
    };
    format.rules.iter().position(bounds)
}

/// For each region the gates that can be checked once it is decoded, in the order of the rules.
pub(crate) fn gates(format: &Format) -> Vec<Vec<usize>> {
    let mut gates = vec![Vec::new(); format.regions.len()];
    for (index, rule) in format.rules.iter().enumerate().filter(|(_, r)| r.active && r.gate) {
        let ready = reach::last_region(format, rule);
        if let Some(gates) = ready.and_then(|region| gates.get_mut(region)) {
            gates.push(index);
        }
    }
    gates
}

/// Checks one rule on everything that it looks at. Bounds are found by decoding itself, mappings are seen
/// only while a file is loaded.
pub(crate) fn check<'a>(context: &Context<'a>, rule: &'a Rule, sink: &mut Sink) {
    context.only(&rule.filter);
    match &rule.check {
        Check::Bounds { .. }
        | Check::Mapping { .. }
        | Check::HostPlatform { .. }
        | Check::Resolved { .. }
        | Check::RelocationRange { .. } => {}
        Check::Const { target, value } => constant::check(context, target, value, sink),
        Check::Range { target, min, max } => {
            range::check(context, target, min.as_ref(), max.as_ref(), sink);
        }
        Check::InEnum { target } => in_enum::check(context, target, sink),
        Check::Excludes { target, codes } => excludes::check(context, target, codes, sink),
        Check::ReservedBits { target, reserved: mask } | Check::ClearBits { target, mask } => {
            bits::check(context, target, *mask, sink);
        }
        Check::Filled { region, with } => filled::check(context, *region, *with, sink),
        Check::Ends { region } => ends::check(context, *region, sink),
        Check::Utf8 { region } => utf8::check(context, *region, sink),
        Check::Within { target, refers } => within::check(context, target, *refers, sink),
        Check::EntryStart { target, region } => entry_start::check(context, target, *region, sink),
        Check::Align { target, to } => align::check(context, target, to, sink),
        Check::NeedsEntry { target, codes, region } => {
            needs_entry::check(context, target, codes, *region, sink);
        }
        Check::Unique { target, text_in } => unique::check(context, target, *text_in, sink),
        Check::Implies { when, then } => implies::check(context, when, then, sink),
        Check::PowerOfTwo { target } => power_of_two::check(context, target, sink),
        Check::NameLength { target, region, max } => {
            name_length::check(context, target, *region, *max, sink);
        }
        Check::NameUtf8 { target, region } => name_utf8::check(context, target, *region, sink),
        Check::RefersTo { target, region, is } => {
            refers_to::check(context, target, *region, is, sink);
        }
        Check::ImageSize { images, max } => image_size::check(context, images, *max, sink),
        Check::Fits { each, start, length, least, size } => {
            fits::check(context, each, [start, length, size], *least, sink);
        }
        Check::Separate { regions } => separate::check(context, regions, sink),
        Check::Disjoint { each, start, length } => {
            disjoint::check(context, each, start, length, sink);
        }
        Check::Derived { target } => derived::check(context, target, sink),
    }
}

/// Edits of the workbench's file that break `rule`, and edits that stay just inside its boundary. Whether
/// an edit does what it is meant to is for the caller to prove by decoding.
#[must_use]
pub fn proposals<'a>(bench: &Workbench<'a>, rule: &'a Rule) -> Vec<Proposal> {
    let bench = &bench.only(&rule.filter);
    match &rule.check {
        Check::Bounds { region } => bounds::propose(bench, *region),
        Check::Const { target, value } => constant::propose(bench, target, value),
        Check::Range { target, min, max } => {
            range::propose(bench, target, min.as_ref(), max.as_ref())
        }
        Check::InEnum { target } => in_enum::propose(bench, target),
        Check::Excludes { target, codes } => excludes::propose(bench, target, codes),
        Check::ReservedBits { target, reserved: mask } | Check::ClearBits { target, mask } => {
            bits::propose(bench, target, *mask)
        }
        Check::Filled { region, with } => filled::propose(bench, *region, *with),
        Check::Ends { .. } => ends::propose(bench),
        Check::Utf8 { region } => utf8::propose(bench, *region),
        Check::Within { target, refers } => within::propose(bench, target, *refers),
        Check::EntryStart { target, region } => entry_start::propose(bench, target, *region),
        Check::Align { target, to } => align::propose(bench, target, to),
        Check::NeedsEntry { target, codes, region } => {
            needs_entry::propose(bench, target, codes, *region)
        }
        Check::Unique { target, text_in } => unique::propose(bench, target, *text_in),
        Check::Implies { when, then } => implies::propose(bench, when, then),
        Check::PowerOfTwo { target } => power_of_two::propose(bench, target),
        Check::NameLength { target, max, .. } => name_length::propose(bench, target, *max),
        Check::NameUtf8 { target, region } => name_utf8::propose(bench, target, *region),
        Check::RefersTo { target, region, is } => refers_to::propose(bench, target, *region, is),
        Check::ImageSize { images, max } => image_size::propose(bench, images, *max),
        Check::Mapping { .. }
        | Check::HostPlatform { .. }
        | Check::Resolved { .. }
        | Check::RelocationRange { .. } => Vec::new(),
        Check::Fits { each, start, length, least, size } => {
            fits::propose(bench, each, [start, length, size], *least)
        }
        Check::Separate { regions } => separate::propose(bench, regions),
        Check::Disjoint { each, start, length } => disjoint::propose(bench, each, start, length),
        Check::Derived { target } => derived::propose(bench, target),
    }
}

/// Changes a generated draft so that it keeps `rule`, for the kinds that defaults alone can break.
pub fn satisfy(format: &Format, rule: &Rule, draft: &mut Draft) {
    if !rule.filter.is_always() {
        return; // whoever wrote the element knows what it is
    }
    match &rule.check {
        Check::Const { target, value } => constant::satisfy(draft, target, value),
        Check::Range { target, min, .. } => range::satisfy(format, draft, target, min.as_ref()),
        Check::InEnum { target } => in_enum::satisfy(format, draft, target),
        Check::Excludes { target, codes } => excludes::satisfy(format, draft, target, codes),
        Check::Unique { target, text_in: None } => unique::satisfy(draft, target),
        Check::Fits { each, start, length, size, .. } => {
            fits::satisfy(format, draft, each, [start, length, size]);
        }
        Check::Disjoint { each, start, length } => {
            disjoint::satisfy(format, draft, each, start, length);
        }
        _ => {}
    }
}

/// The rules about names, what indices lead to, and what becomes of a file in memory.
fn describe_linking(format: &Format, check: &Check) -> String {
    let region =
        |index: &usize| format.regions.get(*index).map_or("?", |region| region.name.as_str());
    let path = |target| format.path_of(target);
    match check {
        Check::PowerOfTwo { target } => format!("{} is a power of two", path(target)),
        Check::NameLength { target, max, .. } => {
            format!("the name that {} leads to is at most {max} bytes long", path(target))
        }
        Check::NameUtf8 { target, .. } => {
            format!("the name that {} leads to is UTF-8", path(target))
        }
        Check::RefersTo { target, region: r, .. } => {
            format!("{} leads to an element of {} of the right kind", path(target), region(r))
        }
        Check::ImageSize { max, .. } => format!("the images take at most {max} bytes"),
        Check::HostPlatform { target, .. } => {
            format!("{} is the system that loads the file, or any", path(target))
        }
        Check::Resolved { region: r } => format!("the symbols of {} are defined", region(r)),
        Check::RelocationRange { region: r } => format!("the values of {} fit", region(r)),
        Check::Mapping { image, never } => {
            let image = format.images.get(*image).map_or("?", |image| image.name.as_str());
            let never = match never {
                Protection::Wx => "is writable and executable at once",
                Protection::OtherBytes => "holds bytes that do not follow from the file",
                Protection::OtherPermissions => "has other permissions than the spec gives it",
                Protection::Neighbours => "has accessible memory right beside it",
            };
            format!("no mapping of image {image} {never}")
        }
        _ => String::new(),
    }
}

/// The rule as a sentence, without the document's words: `header.magic is 53 43 50 00`.
#[must_use]
pub fn describe(format: &Format, rule: &Rule) -> String {
    let region =
        |index: &usize| format.regions.get(*index).map_or("?", |region| region.name.as_str());
    let path = |target| format.path_of(target);
    match &rule.check {
        Check::Bounds { region: r } => {
            format!("{} lies inside the file and before its limit", region(r))
        }
        Check::Const { target, value } => format!("{} is {}", path(target), constant::text(value)),
        Check::Range { target, min, max } => {
            range::describe(format, target, min.as_ref(), max.as_ref())
        }
        Check::InEnum { target } => {
            format!("{} is one of {}", path(target), in_enum::names(format, target))
        }
        Check::Excludes { target, codes } => {
            format!("{} is not {}", path(target), in_enum::some_names(format, target, codes))
        }
        Check::ReservedBits { target, .. } => {
            format!("undefined bits of {} are zero", path(target))
        }
        Check::ClearBits { target, mask } => {
            format!("the bits {} of {} are zero", bits::names(format, target, *mask), path(target))
        }
        Check::Filled { region: r, with } => filled::describe(region(r), *with),
        Check::Ends { region: r } => format!("the file ends where {} ends", region(r)),
        Check::Utf8 { region: r } => format!("every entry of {} is UTF-8", region(r)),
        Check::Within { target, refers } => within::describe(format, target, *refers),
        Check::EntryStart { target, region: r } => {
            format!("{} is the first byte of an entry of {}", path(target), region(r))
        }
        Check::Align { target, to } => {
            format!(
                "{} is a multiple of {}",
                path(target),
                workbench::operand_text(format, target, to)
            )
        }
        Check::NeedsEntry { target, codes, region: r } => {
            let names = in_enum::some_names(format, target, codes);
            format!("where {} is {names}, {} has an entry", path(target), region(r))
        }
        Check::Unique { target, .. } => format!("no two elements have the same {}", path(target)),
        Check::Implies { when, then } => implies::describe(format, when, then),
        Check::Fits { each, start, length, size, .. } => {
            fits::describe(format, each, [start, length, size])
        }
        Check::Separate { regions } => {
            let names: Vec<&str> = regions.iter().map(region).collect();
            format!("no byte belongs to two of {}", names.join(", "))
        }
        Check::Disjoint { each, .. } => format!("elements of {} do not overlap", path(each)),
        Check::Derived { target } => {
            format!("{} has the value that follows from the file", path(target))
        }
        check => describe_linking(format, check),
    }
}
