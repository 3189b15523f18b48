//! What an image holds where nothing is patched: the pieces of the file, and zero everywhere else.

use std::ops::Range;

use harness_protocol::linked::{ExpectedImage, Patch, Piece};

use crate::limits::{
    LOOK_CHUNK, MAX_SHOWN_BYTES, MAX_WHOLE_ZEROS, MAX_ZERO_SAMPLES, ZEROS_AT_ENDS,
};

use super::memory::{Absent, Memory};
use super::placement::Placed;

/// Bytes of a sampled page.
const SAMPLE: u64 = 4096;

/// The first byte of `placed` that is neither patched nor as it must be, in words.
pub(crate) fn difference(placed: Placed<'_>, memory: &dyn Memory) -> Option<String> {
    let content = Content::new(placed.image);
    let mut buffers = Buffers::default();
    content.ranges().into_iter().find_map(|range| {
        chunks(range).find_map(|chunk| content.compare(placed.base, chunk, memory, &mut buffers))
    })
}

/// `bytes` as people read them.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let shown: Vec<_> = bytes.iter().take(MAX_SHOWN_BYTES).map(|b| format!("{b:02x}")).collect();
    shown.join(" ")
}

#[derive(Default)]
struct Buffers {
    expected: Vec<u8>,
    found: Vec<u8>,
}

struct Content<'a> {
    image: &'a ExpectedImage,
    /// By their places.
    pieces: Vec<&'a Piece>,
    patches: Vec<&'a Patch>,
}

impl<'a> Content<'a> {
    fn new(image: &'a ExpectedImage) -> Self {
        let mut pieces: Vec<_> = image.pieces.iter().collect();
        pieces.sort_by_key(|piece| piece.at);
        let mut patches: Vec<_> = image.patches.iter().collect();
        patches.sort_by_key(|patch| patch.at);
        Self { image, pieces, patches }
    }

    /// What is looked at: all pieces, and zeros as far as they are few.
    fn ranges(&self) -> Vec<Range<u64>> {
        let mut ranges = Vec::new();
        let zeros = self.zeros();
        let whole = zeros.iter().map(|r| r.end - r.start).sum::<u64>() <= MAX_WHOLE_ZEROS;
        ranges.extend(self.pieces.iter().map(|piece| piece.at..end_of(piece)));
        for stretch in zeros {
            if whole { ranges.push(stretch) } else { sample(stretch, &mut ranges) }
        }
        ranges.sort_by_key(|range| range.start);
        ranges
    }

    /// The stretches between the pieces.
    fn zeros(&self) -> Vec<Range<u64>> {
        let mut zeros = Vec::new();
        let mut covered = 0;
        for piece in &self.pieces {
            zeros.push(covered..piece.at);
            covered = covered.max(end_of(piece));
        }
        zeros.push(covered..self.image.size);
        zeros.retain(|stretch| stretch.start < stretch.end);
        zeros
    }

    fn compare(
        &self,
        base: u64,
        chunk: Range<u64>,
        memory: &dyn Memory,
        buffers: &mut Buffers,
    ) -> Option<String> {
        let length = usize::try_from(chunk.end - chunk.start).ok()?;
        let Buffers { expected, found } = buffers;
        found.clear();
        found.resize(length, 0);
        match memory.read(base.wrapping_add(chunk.start), found) {
            Ok(()) => {}
            Err(Absent::Unknown) => return None,
            Err(Absent::Unreadable(address)) => {
                let at = address.wrapping_sub(base);
                return Some(format!("offset {at:#x} cannot be read"));
            }
        }
        expected.clear();
        expected.resize(length, 0);
        for piece in &self.pieces {
            overlay(expected, chunk.start, piece.at, &piece.bytes.0);
        }
        self.excuse_patches(&chunk, expected, found);
        let first = expected.iter().zip(&*found).position(|(expected, found)| expected != found)?;
        let (found, expected) = (found.get(first..)?, expected.get(first..)?);
        let at = chunk.start + first as u64;
        let (found, expected) = (shown(found), shown(expected));
        Some(format!("offset {at:#x} holds {found}, {expected} was expected"))
    }

    /// What is patched is compared elsewhere.
    fn excuse_patches(&self, chunk: &Range<u64>, expected: &mut [u8], found: &[u8]) {
        let reach = |patch: &&Patch| patch.at.saturating_add(u64::from(u8::MAX)) < chunk.start;
        let first = self.patches.partition_point(reach);
        let patches = self.patches.iter().skip(first).take_while(|patch| patch.at < chunk.end);
        for at in patches
            .flat_map(|patch| (0..u64::from(patch.width)).map(|n| patch.at.saturating_add(n)))
        {
            let place = at.checked_sub(chunk.start).and_then(|place| usize::try_from(place).ok());
            let place = place.unwrap_or(usize::MAX);
            if let (Some(expected), Some(found)) = (expected.get_mut(place), found.get(place)) {
                *expected = *found;
            }
        }
    }
}

fn end_of(piece: &Piece) -> u64 {
    piece.at.saturating_add(piece.bytes.0.len() as u64)
}

/// Copies the part of `bytes`, which stand at `at`, that falls into `target`, which stands at `start`.
fn overlay(target: &mut [u8], start: u64, at: u64, bytes: &[u8]) {
    let skip = usize::try_from(start.saturating_sub(at)).unwrap_or(usize::MAX);
    let place = usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX);
    let target = target.get_mut(place..).unwrap_or_default();
    let bytes = bytes.get(skip..).unwrap_or_default();
    let length = target.len().min(bytes.len());
    target.iter_mut().zip(bytes).take(length).for_each(|(target, byte)| *target = *byte);
}

/// The ends of a long stretch and pages between them.
fn sample(stretch: Range<u64>, into: &mut Vec<Range<u64>>) {
    let Range { start, end } = stretch;
    let length = end - start;
    let between = length.saturating_sub(2 * ZEROS_AT_ENDS);
    if between == 0 {
        into.push(stretch);
        return;
    }
    into.push(start..start + ZEROS_AT_ENDS);
    let step = (between / MAX_ZERO_SAMPLES).max(SAMPLE);
    let pages = (0..MAX_ZERO_SAMPLES).map(|number| start + ZEROS_AT_ENDS + number * step);
    let last = end - ZEROS_AT_ENDS;
    into.extend(pages.take_while(|at| *at < last).map(|at| at..(at + SAMPLE).min(last)));
    into.push(last..end);
}

fn chunks(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let Range { start, end } = range;
    let size = LOOK_CHUNK as u64;
    (start..end).step_by(LOOK_CHUNK).map(move |at| at..end.min(at.saturating_add(size)))
}
