//! No file of 64 KiB takes more than 16 MiB to decode, whatever its counts say.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(unsafe_code, reason = "a global allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use blobspec::{Format, Spec};
use harness_codec::{Draft, decode, encode};

const FILE: usize = 64 << 10;
const MOST: usize = 16 << 20;

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static TOTAL: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract; counting
// touches atomics only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        TOTAL.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is this one's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `memory` came from `alloc` above with this layout, so from the system's allocator.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Peak and sum of what `run` allocates.
fn measure<T>(run: impl FnOnce() -> T) -> (usize, usize) {
    let (live, total) = (LIVE.load(Ordering::Relaxed), TOTAL.load(Ordering::Relaxed));
    PEAK.store(live, Ordering::Relaxed);
    drop(run());
    (PEAK.load(Ordering::Relaxed) - live, TOTAL.load(Ordering::Relaxed) - total)
}

fn scp() -> Format {
    blobspec::builtin("scp").unwrap().unwrap().format().clone()
}

fn smf() -> Format {
    blobspec::builtin("smf").unwrap().unwrap().format().clone()
}

/// An SMF file of `size` bytes of which a half is a table of sections of type `kind`, each over all of the other
/// half, from `step` bytes further on than the one before.
fn overlapping(size: usize, kind: u32, step: usize) -> Vec<u8> {
    let count = size / 2 / 56;
    let contents = 72 + 56 * count;
    let mut file = b"SMF\0\x01\0\0\0\0\0\0\0".to_vec();
    file.extend(u32::try_from(count).unwrap().to_le_bytes());
    file.extend([72, u64::try_from(size - 1).unwrap()].map(u64::to_le_bytes).concat());
    file.resize(72, 0);
    for index in 0..count {
        let at = contents + step * index % 1024;
        let length = (size - at) / 24 * 24;
        file.extend(kind.to_le_bytes());
        file.extend([0; 4]);
        file.extend([at, length, 0, 1].map(|n| u64::try_from(n).unwrap().to_le_bytes()).concat());
        file.extend([0; 16]);
    }
    file.resize(size, 0);
    file
}

/// Shapes of SMF files that are meant to hurt, with a name.
fn hostile_smf() -> Vec<(&'static str, Vec<u8>)> {
    let mut counts = overlapping(FILE, 1, 0);
    counts[12..16].fill(0xff);
    let mut few = counts.clone();
    few.truncate(300);
    let mut symbols = overlapping(FILE, 1, 0);
    symbols[32..36].fill(0xff);
    vec![
        ("section_count of 2^32", counts),
        ("section_count of 2^32 in 300 bytes", few),
        ("symbol_count of 2^32", symbols),
        ("relocations that are all the same", overlapping(FILE, 6, 0)),
        ("relocations at every byte", overlapping(FILE, 6, 1)),
        ("code that is all the same", overlapping(FILE, 1, 0)),
    ]
}

fn relocations_at_every_byte(size: usize) -> Vec<u8> {
    overlapping(size, 6, 1)
}

fn own(name: &str) -> Format {
    let path = format!("{}/../../spec/tests/formats/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(&path).unwrap();
    Spec::load(&path, &text).unwrap().format().clone()
}

/// SCP tables (functions, types, dependencies, strings) behind a header that is right, and no code.
fn scp_file(tables: &[u8]) -> Vec<u8> {
    let mut file = b"SCP\0\0\0\x01\0".to_vec();
    file.extend(u32::try_from(32 + tables.len()).unwrap().to_le_bytes());
    file.resize(32, 0);
    file.extend_from_slice(tables);
    file
}

fn table(entries: usize, bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(entries).unwrap().to_le_bytes()[..], bytes].concat()
}

/// Functions that share one long name.
fn shared_names(size: usize) -> Vec<u8> {
    let count = size / 2 / 18;
    let function = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 0];
    let mut functions = Vec::new();
    (0..count).for_each(|_| functions.extend(function));
    let name = [vec![b'n'; size / 2], vec![0]].concat();
    scp_file(&[table(count, &functions), table(0, &[]), table(0, &[]), table(1, &name)].concat())
}

