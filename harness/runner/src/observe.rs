//! Looking at a loader's mappings instead of believing what it says about them.
//!
//! Write-xor-execute holds when no mapping of the process that holds the image (or of a process below
//! it: a wrapper script is not the loader) is writable and executable at once.

use harness_protocol::{Image, Observe, Vector, Want};
use nix::unistd::Pid;

use crate::Observed;
use crate::sys::maps::{Mapping, family, mappings};

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) observed: Observed,
    /// The line of the first mapping that is writable and executable.
    pub(crate) violation: Option<String>,
}

impl Sight {
    /// Nothing could be seen, for this reason.
    pub(crate) fn none(reason: impl Into<String>) -> Self {
        Self { observed: Observed::NotSeen(reason.into()), violation: None }
    }
}

/// Whether the harness is to look at the mappings while `vector` is loaded.
pub(crate) fn wanted(vector: &Vector) -> bool {
    vector.want >= Want::Load && vector.observe.contains(&Observe::WriteXorExecute)
}

/// Looks at `pid` and the processes below it while they hold `images`.
pub(crate) fn look(pid: Pid, images: &[Image]) -> Sight {
    let mut all = Vec::new();
    for member in family(pid) {
        match mappings(member) {
            Ok(mappings) => all.extend(mappings),
            Err(error) => return Sight::none(format!("/proc/{member}/maps: {error}")),
        }
    }
    judge(&all, images)
}

/// Judges what was seen when the processes of a one-shot loader exited.
pub(crate) fn at_exit(seen: &[Mapping], images: &[Image]) -> Sight {
    judge(seen, images)
}

fn judge(mappings: &[Mapping], images: &[Image]) -> Sight {
    if let Some(bad) = mappings.iter().find(|mapping| mapping.writable && mapping.executable) {
        return Sight { observed: Observed::Seen, violation: Some(bad.line.clone()) };
    }
    if mappings.is_empty() {
        return Sight::none("the process has no mappings any more");
    }
    let missing = images
        .iter()
        .filter(|image| image.size > 0)
        .find(|image| !mappings.iter().any(|mapping| mapping.addresses.contains(&image.base)));
    match missing {
        // The image is in some process that the harness cannot find: a container, an emulator.
        Some(image) => Sight::none(format!(
            "image `{}` is said to be at {:#x}, where the process has nothing mapped",
            crate::text::cut(&image.name),
            image.base
        )),
        None => Sight { observed: Observed::Seen, violation: None },
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const CODE: &str = "1000-2000 r-xp 0 00:00 0";
    const DATA: &str = "2000-3000 rw-p 0 00:00 0";
    const BOTH: &str = "3000-4000 rwxp 0 00:00 0";

    #[rstest]
    #[case::clean(&[CODE, DATA], Some(0x1000), true, None)]
    #[case::no_image_reported(&[CODE, DATA], None, true, None)]
    #[case::both(&[CODE, BOTH], Some(0x1000), true, Some(BOTH))]
    #[case::image_elsewhere(&[CODE], Some(0x9000), false, None)]
    #[case::gone(&[], None, false, None)]
    fn mappings_are_judged(
        #[case] lines: &[&str],
        #[case] base: Option<u64>,
        #[case] seen: bool,
        #[case] violation: Option<&str>,
    ) {
        let mappings: Vec<_> = lines.iter().filter_map(|line| Mapping::parse(line)).collect();
        let images: Vec<_> = base
            .map(|base| Image { name: "code".into(), base, size: 1, ..Image::default() })
            .into_iter()
            .collect();
        let sight = judge(&mappings, &images);
        assert_eq!(sight.observed == Observed::Seen, seen);
        assert_eq!(sight.violation.as_deref(), violation);
    }
}
