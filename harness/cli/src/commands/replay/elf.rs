//! The memory of a call as an executable that debuggers understand: every region a segment, symbols where the
//! module has them, and a breakpoint where the function returns to.
//!
//! ELF files for linkers are another thing, which crates write; this one has segments at fixed addresses, a few
//! headers, and nothing else.

use harness_sandbox::limits::{PAGE, POISON};
use harness_sandbox::{Fill, Permissions, Program, Region, Setup};

/// Name of the symbol at the address that the function returns to.
pub(super) const LANDING: &str = "returned_to_harness";

const EXECUTABLE: u16 = 2; // ET_EXEC
const AMD64: u16 = 62; // EM_X86_64
const LOAD: u32 = 1; // PT_LOAD
const PROGRAM_BITS: u32 = 1; // SHT_PROGBITS
const SYMBOLS: u32 = 2; // SHT_SYMTAB
const STRINGS: u32 = 3; // SHT_STRTAB
const ALLOCATED: u64 = 2; // SHF_ALLOC
const CODE: u64 = 4; // SHF_EXECINSTR
const GLOBAL_FUNCTION: u8 = 0x12; // STB_GLOBAL, STT_FUNC
const FILE_HEADER: u64 = 64;
const PROGRAM_HEADER: u64 = 56;
const SECTION_HEADER: u16 = 64;
const SYMBOL: u64 = 24;

/// The file; it starts at `entry`.
pub(super) fn executable(program: &Program, setup: &Setup, entry: u64) -> Vec<u8> {
    let landing = landing(setup);
    let regions: Vec<&Region> = setup.regions.iter().chain([&landing]).collect();
    let mut contents = Vec::new();
    let mut offset = (FILE_HEADER + PROGRAM_HEADER * count(&regions)).next_multiple_of(PAGE);
    let mut offsets = Vec::new();
    for region in &regions {
        offsets.push(offset);
        let bytes = pages(region);
        offset += count(&bytes);
        contents.extend(bytes);
    }
    let tables = Tables::new(program, setup, &regions);
    let symbols = offset;
    let sections = symbols + count(&tables.symbols) + count(&tables.strings);
    let mut file = header(entry, count(&regions), sections, count(&regions) + 3);
    for (region, offset) in regions.iter().zip(&offsets) {
        file.extend(program_header(region, *offset));
    }
    file.resize(usize::try_from(offsets[0]).unwrap_or_default(), 0);
    file.extend(contents);
    file.extend(&tables.symbols);
    file.extend(&tables.strings);
    file.extend([0; SECTION_HEADER as usize]);
    for ((region, offset), name) in regions.iter().zip(&offsets).zip(&tables.names) {
        let code = if region.permissions == Permissions::Rx { CODE } else { 0 };
        let place = [ALLOCATED | code, region.address, *offset, size(region)];
        file.extend(section_header(*name, PROGRAM_BITS, place, [0, 0], 0));
    }
    let strings = u32::try_from(regions.len() + 2).unwrap_or_default();
    let place = [0, 0, symbols, count(&tables.symbols)];
    file.extend(section_header(0, SYMBOLS, place, [strings, 1], SYMBOL));
    let place = [0, 0, symbols + count(&tables.symbols), count(&tables.strings)];
    file.extend(section_header(0, STRINGS, place, [0, 0], 0));
    file
}

/// The page where the function returns to, full of breakpoints.
fn landing(setup: &Setup) -> Region {
    let int3 = vec![0xcc; usize::try_from(PAGE).unwrap_or_default()];
    Region {
        name: "landing".to_owned(),
        address: setup.landing - setup.landing % PAGE,
        size: PAGE,
        permissions: Permissions::Rx,
        fill: Fill::Zero,
        offset: 0,
        bytes: int3,
        kept: false,
    }
}

fn count<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

fn size(region: &Region) -> u64 {
    region.size.next_multiple_of(PAGE)
}

