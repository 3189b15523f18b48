//! Vectors about what a module becomes in memory: images, relocations, imports.
//!
//! Each is a scene whose file is linked by the codec; what a loader must show follows from the spec's formulas.

use std::collections::BTreeMap;

use blobspec::Format;
use blobspec::format::{Check, Protection, Rule};
use blobspec::formula::Symbol as Letter;
use harness_codec::link::{Address, Linked, Meaning, Patch, Unlinkable, fits, link};
use harness_codec::{Decoded, Verdict};
use harness_protocol::linked::{
    ExpectedExport, ExpectedImage, Patch as ExpectedPatch, Piece, Segment, Sum, Way,
};
use harness_protocol::{Expect, Observe, Stage};

/// What a conforming loader answers when it loads `file` with these imports.
///
/// `None` when the file breaks more than one rule, or when the answer depends on where images come to lie.
pub(crate) fn expectation(
    format: &Format,
    file: &[u8],
    decoded: &Decoded,
    imports: &BTreeMap<String, u64>,
) -> Option<Expect> {
    if decoded.verdict != Verdict::Valid {
        return crate::suite::expectation(format, file, decoded);
    }
    if let Some(rule) = foreign_platform(format, decoded) {
        return Some(rejected(rule, Stage::Unsupported, None));
    }
    let Some(linked) = link(format, &decoded.model, file) else {
        return Some(Expect { stages: vec![Stage::Loaded], ..Expect::default() });
    };
    if linked.unsaid > 0 {
        return None;
    }
    match outcome(format, &linked, imports)? {
        Ok(outcome) => {
            let images = images(format, &linked, file, imports)?;
            let exports = Some(exports(format, &linked));
            let Outcome { optional, may_not_reach } = outcome;
            let also = [
                optional.then_some(Stage::Unsupported),
                may_not_reach.then_some(Stage::Unresolvable),
            ];
            let stages = std::iter::once(Stage::Loaded).chain(also.into_iter().flatten()).collect();
            Some(Expect { stages, images, exports, ..Expect::default() })
        }
        Err((unlinkable, optional)) => {
            let (kind, record) = match unlinkable {
                Unlinkable::Undefined(record) => ("resolved", record),
                Unlinkable::OutOfRange(record) => ("relocation-range", record),
            };
            let rule = format.rules.iter().find(|rule| rule.active && rule.kind == kind);
            let mut expect = rejected(rule?, Stage::Unresolvable, Some(record));
            if optional {
                expect.stages.push(Stage::Unsupported);
            }
            Some(expect)
        }
    }
}

fn rejected(rule: &Rule, stage: Stage, offset: Option<u64>) -> Expect {
    Expect { stages: vec![stage], rule: Some(rule.id.clone()), offset, ..Expect::default() }
}

/// The rule that keeps the file from loading on the system that vectors are made for: Linux.
fn foreign_platform<'f>(format: &'f Format, decoded: &Decoded) -> Option<&'f Rule> {
    format.rules.iter().filter(|rule| rule.active).find(|rule| {
        let Check::HostPlatform { target, any } = &rule.check else { return false };
        let node = decoded.model.regions.get(target.region).map(|region| &region.node);
        let code =
            node.and_then(|node| node.at(&target.path)).and_then(harness_codec::Node::number);
        let name = code.and_then(|code| crate::suite::enum_name(format, target, code));
        code.is_some_and(|code| !any.contains(&code)) && name != Some("linux")
    })
}

/// What else is right beside loading.
struct Outcome {
    /// A relocation that a loader may refuse is used.
    optional: bool,
    /// A value fits only by way of a stub, which a loader need not make.
    may_not_reach: bool,
}

type Linkable = Result<Outcome, (Unlinkable, bool)>;

