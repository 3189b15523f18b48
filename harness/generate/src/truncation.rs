//! A valid file, cut off at and inside every structural boundary.

use harness_codec::{Node, Proposal};

use crate::base::Base;

/// The base cut at the start and in the middle of every field, element and region, and one byte short.
pub(crate) fn propose(base: &Base) -> Vec<Proposal> {
    let mut cuts = Vec::new();
    for region in &base.decoded.model.regions {
        region.count.iter().for_each(|count| boundaries(count, &mut cuts));
        boundaries(&region.node, &mut cuts);
    }
    cuts.push(base.file.len().saturating_sub(1));
    cuts.sort_unstable();
    cuts.dedup();
    cuts.retain(|cut| *cut < base.file.len());
    let truncated = |cut: usize| {
        let mut draft = base.draft.clone();
        draft.truncate = Some(cut);
        Proposal {
            name: format!("at-{cut}"),
            edit: format!("the file ends after {cut} bytes"),
            draft,
            twin: None,
        }
    };
    cuts.into_iter().map(truncated).collect()
}

fn boundaries(node: &Node, cuts: &mut Vec<usize>) {
    let range = node.span.range();
    cuts.push(range.start);
    if node.children().is_empty() {
        cuts.push(range.start + range.len() / 2);
    }
    node.children().iter().for_each(|child| boundaries(child, cuts));
}
