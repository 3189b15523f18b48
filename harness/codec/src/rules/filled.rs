//! `filled`: a region that no field owns holds zeros, or nothing.

use blobspec::format::Fill;

use super::{Proposal, Sink, Workbench};
use crate::draft::{Item, Site};
use crate::evaluate::Context;

pub(super) fn check(context: &Context<'_>, region: usize, with: Fill, sink: &mut Sink) {
    let Some(node) = context.model.regions.get(region).map(|region| &region.node) else { return };
    sink.exercise();
    let bytes = node.span.of(context.file);
    let first = match with {
        Fill::Zero => bytes.iter().position(|byte| *byte != 0),
        Fill::Nothing => (!bytes.is_empty()).then_some(0),
    };
    if let Some(first) = first {
        let name = context.format.regions.get(region).map_or("?", |region| region.name.as_str());
        let offset = node.span.offset().saturating_add(u64::try_from(first).unwrap_or(u64::MAX));
        sink.report(offset, || {
            format!("{name} holds {:#04x}", bytes.get(first).copied().unwrap_or_default())
        });
    }
}

pub(super) fn propose(bench: &Workbench<'_>, region: usize, with: Fill) -> Vec<Proposal> {
    let site = Site { region, steps: Vec::new() };
    let mut proposals = Vec::new();
    let mut put = |name: String, bytes: Vec<u8>, twin: Option<String>| {
        let words = format!(
            "{} bytes{}",
            bytes.len(),
            if bytes.iter().all(|b| *b == 0) { " of zero" } else { "" }
        );
        let proposal = bench.put(&site, &name, Item::Bytes(bytes), &words);
        proposals.extend(proposal.map(|proposal| proposal.beside(twin)));
    };
    put("empty".into(), Vec::new(), None);
    for length in [1_usize, 2, 3, 4, 8, 16, 256] {
        let zero = format!("zero-{length}");
        put(zero.clone(), vec![0; length], None);
        if with == Fill::Nothing {
            continue;
        }
        for (name, at) in [("first", 0), ("last", length - 1)] {
            for byte in [0x01, 0x80, 0xff] {
                let mut bytes = vec![0; length];
                bytes[at] = byte;
                put(format!("{name}-of-{length}-is-{byte:02x}"), bytes, Some(zero.clone()));
            }
        }
    }
    proposals
}

pub(super) fn describe(region: &str, with: Fill) -> String {
    match with {
        Fill::Zero => format!("{region} holds only zero bytes"),
        Fill::Nothing => format!("{region} is empty"),
    }
}
