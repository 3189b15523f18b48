//! What there is in a draft that could go.

use std::collections::HashSet;

use blobspec::Format;
use blobspec::format::{Content, FieldType, Refers};
use harness_codec::{Draft, Item, Site};

use super::edit::FILLERS;

/// Every list whose elements can go one by one. Payloads go with the elements of their table, strings when nothing
/// names them.
pub(super) fn lists(format: &Format, draft: &Draft) -> Vec<Site> {
    let mut lists = Vec::new();
    for (region, (held, spec)) in draft.regions.iter().zip(&format.regions).enumerate() {
        let mut site = Site { region, steps: Vec::new() };
        match spec.content {
            Content::Strings { .. } | Content::Payloads(_) | Content::Bytes(_) => {}
            Content::Inside { .. } => inner_lists(&held.item, &mut site, false, &mut lists),
            Content::Record(_) | Content::Array { .. } | Content::Stream { .. } => {
                inner_lists(&held.item, &mut site, true, &mut lists);
            }
        }
    }
    lists
}

fn inner_lists(item: &Item, site: &mut Site, itself: bool, lists: &mut Vec<Site>) {
    if itself && matches!(item, Item::List(_)) {
        lists.push(site.clone());
    }
    for (step, child) in item.children().iter().enumerate() {
        site.steps.push(step);
        inner_lists(child, site, true, lists);
        site.steps.pop();
    }
}

/// Positions of the strings in a region that no field names.
pub(super) fn unused_strings(format: &Format, draft: &Draft, region: usize) -> Vec<usize> {
    let mut used = HashSet::new();
    for (held, spec) in draft.regions.iter().zip(&format.regions) {
        let Some(record) = spec.record() else { continue };
        for item in held.item.records() {
            names(format, record, item, region, &mut used);
        }
    }
    let strings = draft.regions[region].item.children().iter().enumerate();
    let unused = |item: &Item| match item {
        Item::Bytes(bytes) => !used.contains(bytes.strip_suffix(&[0]).unwrap_or(bytes)),
        _ => false,
    };
    strings.filter(|(_, item)| unused(item)).map(|(position, _)| position).collect()
}

fn names<'d>(
    format: &Format,
    record: usize,
    item: &'d Item,
    region: usize,
    used: &mut HashSet<&'d [u8]>,
) {
    for (field, item) in format.records[record].fields.iter().zip(item.children()) {
        if let (Item::Name(name), Some(Refers::String(to))) = (item, field.refers)
            && to == region
        {
            used.insert(name.as_bytes());
        }
        if let Some(inner) = field.field_type.record() {
            for item in item.records() {
                names(format, inner, item, region, used);
            }
        }
    }
}

/// Every value of a field that is not as simple as can be.
pub(super) fn values(format: &Format, draft: &Draft) -> Vec<Site> {
    let mut values = Vec::new();
    for (region, (held, spec)) in draft.regions.iter().zip(&format.regions).enumerate() {
        let holds_fields =
            spec.record().is_some() || matches!(spec.content, Content::Stream { .. });
        if holds_fields {
            leaves(&held.item, &mut Site { region, steps: Vec::new() }, &mut values);
        }
    }
    values
}

fn leaves(item: &Item, site: &mut Site, values: &mut Vec<Site>) {
    let simple = match item {
        Item::Number(value) => *value == 0,
        Item::Name(name) => name.is_empty(),
        Item::Bytes(bytes) => bytes.iter().all(|byte| *byte == 0),
        _ => true,
    };
    if !simple {
        values.push(site.clone());
    }
    for (step, child) in item.children().iter().enumerate() {
        site.steps.push(step);
        leaves(child, site, values);
        site.steps.pop();
    }
}

/// Every stretch of code or data.
pub(super) fn contents(format: &Format, draft: &Draft) -> Vec<Site> {
    let mut contents = Vec::new();
    for (region, (held, spec)) in draft.regions.iter().zip(&format.regions).enumerate() {
        match spec.content {
            Content::Bytes(_) => contents.push(Site { region, steps: Vec::new() }),
            Content::Payloads(_) => {
                let payloads = 0..held.item.children().len();
                contents.extend(payloads.map(|step| Site { region, steps: vec![step] }));
            }
            _ => {}
        }
    }
    contents
}

/// The bytes at a site; none where there are none.
pub(super) fn bytes_at<'d>(draft: &'d Draft, site: &Site) -> &'d [u8] {
    match draft.get(site) {
        Some(Item::Bytes(bytes)) => bytes,
        _ => &[],
    }
}

/// Positions of stretches of `size` bytes that hold something else than filler.
pub(super) fn units(bytes: &[u8], size: usize) -> Vec<usize> {
    let longest = FILLERS.iter().map(|filler| filler.len()).max().unwrap_or(1);
    // Which bytes are filler, a unit of the longest filler at a time.
    let mut filled = Vec::with_capacity(bytes.len());
    for unit in bytes.chunks(longest) {
        let whole = FILLERS.contains(&unit);
        let single = |byte: &u8| whole || FILLERS.iter().any(|filler| *filler == [*byte]);
        filled.extend(unit.iter().map(single));
    }
    let units = filled.chunks_exact(size).enumerate();
    units.filter(|(_, unit)| !unit.iter().all(|byte| *byte)).map(|(at, _)| at * size).collect()
}

/// The innermost sites at which two drafts of one shape differ.
pub(super) fn differences(left: &Draft, right: &Draft) -> Vec<Site> {
    let mut sites = Vec::new();
    for (region, (left, right)) in left.regions.iter().zip(&right.regions).enumerate() {
        differ(&left.item, &right.item, &mut Site { region, steps: Vec::new() }, &mut sites);
    }
    sites
}

fn differ(left: &Item, right: &Item, site: &mut Site, sites: &mut Vec<Site>) {
    if left == right {
        return;
    }
    if left.children().is_empty() || left.children().len() != right.children().len() {
        sites.push(site.clone());
        return;
    }
    for (step, (left, right)) in left.children().iter().zip(right.children()).enumerate() {
        site.steps.push(step);
        differ(left, right, site, sites);
        site.steps.pop();
    }
}

/// Calls `visit` with every field of every record of a draft that is a number or a string's name.
pub(super) fn for_each_reference(
    format: &Format,
    draft: &mut Draft,
    visit: &mut impl FnMut(Refers, &mut Item),
) {
    for (held, spec) in draft.regions.iter_mut().zip(&format.regions) {
        if let Some(record) = spec.record() {
            references(format, record, &mut held.item, visit);
        }
    }
}

fn references(
    format: &Format,
    record: usize,
    item: &mut Item,
    visit: &mut impl FnMut(Refers, &mut Item),
) {
    match item {
        Item::List(elements) => {
            elements.iter_mut().for_each(|element| references(format, record, element, visit));
        }
        Item::Record(items) => {
            for (field, item) in format.records[record].fields.iter().zip(items) {
                match (&field.field_type, field.refers, item.children_mut()) {
                    (FieldType::Array { .. }, Some(refers), Some(elements)) => {
                        elements.iter_mut().for_each(|element| visit(refers, element));
                    }
                    (_, Some(refers), _) => visit(refers, item),
                    _ => {}
                }
                if let Some(inner) = field.field_type.record() {
                    references(format, inner, item, visit);
                }
            }
        }
        _ => {}
    }
}