/// Whether everything resolves and fits; `None` when that depends on where images lie.
fn outcome(format: &Format, linked: &Linked, imports: &BTreeMap<String, u64>) -> Option<Linkable> {
    let mut outcome = Outcome { optional: false, may_not_reach: false };
    let mut misfit = None;
    let kind = |patch: &Patch| format.relocations.get(patch.kind);
    let mut patches = linked.patches.clone();
    patches.sort_by_key(|patch| patch.record); // the first in the file is the one that is named
    let writing = patches.iter().filter_map(|patch| Some((patch, kind(patch)?)));
    for (patch, kind) in writing.filter(|(_, kind)| !kind.calc.terms.is_empty()) {
        outcome.optional |= kind.optional;
        let Some(address) = linked.address(patch.symbol, |name| imports.get(name).copied()) else {
            return Some(Err((Unlinkable::Undefined(patch.record), outcome.optional)));
        };
        match reach(format, patch, address)? {
            Reach::Fits => {}
            Reach::Never if kind.stub && reaches_by_stub(patch) => outcome.may_not_reach = true,
            Reach::Never => misfit = misfit.or(Some(Unlinkable::OutOfRange(patch.record))),
        }
    }
    Some(misfit.map_or(Ok(outcome), |misfit| {
        let optional = linked.patches.iter().filter_map(kind).any(|kind| kind.optional);
        Err((misfit, optional))
    }))
}

/// Whether a value fits its place at every base that loaders use.
enum Reach {
    Fits,
    Never,
}

/// A call through a stub ends at S only when nothing but the length of the field is added.
fn reaches_by_stub(patch: &Patch) -> bool {
    patch.addend.cast_signed() == -4
}

/// How far apart the images of one module may lie at most, in bytes: less than the cap of their size.
const SPREAD: u64 = 1 << 30;

/// Lowest address that loaders map modules at: below lies what programs without position independence use.
const LOWEST: u64 = 1 << 32;

fn reach(format: &Format, patch: &Patch, address: Address) -> Option<Reach> {
    let kind = format.relocations.get(patch.kind)?;
    if kind.fits.is_none() {
        return Some(Reach::Fits);
    }
    let verdicts: Vec<bool> = spreads(patch, address, format)
        .into_iter()
        .map(|(bases, symbol)| {
            let slot = bases.first().copied().unwrap_or(0).wrapping_add(SPREAD / 2);
            fits(kind, patch.value(&kind.calc, &bases, symbol, slot))
        })
        .collect();
    match (verdicts.iter().all(|fits| *fits), verdicts.iter().any(|fits| *fits)) {
        (true, _) => Some(Reach::Fits),
        (false, false) => Some(Reach::Never),
        (false, true) => None,
    }
}

/// Bases near and far, with the other images before and after the patched one.
fn spreads(patch: &Patch, address: Address, format: &Format) -> Vec<(Vec<u64>, u64)> {
    let mut spreads = Vec::new();
    for base in [LOWEST, 0x7000_0000_0000] {
        for other in [base.wrapping_sub(SPREAD), base.wrapping_add(SPREAD)] {
            let place = |image| if image == patch.image { base } else { other };
            let bases: Vec<u64> = (0..format.images.len()).map(place).collect();
            let symbol = address.at(&bases);
            spreads.push((bases, symbol));
        }
    }
    spreads
}

fn sum(format: &Format, address: Address) -> Sum {
    match address {
        Address::In { image, offset } => Sum::in_image(&format.images[image].name, offset),
        Address::Number(number) => Sum::number(number),
    }
}

