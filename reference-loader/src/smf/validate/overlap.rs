//! Stretches that may not share bytes.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use crate::smf::error::Error;
use crate::smf::quota::{Quota, reserve};

/// The bytes from `start` to `end`, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stretch {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Where the file says so.
    pub(super) record: u64,
}

/// Calls `overlapping` with every stretch that begins before the furthest end of those that come before it
/// by start, end and record. Stretches that come in that order take no memory.
pub(super) fn find(
    stretches: impl Iterator<Item = Stretch> + Clone,
    quota: &dyn Quota,
    overlapping: impl FnMut(Stretch),
) -> Result<(), Error> {
    if apart_in_order(stretches.clone()) {
        return Ok(());
    }
    let mut sorted = reserve(quota, stretches.clone().count())?;
    sorted.extend(stretches);
    sorted.sort_unstable();
    let mut furthest = 0;
    let begins_before = |stretch: &Stretch| {
        let before = stretch.start < furthest;
        furthest = furthest.max(stretch.end);
        before
    };
    sorted.into_iter().filter(begins_before).for_each(overlapping);
    Ok(())
}

fn apart_in_order(mut stretches: impl Iterator<Item = Stretch>) -> bool {
    let mut furthest = 0;
    stretches.all(|stretch| {
        let apart = furthest <= stretch.start;
        furthest = stretch.end;
        apart
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smf::quota::Unlimited;

    fn found(stretches: &[(u64, u64)]) -> Vec<u64> {
        let stretches = stretches.iter().zip(0..);
        let stretches =
            stretches.map(|((start, end), record)| Stretch { start: *start, end: *end, record });
        let mut records = Vec::new();
        find(stretches, &Unlimited, |stretch| records.push(stretch.record)).unwrap();
        records
    }

    #[test]
    fn neighbours_are_apart_in_any_order() {
        assert_eq!(found(&[(0, 4), (4, 5), (9, 10)]), [0; 0]);
        assert_eq!(found(&[(9, 10), (0, 4), (4, 9)]), [0; 0]);
    }

    #[test]
    fn what_begins_before_the_furthest_end_overlaps() {
        assert_eq!(found(&[(0, 9), (2, 3), (8, 9), (9, 10)]), [1, 2]);
        assert_eq!(found(&[(5, 6), (5, 6), (0, 1)]), [1]);
        assert_eq!(found(&[(3, 5), (0, 4)]), [0]);
    }
}
