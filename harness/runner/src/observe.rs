//! Looking into a loader's memory instead of believing what it says about it.
//!
//! Write-xor-execute holds when no mapping of the process that holds the images (or of a process below
//! it: a wrapper script is not the loader) is writable and executable at once. The other checks are about
//! the images themselves, in the process that has them mapped; where the harness cannot look, the bytes
//! that the loader reports stand in for them.

use harness_protocol::{Expect, Image, Observe, Vector, Want};
use nix::unistd::Pid;

use crate::Observed;
use crate::sys::maps::{self, Mapping, family, mappings};

mod bytes;
mod memory;
mod patches;
mod placement;
mod protection;
mod stub;

use memory::{Memory, Process, Reported};
use patches::Relocated;
use placement::{Placed, Placement};

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) observed: Observed,
    /// What is not as it must be.
    pub(crate) violation: Option<String>,
}

impl Sight {
    /// Nothing could be seen, for this reason.
    pub(crate) fn none(reason: impl Into<String>) -> Self {
        Self { observed: Observed::NotSeen(reason.into()), violation: None }
    }
}

/// One way to look at an image: what is not as it must be, in words.
type Look<'a> = &'a dyn Fn(Placed<'_>) -> Option<String>;

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) vector: &'a Vector,
    /// What is right under the readings that hold.
    pub(crate) expect: &'a Expect,
    /// Whether the connection has words for more than one image.
    pub(crate) all_images: bool,
}

/// Whether the harness is to look into memory while `vector` is loaded.
pub(crate) fn wanted(vector: &Vector) -> bool {
    vector.want >= Want::Load && !vector.observe.is_empty()
}

/// Looks at `pid` and the processes below it while they hold `images`.
pub(crate) fn look(pid: Pid, asked: &Asked<'_>, images: &[Image]) -> Sight {
    let mut members = Vec::new();
    for member in family(pid) {
        match mappings(member) {
            Ok(mappings) => members.push((member, mappings)),
            Err(error) => return Sight::none(format!("/proc/{member}/maps: {error}")),
        }
    }
    let all: Vec<_> = members.iter().flat_map(|(_, mappings)| mappings).collect();
    let held = members.iter().find_map(|(pid, mappings)| asked.in_process(*pid, mappings, images));
    judge(&all, asked, images, held)
}

/// Judges what was seen when the processes of a one-shot loader exited. `held` is what was found in the one
/// that still held the images, if it had said by then where they are.
pub(crate) fn at_exit(
    seen: &[Mapping],
    asked: &Asked<'_>,
    images: &[Image],
    held: Option<Sight>,
) -> Sight {
    let all: Vec<_> = seen.iter().collect();
    if images.is_empty() && !asked.expect.images.is_empty() && write_xor_execute(&all).is_none() {
        return Sight::none("the loader does not say where its images lie");
    }
    judge(&all, asked, images, held)
}

fn judge(mappings: &[&Mapping], asked: &Asked<'_>, images: &[Image], held: Option<Sight>) -> Sight {
    if asked.minds_write_and_execute()
        && let Some(line) = write_xor_execute(mappings)
    {
        let violation = Some(format!("a mapping is writable and executable: {line}"));
        return Sight { observed: Observed::Seen, violation };
    }
    if mappings.is_empty() {
        return asked.as_reported(images, "the process has no mappings any more".into());
    }
    let is_there = |image: &&Image| mappings.iter().any(|m| m.addresses.contains(&image.base));
    let mut elsewhere = images.iter().filter(|image| image.size > 0 && !is_there(image));
    match (elsewhere.next(), held) {
        // The image is in some process that the harness cannot find: a container, an emulator.
        (Some(image), _) => {
            let (name, base) = (crate::text::cut(&image.name), image.base);
            let reason = format!(
                "image `{name}` is said to be at {base:#x}, where the process has nothing mapped"
            );
            asked.as_reported(images, reason)
        }
        (None, Some(sight)) => sight,
        (None, None) if asked.looks_at_images() => {
            asked.as_reported(images, "no single process held the images when it was asked".into())
        }
        (None, None) => Sight { observed: Observed::Seen, violation: None },
    }
}