fn images(
    format: &Format,
    linked: &Linked,
    file: &[u8],
    imports: &BTreeMap<String, u64>,
) -> Option<Vec<ExpectedImage>> {
    let mut images = Vec::new();
    for (index, layout) in linked.images.iter().enumerate() {
        let pieces = layout.sections.iter().filter(|s| s.bytes.start < s.bytes.end);
        let pieces = pieces.map(|s| Piece { at: s.at, bytes: s.bytes.of(file).to_vec().into() });
        let own = linked.patches.iter().filter(|patch| patch.image == index);
        let patches: Option<Vec<Vec<ExpectedPatch>>> = own
            .map(|patch| {
                let kind = format.relocations.get(patch.kind)?;
                if kind.calc.terms.is_empty() {
                    return Some(Vec::new());
                }
                let symbol = linked.address(patch.symbol, |name| imports.get(name).copied())?;
                expected_patch(format, patch, symbol).map(|patch| vec![patch])
            })
            .collect();
        images.push(ExpectedImage {
            name: layout.name.clone(),
            size: layout.size,
            pieces: pieces.collect(),
            patches: patches?.concat(),
            segments: segments(layout),
        });
    }
    Some(images)
}

fn segments(layout: &harness_codec::link::ImageLayout) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for section in &layout.sections {
        if segments.last().is_some_and(|last| last.permissions == section.permissions) {
            continue;
        }
        if segments.last().is_some_and(|last| last.at == section.at) {
            segments.pop(); // the section before has no bytes
        }
        if segments.last().is_none_or(|last| last.permissions != section.permissions) {
            segments.push(Segment { at: section.at, permissions: section.permissions.clone() });
        }
    }
    segments.retain(|segment| segment.at < layout.size);
    segments
}

/// The formula without S and G, and the way that they say.
fn expected_patch(format: &Format, patch: &Patch, symbol: Address) -> Option<ExpectedPatch> {
    let kind = format.relocations.get(patch.kind)?;
    let image = &format.images.get(patch.image)?.name;
    let mut rest = Sum::default();
    let mut way = None;
    for term in &kind.calc.terms {
        let sign = |value: u64| if term.minus { 0_u64.wrapping_sub(value) } else { value };
        let base = match term.symbol {
            Letter::S if !term.minus => {
                way = Some(if kind.stub { Way::Stub } else { Way::Direct });
                continue;
            }
            Letter::G if !term.minus => {
                way = Some(Way::Slot);
                continue;
            }
            Letter::A => {
                rest.constant = rest.constant.wrapping_add(sign(patch.addend));
                continue;
            }
            Letter::P => patch.at,
            Letter::B => 0,
            _ => return None,
        };
        rest.constant = rest.constant.wrapping_add(sign(base));
        let names = if term.minus { &mut rest.minus } else { &mut rest.plus };
        names.push(image.clone());
    }
    Some(ExpectedPatch {
        at: patch.at,
        width: kind.width.unwrap_or(8),
        relocation: kind.name.clone(),
        way: way?,
        symbol: sum(format, symbol),
        rest,
    })
}

fn exports(format: &Format, linked: &Linked) -> Vec<ExpectedExport> {
    let mut exports: Vec<ExpectedExport> = Vec::new();
    for symbol in linked.symbols.iter().filter(|symbol| symbol.exported) {
        let (Some(name), Meaning::Defined(address)) = (&symbol.name, symbol.meaning) else {
            continue;
        };
        // Of two with one name, the first is found.
        if exports.iter().all(|known| known.name != *name) {
            exports.push(ExpectedExport { name: name.clone(), address: sum(format, address) });
        }
    }
    exports
}

/// What is looked at while a module is loaded: by the rules of that level.
pub(crate) fn observed(format: &Format, level: blobspec::format::Level) -> Vec<Observe> {
    let mut observe: Vec<Observe> = format
        .rules
        .iter()
        .filter(|rule| rule.active && rule.level == level)
        .filter_map(|rule| match rule.check {
            Check::Mapping { never, .. } => Some(match never {
                Protection::Wx => Observe::WriteXorExecute,
                Protection::OtherBytes => Observe::Bytes,
                Protection::OtherPermissions => Observe::Permissions,
                Protection::Neighbours => Observe::Guard,
            }),
            _ => None,
        })
        .collect();
    observe.sort_unstable();
    observe.dedup();
    observe
}
