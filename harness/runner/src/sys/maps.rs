//! Reading `/proc/PID/maps` and finding the processes below one.

use std::fs;
use std::io;
use std::ops::Range;

use nix::unistd::Pid;

/// Most processes below a loader that are looked at: a wrapper script or two, not a fork bomb.
const MAX_PROCESSES: usize = 64;

/// One line of `/proc/PID/maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) addresses: Range<u64>,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) executable: bool,
    /// The line itself, for people.
    pub(crate) line: String,
}

impl Mapping {
    /// Reads `7f00-8f00 rw-p 00000000 00:00 0   [heap]`.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let permissions = words.next()?.as_bytes();
        Some(Self {
            addresses: u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?,
            readable: permissions.first() == Some(&b'r'),
            writable: permissions.get(1) == Some(&b'w'),
            executable: permissions.get(2) == Some(&b'x'),
            line: line.trim_end().to_owned(),
        })
    }
}

/// Where `address` is mapped.
pub(crate) fn at(mappings: &[Mapping], address: u64) -> Option<&Mapping> {
    mappings.iter().find(|mapping| mapping.addresses.contains(&address))
}

/// The mappings of one process.
pub(crate) fn mappings(pid: Pid) -> io::Result<Vec<Mapping>> {
    let text = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    Ok(text.lines().filter_map(Mapping::parse).collect())
}

/// `pid` and the processes below it: a wrapper script is the child, the loader is the child's child.
pub(crate) fn family(pid: Pid) -> Vec<Pid> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&parent) = family.get(next).filter(|_| family.len() < MAX_PROCESSES) {
        family.extend(children(parent));
        next += 1;
    }
    family
}

/// The children of all threads of `pid`.
fn children(pid: Pid) -> Vec<Pid> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|text| {
            let ids: Vec<_> = text.split_whitespace().filter_map(|id| id.parse().ok()).collect();
            ids
        })
        .map(Pid::from_raw)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read() {
        let line = "7f12a000-7f12b000 rwxp 00000000 00:00 0    [stack]\n";
        let mapping = Mapping::parse(line).unwrap();
        assert_eq!(mapping.addresses, 0x7f12_a000..0x7f12_b000);
        assert!(mapping.readable && mapping.writable && mapping.executable);
        assert!(!Mapping::parse("1000-2000 ---p 0 0:0 0").unwrap().readable);
        assert!(!Mapping::parse("1000-2000 r-xp 0 0:0 0").unwrap().writable);
        assert_eq!(Mapping::parse("VmFlags: rd"), None);
    }

    #[test]
    fn the_family_starts_with_the_process_itself() {
        let own = Pid::this();
        assert_eq!(family(own).first(), Some(&own));
        assert!(mappings(own).unwrap().iter().any(|mapping| mapping.executable));
    }
}