fn write_xor_execute<'a>(mappings: &[&'a Mapping]) -> Option<&'a str> {
    let both = mappings.iter().find(|mapping| mapping.writable && mapping.executable)?;
    Some(&both.line)
}

/// The first image of which not all bytes are reported, in words.
fn half_reported(images: &[Image]) -> Option<String> {
    images.iter().find_map(|image| {
        let length = image.bytes.as_ref()?.0.len();
        let (name, size) = (crate::text::cut(&image.name), image.size);
        (length as u64 != size)
            .then(|| format!("image `{name}` has {size} bytes, {length} are reported"))
    })
}

impl Asked<'_> {
    fn observes(&self, what: Observe) -> bool {
        self.vector.observe.contains(&what)
    }

    fn minds_write_and_execute(&self) -> bool {
        self.observes(Observe::WriteXorExecute) || self.observes(Observe::Permissions)
    }

    /// Whether anything but write-xor-execute is looked at.
    fn looks_at_images(&self) -> bool {
        let about_images = |what: &Observe| *what != Observe::WriteXorExecute;
        !self.expect.images.is_empty() && self.vector.observe.iter().any(about_images)
    }

    /// What is found in one process; `None` when it does not hold the images.
    pub(crate) fn in_process(
        &self,
        pid: Pid,
        mappings: &[Mapping],
        images: &[Image],
    ) -> Option<Sight> {
        let holds = |image: &Image| image.size == 0 || maps::at(mappings, image.base).is_some();
        if !images.iter().all(holds) {
            return None;
        }
        Some(self.compare(images, &Process { pid, mappings }, Observed::Seen))
    }

    /// What the loader reports instead of what could not be looked at because of `reason`.
    fn as_reported(&self, images: &[Image], reason: String) -> Sight {
        let says = |image: &Image| image.size == 0 || image.bytes.is_some();
        if self.looks_at_images() && self.observes(Observe::Bytes) && images.iter().all(says) {
            let sight = self.compare(images, &Reported(images), Observed::Reported);
            return Sight { violation: sight.violation.or_else(|| half_reported(images)), ..sight };
        }
        let misplaced = self.looks_at_images() && self.all_images;
        let violation = misplaced.then(|| Placement::new(&self.expect.images, images).err());
        Sight { observed: Observed::NotSeen(reason), violation: violation.flatten() }
    }

    fn compare(&self, images: &[Image], memory: &dyn Memory, observed: Observed) -> Sight {
        if !self.looks_at_images() {
            return Sight { observed, violation: None };
        }
        let expected = &self.expect.images;
        if let Some(name) = placement::missing(expected, images).filter(|_| !self.all_images) {
            return Sight::none(format!("the connection has no words for image `{name}`"));
        }
        let violation = Placement::new(expected, images)
            .map_or_else(Some, |placement| self.difference(&placement, memory));
        Sight { observed, violation }
    }

    /// The first thing about the images that is not as it must be, in words.
    fn difference(&self, placement: &Placement<'_>, memory: &dyn Memory) -> Option<String> {
        let stubs = self.vector.needs.architecture.as_deref().unwrap_or("x86_64") == "x86_64";
        let relocated = Relocated { placement, memory, stubs };
        let page = rustix::param::page_size() as u64;
        let looks: [(Observe, Look<'_>); 4] = [
            (Observe::Bytes, &|placed| bytes::difference(placed, memory)),
            (Observe::Bytes, &|placed| relocated.difference(placed)),
            (Observe::Permissions, &|placed| {
                protection::permissions(placed, memory.mappings()?, page)
            }),
            (Observe::Guard, &|placed| protection::neighbours(placed, memory.mappings()?, page)),
        ];
        let asked = looks.iter().filter(|(what, _)| self.observes(*what));
        let (placed, cause) = asked
            .flat_map(|(_, look)| placement.images().iter().map(move |placed| (placed, look)))
            .find_map(|(placed, look)| Some((placed, look(*placed)?)))?;
        Some(format!("image `{}`, {cause} ({})", placed.image.name, placement.bases()))
    }
}

#[cfg(test)]
mod tests;
