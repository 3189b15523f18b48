//! `range`: a field lies between two numbers, ends included.

use blobspec::Format;
use blobspec::format::{Operand, Target};

use super::workbench::{distinct, operand_text};
use super::{Proposal, Sink, Workbench};
use crate::draft::{Draft, Item};
use crate::evaluate::Context;

pub(super) fn check(
    context: &Context<'_>,
    target: &Target,
    min: Option<&Operand>,
    max: Option<&Operand>,
    sink: &mut Sink,
) {
    context.visit(target, |element| {
        let Some(value) = element.node.number() else { return };
        sink.exercise();
        let end = |operand: Option<&Operand>| {
            operand.and_then(|operand| context.operand(operand, element.stack))
        };
        let (low, high) = (end(min), end(max));
        if low.is_some_and(|low| value < low) || high.is_some_and(|high| value > high) {
            let path = context.format.path_of(target);
            sink.report(element.node.span.offset(), || match (low, high) {
                (Some(low), Some(high)) if low == high => format!("{path} is {value}, not {low}"),
                (Some(low), _) if value < low => format!("{path} is {value}, less than {low}"),
                (_, high) => format!("{path} is {value}, more than {}", high.unwrap_or(u64::MAX)),
            });
        }
    });
}

pub(super) fn propose(
    bench: &Workbench<'_>,
    target: &Target,
    min: Option<&Operand>,
    max: Option<&Operand>,
) -> Vec<Proposal> {
    let Some(limit) = bench.scalar(target).map(blobspec::format::Scalar::max) else {
        return Vec::new();
    };
    let operands: Vec<&Operand> = [min, max].into_iter().flatten().collect();
    let mut proposals = Vec::new();
    for place in bench.ends(target, &operands) {
        let mut ends = place.operands.iter().copied();
        let low = min.and_then(|_| ends.next().flatten());
        let high = max.and_then(|_| ends.next().flatten());
        let half = (limit >> 1) + 1;
        let values = [
            ("min", low),
            ("below-min", low.and_then(|low| low.checked_sub(1))),
            ("max", high),
            ("above-max", high.and_then(|high| high.checked_add(1))),
            ("type-half", Some(half)),
            ("type-max", Some(limit)),
            ("byte-swapped", Some(swapped(place.value, limit))),
        ];
        for (name, value) in distinct(values, limit) {
            let twin = match name {
                "below-min" => Some("min"),
                "above-max" => Some("max"),
                _ => None,
            };
            let proposal = bench.set(&place.site, name, value).filter(|_| value != place.value);
            proposals.extend(proposal.map(|p| p.beside(twin.map(|t| bench.name(&place.site, t)))));
        }
    }
    proposals
}

/// `value` as a loader with the wrong byte order reads it.
fn swapped(value: u64, limit: u64) -> u64 {
    value.swap_bytes() >> limit.leading_zeros()
}

pub(super) fn satisfy(format: &Format, draft: &mut Draft, target: &Target, min: Option<&Operand>) {
    let Some(min) = min else { return };
    let Some(encoded) = crate::encode(format, draft).ok() else { return };
    let decoded = crate::decode(format, &encoded.bytes);
    let bench =
        Workbench { format, file: &encoded.bytes, model: &decoded.model, draft, filter: None };
    let places = bench.places(target, &[min]);
    for (site, index) in draft.sites(target).into_iter().zip(0..) {
        let there = places.get(index).and_then(|place: &super::workbench::Place| place.operands[0]);
        let least = if let Operand::Literal(least) = min { Some(*least) } else { there };
        if let (Some(Item::Number(value)), Some(least)) = (draft.get_mut(&site), least)
            && *value < least
        {
            *value = least;
        }
    }
}

pub(super) fn describe(
    format: &Format,
    target: &Target,
    min: Option<&Operand>,
    max: Option<&Operand>,
) -> String {
    let path = format.path_of(target);
    match (min, max) {
        (Some(min), Some(max)) if min == max => {
            format!("{path} is {}", operand_text(format, target, min))
        }
        (Some(min), Some(max)) => {
            format!(
                "{path} is between {} and {}",
                operand_text(format, target, min),
                operand_text(format, target, max)
            )
        }
        (Some(min), None) => format!("{path} is at least {}", operand_text(format, target, min)),
        (None, max) => format!(
            "{path} is at most {}",
            max.map(|max| operand_text(format, target, max)).unwrap_or_default()
        ),
    }
}
