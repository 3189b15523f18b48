//! Records in payloads that share bytes: each is looked at once, however many elements of the table hold it.
//!
//! A table may place thousands of payloads on the same bytes. Decoding the records of each would take memory and
//! time in the square of the file. Lists are decoded while all of them together are no longer than the file; from
//! then on some bytes are shared, and of every further list only those stretches are looked at that hold records
//! which no earlier list has.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// Which records were seen, for records of one size.
pub(crate) struct Seen {
    /// Bytes of a record, at least 1.
    size: usize,
    /// By start modulo the size: disjoint stretches, start → end.
    covered: HashMap<usize, BTreeMap<usize, usize>>,
}

impl Seen {
    pub(crate) fn new(size: usize) -> Self {
        Self { size: size.max(1), covered: HashMap::new() }
    }

    /// The stretches of `list` whose records were not seen before; from here on they were. Bytes after the last
    /// whole record are left out. Takes time in the number of stretches, not of records.
    pub(crate) fn unseen(&mut self, list: &Range<usize>) -> Vec<Range<usize>> {
        let rest = list.len().checked_rem(self.size).unwrap_or(0);
        let (start, end) = (list.start, list.end.saturating_sub(rest));
        let phase = start.checked_rem(self.size).unwrap_or(0);
        let covered = self.covered.entry(phase).or_default();
        let (mut from, mut until) = (start, end);
        if let Some((&before, &reach)) = covered.range(..=start).next_back()
            && reach >= start
        {
            from = before;
            until = until.max(reach);
        }
        let inside: Vec<(usize, usize)> =
            covered.range(from..=end).map(|(start, end)| (*start, *end)).collect();
        let (mut gaps, mut at) = (Vec::new(), start);
        for (known, reach) in inside {
            if at < known {
                gaps.push(at..known);
            }
            at = at.max(reach);
            until = until.max(reach);
            covered.remove(&known);
        }
        if at < end {
            gaps.push(at..end);
        }
        if from < until {
            covered.insert(from, until);
        }
        gaps
    }
}

/// What lists hold beyond those that are in the model.
pub(crate) struct Shared {
    /// The region of the lists.
    pub(crate) region: usize,
    /// Position of the records' type.
    pub(crate) record: usize,
    /// Bytes of a record.
    pub(crate) size: usize,
    /// Where the records lie, in the order of the table.
    pub(crate) stretches: Vec<Range<usize>>,
}

impl Shared {
    /// The stretches in portions of at most `most` records, so that few are in memory at a time.
    pub(crate) fn portions(&self, most: usize) -> impl Iterator<Item = Range<usize>> + '_ {
        let bytes = self.size.max(1).saturating_mul(most.max(1));
        self.stretches.iter().flat_map(move |stretch| {
            let end = stretch.end;
            stretch.clone().step_by(bytes).map(move |at| at..at.saturating_add(bytes).min(end))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Start and end of the unseen stretches.
    fn unseen(seen: &mut Seen, list: Range<usize>) -> Vec<(usize, usize)> {
        seen.unseen(&list).into_iter().map(|gap| (gap.start, gap.end)).collect()
    }

    #[test]
    fn what_was_seen_is_not_seen_again() {
        let mut seen = Seen::new(4);
        assert_eq!(unseen(&mut seen, 8..21), [(8, 20)]);
        assert_eq!(unseen(&mut seen, 8..20), []);
        assert_eq!(unseen(&mut seen, 4..28), [(4, 8), (20, 28)]);
        assert_eq!(unseen(&mut seen, 40..48), [(40, 48)]);
        assert_eq!(unseen(&mut seen, 0..60), [(0, 4), (28, 40), (48, 60)]);
        assert_eq!(unseen(&mut seen, 0..60), []);
    }

    #[test]
    fn records_at_other_starts_are_other_records() {
        let mut seen = Seen::new(4);
        assert_eq!(unseen(&mut seen, 0..16), [(0, 16)]);
        assert_eq!(unseen(&mut seen, 1..17), [(1, 17)]);
        assert_eq!(unseen(&mut seen, 5..13), []);
        assert_eq!(unseen(&mut seen, 6..7), []);
    }

    #[test]
    fn portions_end_between_records() {
        let shared = Shared { region: 0, record: 0, size: 4, stretches: vec![0..20, 32..36] };
        let portions: Vec<_> = shared.portions(2).collect();
        assert_eq!(portions, [0..8, 8..16, 16..20, 32..36]);
    }
}