/// Every shape that is meant to hurt, with a name.
fn hostile_scp() -> Vec<(&'static str, Vec<u8>)> {
    let none = || table(0, &[]);
    let strings = FILE - 48;
    let functions = FILE / 270;
    let params = [&[0; 12][..], &[255], &[1; 255], &[1, 0]].concat();
    let types = FILE / 1286;
    let fields = [&[0; 10][..], &[255], &[1; 255 * 5]].concat();
    let small = FILE / 16;
    vec![
        (
            "empty strings",
            scp_file(&[none(), none(), none(), table(strings, &vec![0; strings])].concat()),
        ),
        (
            "more strings than there are",
            scp_file(
                &[none(), none(), none(), [vec![0xff; 4], vec![0; strings]].concat()].concat(),
            ),
        ),
        (
            "one-byte parameters",
            scp_file(
                &[table(functions, &params.repeat(functions)), none(), none(), none()].concat(),
            ),
        ),
        (
            "struct fields",
            scp_file(&[none(), table(types, &fields.repeat(types)), none(), none()].concat()),
        ),
        (
            "small functions",
            scp_file(&[table(small, &[0; 15].repeat(small)), none(), none(), none()].concat()),
        ),
        ("counts of 2^32", scp_file(&[0xff; FILE - 64])),
        ("one count of 2^32", scp_file(&[vec![0xff; 4], vec![0; FILE - 64]].concat())),
        ("shared names", shared_names(FILE)),
        ("zeros", vec![0; FILE]),
        ("ones", vec![0xff; FILE]),
    ]
}

#[test]
fn hostile_files_take_little_memory() {
    let format = scp();
    for (name, file) in hostile_scp() {
        let (peak, _) = measure(|| decode(&format, &file));
        assert!(peak <= MOST, "{name}: {} bytes take {peak}", file.len());
    }
    for name in ["container", "bytecode", "mission"] {
        let format = own(name);
        for byte in [0, 1, 0x0d, 0xff] {
            let (peak, _) = measure(|| decode(&format, &vec![byte; FILE]));
            assert!(peak <= MOST, "{name} of {byte:#x}: {peak}");
        }
        if name == "container" {
            let file = tails(FILE);
            let (peak, _) = measure(|| decode(&format, &file));
            assert!(peak <= MOST, "tails: {peak}");
        }
    }
    for (name, file) in hostile_smf() {
        let format = smf();
        let (peak, _) = measure(|| decode(&format, &file));
        assert!(peak <= MOST, "SMF, {name}: {} bytes take {peak}", file.len());
        let decoded = decode(&format, &file);
        let (peak, _) = measure(|| Draft::pinned(&format, &decoded.model, &file));
        assert!(peak <= MOST, "SMF, {name}: a draft takes {peak}");
    }
    satisfying_takes_little_memory();
    effort_grows_with_the_file();
}

/// What a draft needs to be made valid is measured on a file that needs all of it.
fn satisfying_takes_little_memory() {
    let format = scp();
    for (name, file) in hostile_scp() {
        let decoded = decode(&format, &file);
        let Some(draft) = Draft::pinned(&format, &decoded.model, &file) else { continue };
        for rule in &format.rules {
            let mut draft = draft.clone();
            let (peak, _) = measure(|| harness_codec::satisfy(&format, rule, &mut draft));
            assert!(peak <= MOST, "{name}: {} takes {peak}", rule.id);
        }
        let (peak, _) = measure(|| encode(&format, &draft));
        assert!(peak <= MOST, "{name}: encoding takes {peak}");
    }
}

/// A container whose symbols' names are all tails of one long string.
fn tails(size: usize) -> Vec<u8> {
    let count = size / 2 / 40;
    let names = 72 + 40 * count;
    let mut file = b"SCT\0\x01\0\0\0".to_vec();
    file.resize(72, 0);
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    for offset in [16, 24, 40, 48] {
        put(offset, &72_u64.to_le_bytes());
    }
    put(32, &u32::try_from(count).unwrap().to_le_bytes());
    for index in 0..count {
        let mut symbol = [0; 40];
        symbol[..4].copy_from_slice(&u32::try_from(index).unwrap().to_le_bytes());
        file.extend_from_slice(&symbol);
    }
    assert_eq!(file.len(), names);
    file.extend(vec![b'n'; size - names - 1]);
    file.push(0);
    file
}

/// Twice the file is about twice the work, in bytes of strings looked at and in bytes allocated.
fn effort_grows_with_the_file() {
    let (format, container, smf) = (scp(), own("container"), smf());
    type Make = fn(usize) -> Vec<u8>;
    let shapes: [(&str, &Format, Make); 3] = [
        ("shared names", &format, shared_names),
        ("tails", &container, tails),
        ("relocations at every byte", &smf, relocations_at_every_byte),
    ];
    for (name, format, make) in shapes {
        let [small, large] = [FILE / 2, FILE].map(make);
        let decoded = decode(format, &small);
        assert_eq!(decoded.model.regions.len(), format.regions.len(), "{name} decodes");
        assert!(!decoded.exercised.is_empty());
        let [(_, less), (_, more)] = [&small, &large].map(|file| measure(|| decode(format, file)));
        assert!(more < less * 3, "{name}: {less} bytes allocated, then {more}");
        let work = decode(format, &large).work;
        let most = u64::try_from(20 * FILE).unwrap(); // 16 of them for hashes of tails
        assert!(work <= most, "{name}: {work} bytes of strings looked at");
    }
}
