//! `ends`: the file ends where a region ends.

use super::{Proposal, Sink, Workbench};
use crate::evaluate::Context;

pub(super) fn check(context: &Context<'_>, region: usize, sink: &mut Sink) {
    let Some(end) = context.model.regions.get(region).map(|region| region.span.range().end) else {
        return;
    };
    sink.exercise();
    if context.file.len() > end {
        let extra = context.file.len().saturating_sub(end);
        sink.report(u64::try_from(end).unwrap_or(u64::MAX), || {
            format!("{extra} bytes follow the end of the file proper")
        });
    }
}

pub(super) fn propose(bench: &Workbench<'_>) -> Vec<Proposal> {
    let tails: [(&str, Vec<u8>); 6] = [
        ("one-zero", vec![0]),
        ("one-byte", vec![0xcc]),
        ("line-end", b"\n".to_vec()),
        ("four", vec![0; 4]),
        ("page", vec![0; 4096]),
        ("the-file-again", bench.file.to_vec()),
    ];
    tails
        .map(|(name, trailing)| {
            let mut draft = bench.draft.clone();
            let edit = format!("{} bytes after the end", trailing.len());
            draft.trailing = trailing;
            Proposal { name: name.to_owned(), edit, draft, twin: None }
        })
        .into()
}
