//! Makes a file smaller while something stays true of it.
//!
//! What shrinks is the model, not the bytes: elements of tables, strings, payloads and sections go, fields become
//! zero, code becomes shorter and simpler, and after each step the encoder computes sizes, counts, offsets and
//! checksums anew. Steps are those of delta debugging: all that a list has, then halves of it, down to one.

mod edit;
mod places;

use std::collections::HashSet;

use blobspec::Format;
use blobspec::format::Content;
use harness_codec::{Draft, Item, Site, decode, encode};
use sha2::{Digest, Sha256};

use crate::limits::CODE_ALIGNMENT;

/// A file that was made smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minimized {
    /// The smallest file found.
    pub bytes: Vec<u8>,
    /// What is gone, in the order in which it went.
    pub removed: Vec<Removal>,
    /// How many files were tried.
    pub tries: usize,
    /// Whether it ended because nothing more can go, and not because of the cap on tries.
    pub finished: bool,
}

/// One thing that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Where, in the spec's terms, counted in the file as it was at that moment: `functions[2]`.
    pub place: String,
    /// What was done: `removed`, `set to 0`, `cut from 64 to 4 bytes`.
    pub what: String,
}

/// Why a file cannot be made smaller over its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MinimizeError {
    /// It does not decode, so there is no model.
    #[error("the file does not decode as far as its format goes, so it has no model to shrink")]
    NoModel,
    /// The predicate does not hold of the file itself.
    #[error("what should stay true does not hold of the file itself")]
    NotInteresting,
}

/// Makes `file` smaller while `interesting` holds of it, with at most `max_tries` calls of that.
///
/// The same file and an `interesting` that answers the same give the same result. Of the result `interesting`
/// held, and no single step that is known here makes it smaller still, unless the cap came first.
///
/// # Errors
/// When the file has no model, or is not interesting itself.
pub fn minimize(
    format: &Format,
    file: &[u8],
    max_tries: usize,
    interesting: impl FnMut(&[u8]) -> bool,
) -> Result<Minimized, MinimizeError> {
    let model = decode(format, file).model;
    let draft = Draft::pinned(format, &model, file).ok_or(MinimizeError::NoModel)?;
    let bytes = file.to_vec();
    let (tried, removed) = (HashSet::new(), Vec::new());
    let mut search =
        Search { format, draft, bytes, interesting, tries: 1, max_tries, tried, removed };
    if max_tries == 0 || !(search.interesting)(file) {
        return Err(MinimizeError::NotInteresting);
    }
    search.derive();
    loop {
        let before = search.bytes.clone();
        search.outside();
        search.elements();
        search.strings();
        search.fields();
        search.contents();
        if search.bytes == before || search.is_over() {
            break;
        }
    }
    let finished = !search.is_over();
    let Search { bytes, removed, tries, .. } = search;
    Ok(Minimized { bytes, removed, tries, finished })
}

/// A draft with something gone, and what.
type Step = (Draft, Vec<Removal>);

struct Search<'a, F> {
    format: &'a Format,
    /// What writes `bytes`.
    draft: Draft,
    /// The smallest interesting file so far.
    bytes: Vec<u8>,
    interesting: F,
    tries: usize,
    max_tries: usize,
    /// Digests of the files that were tried.
    tried: HashSet<[u8; 32]>,
    removed: Vec<Removal>,
}

