//! Drafts with something gone, and with what refers to the rest moved along.

use blobspec::Format;
use blobspec::format::{Content, CountSource, Refers};
use harness_codec::{Draft, Item, Site};

use super::places::{bytes_at, for_each_reference};
use super::{Removal, Step, removal};
use crate::limits::CODE_ALIGNMENT;

/// What code and data can be overwritten with: zeros, `nop` of x86, `nop` of ARM64. The predicate says which of
/// them will do.
pub(super) const FILLERS: [&[u8]; 3] = [&[0], &[0x90], &[0x1f, 0x20, 0x03, 0xd5]];

/// The draft without the elements at those ascending positions of a list. With elements of a table go their
/// payloads; indices into it and offsets of strings in it follow.
pub(super) fn remove_elements(
    format: &Format,
    draft: &Draft,
    list: &Site,
    positions: &[usize],
) -> Option<Step> {
    let mut draft = draft.clone();
    let gone = |position: usize| positions.binary_search(&position).is_ok();
    let len = draft.get(list)?.children().len();
    keep(draft.get_mut(list)?.children_mut()?, gone);
    let removed = positions.iter().map(|position| {
        let steps = list.steps.iter().copied().chain([*position]).collect();
        let place = Site { region: list.region, steps }.path(format);
        Removal { place, what: "removed".into() }
    });
    let removed = removed.collect();
    if list.steps.is_empty() {
        remove_payloads(format, &mut draft, list.region, gone);
        for_each_reference(format, &mut draft, &mut |refers, item| {
            if let (Refers::Index(region), Item::Number(index)) = (refers, item)
                && region == list.region
            {
                *index = index_without(*index, positions, len);
            }
        });
    }
    Some((draft, removed))
}

/// An index where elements are gone: that of the same element, or that of the first one if it is gone itself.
/// What was no index of an element means something else and stays.
fn index_without(index: u64, gone: &[usize], len: usize) -> u64 {
    let position = usize::try_from(index).unwrap_or(usize::MAX);
    if position >= len {
        return index;
    }
    match gone.binary_search(&position) {
        Ok(_) => 0,
        Err(before) => index - before as u64,
    }
}

fn keep<T>(elements: &mut Vec<T>, gone: impl Fn(usize) -> bool) {
    let mut position = 0;
    elements.retain(|_| {
        position += 1;
        !gone(position - 1)
    });
}

/// Takes the payloads of a table's elements, and the records in them.
fn remove_payloads(
    format: &Format,
    draft: &mut Draft,
    table: usize,
    gone: impl Fn(usize) -> bool + Copy,
) {
    let of_table = |region: usize| match &format.regions[region].content {
        Content::Payloads(payloads) => payloads.table == table,
        _ => false,
    };
    for (region, spec) in format.regions.iter().enumerate() {
        let follows = match spec.content {
            Content::Payloads(_) => of_table(region),
            Content::Inside { payloads, .. } => of_table(payloads),
            _ => false,
        };
        let held = &mut draft.regions[region];
        if follows && let Some(items) = held.item.children_mut() {
            keep(items, gone);
            keep(&mut held.places, gone);
        }
    }
}

/// Says strings by their text where a field holds the offset of one, so that they can move.
pub(super) fn name_strings(format: &Format, draft: &mut Draft) {
    let strings: Vec<Vec<(u64, String)>> =
        (0..format.regions.len()).map(|region| strings(format, draft, region)).collect();
    for_each_reference(format, draft, &mut |refers, item| {
        if let (Refers::String(region), Item::Number(offset)) = (refers, &*item)
            && let Some((_, text)) = strings[region].iter().find(|(start, _)| start == offset)
        {
            *item = Item::Name(text.clone());
        }
    });
}

/// The strings of a region with their offsets, those that are text.
fn strings(format: &Format, draft: &Draft, region: usize) -> Vec<(u64, String)> {
    let Content::Strings { count, from_prefix } = &format.regions[region].content else {
        return Vec::new();
    };
    let mut start = match count.source {
        CountSource::Prefix(width) if *from_prefix => u64::from(width),
        _ => 0,
    };
    let mut strings = Vec::new();
    for item in draft.regions[region].item.children() {
        let Item::Bytes(bytes) = item else { continue };
        if let Some(text) = bytes.strip_suffix(&[0])
            && let Ok(text) = String::from_utf8(text.to_vec())
        {
            strings.push((start, text));
        }
        start += bytes.len() as u64;
    }
    strings
}

/// The draft with those values zero or empty.
pub(super) fn clear(format: &Format, draft: &Draft, sites: &[Site]) -> Option<Step> {
    let mut draft = draft.clone();
    let mut removed = Vec::new();
    for site in sites {
        let item = draft.get_mut(site)?;
        let what = match item {
            Item::Number(value) => {
                *value = 0;
                "set to 0"
            }
            Item::Name(name) => {
                name.clear();
                "set to the empty string"
            }
            Item::Bytes(bytes) => {
                bytes.fill(0);
                "filled with zeros"
            }
            _ => return None,
        };
        removed.extend(removal(&site.path(format), what));
    }
    Some((draft, removed))
}

/// The draft without those blocks of a region's bytes; offsets into it follow. What is aligned stays so.
pub(super) fn remove_blocks(
    format: &Format,
    draft: &Draft,
    site: &Site,
    blocks: &[usize],
) -> Option<Step> {
    let mut draft = draft.clone();
    let size = CODE_ALIGNMENT as u64;
    let gone =
        |at: u64| blocks.iter().take_while(|block| (**block as u64 + 1) * size <= at).count();
    for_each_reference(format, &mut draft, &mut |refers, item| {
        if let (Refers::Offset(region), Item::Number(offset)) = (refers, item)
            && region == site.region
        {
            *offset -= gone(*offset) as u64 * size;
        }
    });
    let Item::Bytes(bytes) = draft.get_mut(site)? else { return None };
    let mut at = 0;
    bytes.retain(|_| {
        at += 1;
        blocks.binary_search(&((at - 1) / CODE_ALIGNMENT)).is_err()
    });
    let place = format!("{}+{:#x}", site.path(format), *blocks.first()? as u64 * size);
    let what = format!("{} bytes removed", blocks.len() * CODE_ALIGNMENT);
    Some((draft, removal(&place, &what)))
}

/// The draft with those stretches of code or data overwritten.
pub(super) fn fill(
    format: &Format,
    draft: &Draft,
    site: &Site,
    filler: &[u8],
    positions: &[usize],
) -> Option<Step> {
    let mut bytes = bytes_at(draft, site).to_vec();
    for &position in positions {
        bytes.get_mut(position..position + filler.len())?.copy_from_slice(filler);
    }
    let place = format!("{}+{:#x}", site.path(format), positions.first()?);
    let hex = hex::encode(filler);
    let what = format!("{} bytes overwritten with {hex}", positions.len() * filler.len());
    Some((draft.with(site, Item::Bytes(bytes))?, removal(&place, &what)))
}
