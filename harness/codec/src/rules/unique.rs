//! `unique`: no two elements have the same value; names are compared by their text.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use blobspec::format::Target;

use super::{Proposal, Sink, Workbench};
use crate::draft::{Draft, Item, Site};
use crate::evaluate::Context;

pub(super) fn check(
    context: &Context<'_>,
    target: &Target,
    text_in: Option<usize>,
    sink: &mut Sink,
) {
    let texts = text_in.map(|region| Texts::of(context, target, region));
    let mut numbers = HashSet::new();
    let mut seen: HashMap<(u64, usize), &[u8]> = HashMap::new();
    context.visit(target, |element| {
        let Some(value) = element.node.number() else { return };
        sink.exercise();
        if sink.is_full() {
            return;
        }
        let is_new = numbers.insert(value);
        let repeated = match (&texts, is_new) {
            (None, is_new) => !is_new,
            (Some(texts), is_new) => texts.by_value.get(&value).is_some_and(|text| {
                let key = (text.hash, text.bytes.len());
                !is_new
                    || seen.insert(key, text.bytes).is_some_and(|other| {
                        context.spend(text.bytes.len());
                        other == text.bytes
                    })
            }),
        };
        if repeated {
            let path = || context.format.path_of(target);
            sink.report(element.node.span.offset(), || {
                format!("{} repeats the value of an earlier element", path())
            });
        }
    });
}

/// The texts that elements refer to, with a hash of each.
struct Texts<'a> {
    by_value: HashMap<u64, Text<'a>>,
}

struct Text<'a> {
    bytes: &'a [u8],
    hash: u64,
}

impl<'a> Texts<'a> {
    /// Offsets may point into the middle of strings, so that a few kilobytes hold thousands of long texts
    /// that are each other's tails. Hashing each on its own would take quadratic time; the hash is a
    /// polynomial from the end, so one walk over a string gives those of all its tails.
    fn of(context: &Context<'a>, target: &Target, region: usize) -> Self {
        let mut values = Vec::new();
        context.visit(target, |element| values.extend(element.node.number()));
        let mut texts: Vec<(u64, &'a [u8])> = Vec::new();
        for value in values {
            texts.extend(context.string(region, value).map(|bytes| (value, bytes)));
        }
        // Those that share an end are neighbours, the shortest first.
        let end = |bytes: &[u8]| bytes.as_ptr_range().end;
        texts.sort_unstable_by_key(|(_, bytes)| (end(bytes), bytes.len()));
        let base = RandomState::new().hash_one(0_u8) | 1; // unknown to whoever made the file
        let mut by_value = HashMap::with_capacity(texts.len());
        let (mut known, mut hash): (&[u8], u64) = (&[], 0);
        for (value, bytes) in texts {
            if end(known) != end(bytes) {
                (known, hash) = (&bytes[bytes.len()..], 0);
            }
            let new = bytes.get(..bytes.len().saturating_sub(known.len())).unwrap_or_default();
            context.spend(new.len());
            hash = new.iter().rev().fold(hash, |hash, byte| step(hash, base, *byte));
            known = bytes;
            by_value.insert(value, Text { bytes, hash });
        }
        Self { by_value }
    }
}

/// One step of a polynomial modulo the prime 2^61 - 1.
fn step(hash: u64, base: u64, byte: u8) -> u64 {
    const PRIME: u128 = (1 << 61) - 1;
    let sum = u128::from(hash) * u128::from(base) + u128::from(byte) + 1;
    u64::try_from(sum % PRIME).unwrap_or_default()
}

pub(super) fn propose(
    bench: &Workbench<'_>,
    target: &Target,
    text_in: Option<usize>,
) -> Vec<Proposal> {
    let places = bench.places(target, &[]);
    let (Some(first), Some(last)) = (places.first(), places.last()) else { return Vec::new() };
    if places.len() < 2 {
        return Vec::new();
    }
    let mut proposals = Vec::new();
    proposals.extend(bench.set(&last.site, "same-as-first", first.value));
    proposals.extend(
        places.get(1).and_then(|second| bench.set(&second.site, "same-as-first", first.value)),
    );
    if let Some(region) = text_in {
        proposals.extend(same_text(bench, &last.site, region, first.value));
    }
    proposals
}

/// Another entry with the same text: equal names at different offsets.
fn same_text(bench: &Workbench<'_>, site: &Site, region: usize, value: u64) -> Option<Proposal> {
    let start = usize::try_from(value - bench.string_base(region)).ok()?;
    let content = bench.model.regions.get(region)?.node.span.of(bench.file);
    let text: Vec<u8> = content.get(start..)?.split_inclusive(|byte| *byte == 0).next()?.to_vec();
    let end = bench.string_base(region) + bench.content_size(region);
    let mut proposal = bench.set(site, "same-text-elsewhere", end)?;
    proposal
        .draft
        .get_mut(&Site { region, steps: Vec::new() })?
        .children_mut()?
        .push(Item::Bytes(text));
    proposal.edit += ", a new entry with the text of the first";
    Some(proposal)
}

pub(super) fn satisfy(draft: &mut Draft, target: &Target) {
    for (index, site) in draft.sites(target).into_iter().enumerate() {
        if let Some(item) = draft.get_mut(&site) {
            *item = Item::Number(index as u64 + 1);
        }
    }
}