impl<F: FnMut(&[u8]) -> bool> Search<'_, F> {
    fn is_over(&self) -> bool {
        self.tries >= self.max_tries
    }

    /// Goes on from `draft` if what it writes is interesting and was not tried before.
    fn attempt(&mut self, (draft, removed): Step) -> bool {
        let Ok(encoded) = encode(self.format, &draft) else { return false };
        if encoded.bytes == self.bytes {
            // Nothing to see from outside, but steps after it may need the new form.
            self.draft = draft;
            return true;
        }
        let new = self.tried.insert(Sha256::digest(&encoded.bytes).into());
        if !new || self.is_over() {
            return false;
        }
        self.tries += 1;
        if !(self.interesting)(&encoded.bytes) {
            return false;
        }
        self.draft = draft;
        self.bytes = encoded.bytes;
        self.removed.extend(removed);
        true
    }

    /// Tries to do something to all of the items that there are, then to halves of them, down to single ones; from
    /// the last to the first, so that positions before stay what they are.
    fn sweep<T>(
        &mut self,
        items: impl Fn(&Format, &Draft) -> Vec<T>,
        edit: impl Fn(&Format, &Draft, &[T]) -> Option<Step>,
    ) {
        let mut size = items(self.format, &self.draft).len();
        while size > 0 && !self.is_over() {
            for chunk in items(self.format, &self.draft).rchunks(size) {
                if let Some(step) = edit(self.format, &self.draft, chunk) {
                    self.attempt(step);
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    /// Lets the encoder derive what the spec derives, as far as the file stays interesting with it, and says
    /// strings by their text.
    fn derive(&mut self) {
        let relaxed = self.draft.clone().relaxed(self.format);
        if !self.attempt((relaxed.clone(), derived("the file"))) {
            self.derive_one_by_one(&relaxed);
        }
        let mut named = self.draft.clone();
        edit::name_strings(self.format, &mut named);
        self.attempt((named, Vec::new()));
    }

    fn derive_one_by_one(&mut self, relaxed: &Draft) {
        for (region, free) in relaxed.regions.iter().enumerate() {
            let mut draft = self.draft.clone();
            let held = &mut draft.regions[region];
            held.count.clone_from(&free.count);
            (held.at, held.places) = (free.at, free.places.clone());
            self.attempt((draft, derived(&self.format.regions[region].name)));
        }
        for site in places::differences(&self.draft, relaxed) {
            let item = relaxed.get(&site).cloned();
            if let Some(draft) = item.and_then(|item| self.draft.with(&site, item)) {
                self.attempt((draft, derived(&site.path(self.format))));
            }
        }
    }

    /// Bytes that no region owns.
    fn outside(&mut self) {
        if !self.draft.trailing.is_empty() {
            let mut draft = self.draft.clone();
            draft.trailing.clear();
            self.attempt((draft, removal("bytes after the end", "removed")));
        }
        self.sweep(
            |_, draft| (0..draft.gaps.len()).collect(),
            |_, draft, gaps| {
                let mut draft = draft.clone();
                draft.gaps.drain(*gaps.first()?..=*gaps.last()?);
                Some((draft, removal("bytes between regions", "removed")))
            },
        );
    }

    /// Elements of tables, then of lists in them, then instructions; from the last list to the first, since what
    /// comes later usually refers to what comes before.
    fn elements(&mut self) {
        for whole_tables in [true, false] {
            let mut lists = places::lists(self.format, &self.draft);
            lists.retain(|list| list.steps.is_empty() == whole_tables);
            for list in lists.iter().rev() {
                let len = |draft: &Draft| draft.get(list).map_or(0, |item| item.children().len());
                self.sweep(
                    |_, draft| (0..len(draft)).collect(),
                    |format, draft, chunk| edit::remove_elements(format, draft, list, chunk),
                );
            }
        }
    }

    /// Strings that nothing names.
    fn strings(&mut self) {
        for (region, spec) in self.format.regions.iter().enumerate() {
            if matches!(spec.content, Content::Strings { .. }) {
                let list = Site { region, steps: Vec::new() };
                self.sweep(
                    |format, draft| places::unused_strings(format, draft, region),
                    |format, draft, chunk| edit::remove_elements(format, draft, &list, chunk),
                );
            }
        }
    }

    /// Values of fields.
    fn fields(&mut self) {
        self.sweep(places::values, edit::clear);
    }

    /// Bytes of code and data: shorter first, then simpler.
    fn contents(&mut self) {
        for site in places::contents(self.format, &self.draft) {
            self.truncate(&site);
            if site.steps.is_empty() {
                let blocks = |draft: &Draft| places::bytes_at(draft, &site).len() / CODE_ALIGNMENT;
                self.sweep(
                    |_, draft| (0..blocks(draft)).collect(),
                    |format, draft, chunk| edit::remove_blocks(format, draft, &site, chunk),
                );
            }
            for filler in edit::FILLERS {
                self.sweep(
                    |_, draft| places::units(places::bytes_at(draft, &site), filler.len()),
                    |format, draft, chunk| edit::fill(format, draft, &site, filler, chunk),
                );
            }
        }
    }

    /// Cuts as much as possible from the end: all, else half of that, down to a byte.
    fn truncate(&mut self, site: &Site) {
        let mut cut = places::bytes_at(&self.draft, site).len();
        while cut > 0 && !self.is_over() {
            let bytes = places::bytes_at(&self.draft, site);
            let (old, new) = (bytes.len(), bytes.len() - cut);
            let shorter = self.draft.with(site, Item::Bytes(bytes[..new].to_vec()));
            let what = format!("cut from {old} to {new} bytes");
            let step = shorter.map(|draft| (draft, removal(&site.path(self.format), &what)));
            if !step.is_some_and(|step| self.attempt(step)) {
                cut /= 2;
            }
            cut = cut.min(places::bytes_at(&self.draft, site).len());
        }
    }
}

fn removal(place: &str, what: &str) -> Vec<Removal> {
    vec![Removal { place: place.into(), what: what.into() }]
}

fn derived(place: &str) -> Vec<Removal> {
    removal(place, "written as the spec derives it")
}
