//! What may be done with the pages of an image, and what lies beside them.

use harness_protocol::linked::Segment;

use crate::sys::maps::{self, Mapping};

use super::placement::Placed;

/// The first page of `placed` whose permissions are not those of its segment, in words.
pub(crate) fn permissions(placed: Placed<'_>, mappings: &[Mapping], page: u64) -> Option<String> {
    let segments = &placed.image.segments;
    if !segments.is_empty() && !placed.base.is_multiple_of(page) {
        return Some("it does not begin on a page".into());
    }
    let end = last_page_end(placed, page);
    segments.iter().enumerate().find_map(|(index, segment)| {
        let next = segments.get(index + 1);
        let until = next.map_or(end, |next| placed.base.saturating_add(next.at).min(end));
        segment_differs(placed, segment, until, mappings)
    })
}

fn segment_differs(
    placed: Placed<'_>,
    segment: &Segment,
    until: u64,
    mappings: &[Mapping],
) -> Option<String> {
    let mut address = placed.base.saturating_add(segment.at);
    while address < until {
        let at = address - placed.base;
        let Some(mapping) = maps::at(mappings, address) else {
            return Some(format!("offset {at:#x} is not mapped"));
        };
        let (found, wanted) = (allowed(mapping), segment.permissions.as_str());
        if found != wanted {
            let found = if found.is_empty() { "nothing" } else { &found };
            let line = &mapping.line;
            return Some(format!("offset {at:#x} allows {found}, must be {wanted}: {line}"));
        }
        address = mapping.addresses.end;
    }
    None
}

/// What lies right before or right after the pages of `placed` and can be accessed, in words.
pub(crate) fn neighbours(placed: Placed<'_>, mappings: &[Mapping], page: u64) -> Option<String> {
    let first = placed.base - placed.base % page;
    let before = first.checked_sub(1);
    let after = last_page_end(placed, page);
    let accessible =
        |address: u64| maps::at(mappings, address).filter(|mapping| !allowed(mapping).is_empty());
    if let Some(mapping) = before.and_then(accessible) {
        return Some(format!("memory right before its first page is in use: {}", mapping.line));
    }
    let mapping = accessible(after)?;
    Some(format!("memory right behind its last page is in use: {}", mapping.line))
}

fn last_page_end(placed: Placed<'_>, page: u64) -> u64 {
    placed.end().checked_next_multiple_of(page).unwrap_or(u64::MAX)
}

fn allowed(mapping: &Mapping) -> String {
    let letters = [(mapping.readable, 'r'), (mapping.writable, 'w'), (mapping.executable, 'x')];
    letters.into_iter().filter_map(|(is, letter)| is.then_some(letter)).collect()
}
