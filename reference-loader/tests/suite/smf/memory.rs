//! What this process looks like from outside: read from `/proc`, not through the loader.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

/// One line of `/proc/self/maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// `rwxp`, with dashes.
    pub(crate) permissions: String,
}

pub(crate) fn mappings() -> Vec<Mapping> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().map(mapping).collect()
}

fn mapping(line: &str) -> Mapping {
    let (range, rest) = line.split_once(' ').unwrap();
    let (start, end) = range.split_once('-').unwrap();
    let at = |text| u64::from_str_radix(text, 16).unwrap();
    Mapping { start: at(start), end: at(end), permissions: rest[..4].to_owned() }
}

/// The permissions of the page at `address`, if there is one.
pub(crate) fn permissions(address: u64) -> Option<String> {
    let holds = |mapping: &Mapping| (mapping.start..mapping.end).contains(&address);
    mappings().into_iter().find(holds).map(|mapping| mapping.permissions)
}

/// Whether anything is mapped in `start..end`.
pub(crate) fn is_mapped(start: u64, end: u64) -> bool {
    mappings().iter().any(|mapping| mapping.start < end && start < mapping.end)
}

/// Memory of this process.
pub(crate) fn peek(address: u64, length: u64) -> Vec<u8> {
    let mut bytes = vec![0; length as usize];
    let mut memory = File::open("/proc/self/mem").unwrap();
    memory.seek(SeekFrom::Start(address)).unwrap();
    memory.read_exact(&mut bytes).unwrap();
    bytes
}

pub(crate) fn peek_word(address: u64) -> u64 {
    u64::from_le_bytes(peek(address, 8).try_into().unwrap())
}

/// Bytes of `start..end` that have memory behind them.
pub(crate) fn resident(start: u64, end: u64) -> u64 {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut counts = false;
    let mut kilobytes = 0;
    for line in smaps.lines() {
        if line.contains(" kB") {
            let value = line.strip_prefix("Rss:").filter(|_| counts);
            let number = value.and_then(|value| value.trim().strip_suffix(" kB"));
            kilobytes += number.map_or(0, |number| number.trim().parse::<u64>().unwrap());
        } else if line.split(' ').next().is_some_and(|range| range.contains('-')) {
            let mapping = mapping(line);
            counts = mapping.start < end && start < mapping.end;
        }
    }
    kilobytes * 1024
}