/// What a region holds, in whole pages.
fn pages(region: &Region) -> Vec<u8> {
    let whole = |size: u64| usize::try_from(size).unwrap_or_default();
    let mut bytes = match region.fill {
        Fill::Zero => vec![0; whole(region.size)],
        Fill::Poison => POISON.to_le_bytes().into_iter().cycle().take(whole(region.size)).collect(),
    };
    let start = whole(region.offset);
    if let Some(place) = bytes.get_mut(start..start + region.bytes.len()) {
        place.copy_from_slice(&region.bytes);
    }
    bytes.resize(whole(size(region)), 0);
    bytes
}

/// Symbols and strings, as they stand in the file.
struct Tables {
    symbols: Vec<u8>,
    strings: Vec<u8>,
    /// Name of each region's section, as a place in the strings.
    names: Vec<u32>,
}

impl Tables {
    fn new(program: &Program, setup: &Setup, regions: &[&Region]) -> Self {
        let nothing = usize::try_from(SYMBOL).unwrap_or_default();
        let mut tables = Self { symbols: vec![0; nothing], strings: vec![0], names: Vec::new() };
        for region in regions {
            let name = tables.string(&region.name);
            tables.names.push(name);
        }
        tables.symbol(LANDING, setup.landing, regions);
        for symbol in &program.symbols {
            tables.symbol(&symbol.name, symbol.address, regions);
        }
        tables
    }

    fn string(&mut self, text: &str) -> u32 {
        let place = u32::try_from(self.strings.len()).unwrap_or_default();
        self.strings.extend(text.bytes().filter(|byte| *byte != 0));
        self.strings.push(0);
        place
    }

    fn symbol(&mut self, name: &str, address: u64, regions: &[&Region]) {
        let holds = |r: &&Region| (r.address..r.address + size(r)).contains(&address);
        let Some(region) = regions.iter().position(holds) else { return };
        let section = u16::try_from(region + 1).unwrap_or_default();
        let name = self.string(name);
        self.symbols.extend(name.to_le_bytes());
        self.symbols.extend([GLOBAL_FUNCTION, 0]);
        self.symbols.extend(section.to_le_bytes());
        self.symbols.extend(address.to_le_bytes());
        self.symbols.extend(0_u64.to_le_bytes());
    }
}

fn header(entry: u64, segments: u64, sections_at: u64, sections: u64) -> Vec<u8> {
    let narrow = |number: u64| u16::try_from(number).unwrap_or_default();
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec(); // 64 bits, little-endian, version 1
    bytes.resize(16, 0);
    for half in [EXECUTABLE, AMD64] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(1_u32.to_le_bytes());
    for word in [entry, FILE_HEADER, sections_at] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    for half in [
        narrow(FILE_HEADER),
        narrow(PROGRAM_HEADER),
        narrow(segments),
        SECTION_HEADER,
        narrow(sections),
        narrow(sections - 1), // the last section also holds the names of sections
    ] {
        bytes.extend(half.to_le_bytes());
    }
    bytes
}

fn program_header(region: &Region, offset: u64) -> Vec<u8> {
    let flags: u32 = match region.permissions {
        Permissions::R => 4,
        Permissions::Rw => 6,
        Permissions::Rx => 5,
    };
    let mut bytes = LOAD.to_le_bytes().to_vec();
    bytes.extend(flags.to_le_bytes());
    let (address, size) = (region.address, size(region));
    for word in [offset, address, address, size, size, PAGE] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

/// `place`: flags, address, file offset, size; `links`: `sh_link` and `sh_info`.
fn section_header(name: u32, kind: u32, place: [u64; 4], links: [u32; 2], entry: u64) -> Vec<u8> {
    let mut bytes = name.to_le_bytes().to_vec();
    bytes.extend(kind.to_le_bytes());
    place.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    links.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    for word in [1, entry] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}
