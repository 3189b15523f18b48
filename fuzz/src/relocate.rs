//! Modules drawn from a fuzzer's bytes, linked at two places.
//!
//! Fuzzing files byte by byte seldom finds two symbols, three relocations and an image that fit together.
//! Here every input is such a module; the codec writes it, so that its encoder is under test as well.

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use harness_codec::decode;
use harness_codec::link::{Linked, Patch, fits};
use reference_loader::header::Architecture;
use reference_loader::smf::{Places, Relocated};

use crate::limits::{MAX_DRAWN, MAX_DRAWN_BYTES};
use crate::linking::{Imports, comparable, jump_target, same_code, uses_slot, width, writing};
use crate::module_file::{ModuleFile, Relocation, Section, Symbol, relocation, section, symbol};
use crate::{SMF, agreement, rule_coverage};

/// Checks the module that `input` describes: both readings accept or refuse it alike; at two places the
/// loader's code is what the formulas say, and the two differ where relocations write, by what has moved.
///
/// # Panics
/// When one of these does not hold.
pub fn drawn_module(input: &[u8]) {
    if let Ok(drawn) = Drawn::arbitrary_take_rest(Unstructured::new(input)) {
        drawn.check();
    }
}

/// Code at one place.
struct Placed<'a> {
    places: &'a Places,
    relocated: &'a Relocated,
}

/// Checks that what the code leads to has moved with the image that it lies in, and that everything else in
/// it stays the same.
fn differ_by_what_has_moved(
    linked: &Linked,
    imports: Imports<'_>,
    architecture: Architecture,
    before: &Placed<'_>,
    after: &Placed<'_>,
) {
    let mut code = [before.relocated.code.clone(), after.relocated.code.clone()];
    for (patch, kind) in writing(&SMF, linked) {
        let symbol = linked.address(patch.symbol, imports);
        let bases = |placed: &Placed<'_>| [placed.places.code, placed.places.data];
        let address = |placed: &Placed<'_>| symbol.map_or(0, |symbol| symbol.at(&bases(placed)));
        let targets = [before, after].map(|placed| {
            let direct = patch.value(&kind.calc, &bases(placed), address(placed), 0);
            let way = match () {
                () if uses_slot(kind) => Way::Slot,
                () if kind.fits.is_none() || fits(kind, direct) => Way::Direct,
                () => Way::Stub(architecture),
            };
            placed.target(patch, width(kind), way)
        });
        let moved = address(after).wrapping_sub(address(before));
        assert_eq!(targets[1].wrapping_sub(targets[0]), moved, "{patch:x?} leads elsewhere");
        for code in &mut code {
            let start = usize::try_from(patch.at).unwrap_or(usize::MAX);
            code[start..start.saturating_add(width(kind))].fill(0);
        }
    }
    assert!(code[0] == code[1], "bytes differ that no relocation writes");
}

/// How a relocated place leads to its symbol.
#[derive(Clone, Copy)]
enum Way {
    Direct,
    Slot,
    Stub(Architecture),
}

impl Placed<'_> {
    /// S + A, read back from what the code holds.
    fn target(&self, patch: &Patch, width: usize, way: Way) -> u64 {
        let start = usize::try_from(patch.at).unwrap_or(usize::MAX);
        let written = &self.relocated.code[start..start.saturating_add(width)];
        if let Some(wide) = written.first_chunk() {
            return u64::from_le_bytes(*wide);
        }
        let narrow = written.first_chunk().map_or(0, |narrow| i32::from_le_bytes(*narrow));
        let place = self.places.code.wrapping_add(patch.at);
        let reached = place.wrapping_add_signed(i64::from(narrow));
        let part = |parts: &'_ [u8], start: u64, of: &dyn Fn(&[u8]) -> Option<u64>| {
            let at = reached.wrapping_sub(patch.addend).wrapping_sub(start);
            let part = usize::try_from(at).ok().and_then(|at| parts.get(at..));
            match part.and_then(of) {
                Some(address) => address.wrapping_add(patch.addend),
                None => panic!("{patch:x?} leads neither to a slot nor to a stub: {reached:#x}"),
            }
        };
        let (relocated, places) = (self.relocated, self.places);
        match way {
            Way::Direct => reached,
            Way::Slot => part(&relocated.slots, places.slots, &|slot| {
                slot.first_chunk().map(|address| u64::from_le_bytes(*address))
            }),
            Way::Stub(architecture) => {
                part(&relocated.stubs, places.stubs, &|stub| jump_target(Some(architecture), stub))
            }
        }
    }
}

/// What an input describes.
#[derive(Debug, Arbitrary)]
struct Drawn {
    arm64: bool,
    here: DrawnPlaces,
    there: DrawnPlaces,
    sections: Vec<DrawnSection>,
    symbols: Vec<DrawnSymbol>,
    relocations: Vec<DrawnRelocation>,
    /// Name and address, seen from the code at the first place.
    imports: Vec<(u8, Distance)>,
}

#[derive(Debug, Arbitrary)]
struct DrawnPlaces {
    code: u64,
    data: Distance,
    slots: Distance,
    stubs: Distance,
}

/// Where something lies, seen from the code.
#[derive(Debug, Arbitrary)]
enum Distance {
    Near(i32),
    Page(i16),
    At(u64),
}

#[derive(Debug, Arbitrary)]
struct DrawnSection {
    kind: SectionKind,
    bytes: Vec<u8>,
    zeros: u8,
    shift: u8,
}

#[derive(Debug, Arbitrary)]
enum SectionKind {
    Code,
    MoreCode,
    Data,
    Bss,
    RoData,
    TypeInfo,
}

#[derive(Debug, Arbitrary)]
struct DrawnSymbol {
    name: u8,
    kind: SymbolKind,
    binding: Binding,
    value: u16,
    size: u8,
}

#[derive(Debug, Arbitrary)]
enum SymbolKind {
    Function,
    Data,
    Constant,
    Type,
}

#[derive(Debug, Arbitrary)]
enum Binding {
    Local,
    Global,
    Weak,
    Imported,
    WeaklyImported,
}

#[derive(Debug, Arbitrary)]
struct DrawnRelocation {
    /// Bytes between it and the one before.
    gap: u8,
    symbol: u8,
    kind: RelocationKind,
    addend: Addend,
    /// In which of two Reloc sections it stands.
    second: bool,
}

#[derive(Debug, Arbitrary)]
enum RelocationKind {
    None,
    Abs64,
    Pc32,
    Plt32,
    GotPcRel,
}

#[derive(Debug, Arbitrary)]
enum Addend {
    Call,
    Small(i8),
    Any(i64),
}

impl DrawnPlaces {
    fn places(&self) -> Places {
        let at = |distance: &Distance| distance.from(self.code);
        Places {
            code: self.code,
            data: at(&self.data),
            slots: at(&self.slots),
            stubs: at(&self.stubs),
        }
    }
}

impl Distance {
    fn from(&self, base: u64) -> u64 {
        match self {
            Self::Near(bytes) => base.wrapping_add_signed(i64::from(*bytes)),
            Self::Page(pages) => base.wrapping_add_signed(i64::from(*pages) << 12),
            Self::At(address) => *address,
        }
    }
}

/// Few, so that symbols share them.
fn name(drawn: u8) -> String {
    format!("s{}", drawn % 12)
}

impl Drawn {
    /// Checks the module, and returns the code at both places where it can be linked.
    fn check(&self) -> Option<[Relocated; 2]> {
        let bytes = self.file().encode();
        let decoded = decode(&SMF, &bytes);
        rule_coverage::record(&decoded);
        let file = agreement::smf::same_file(&SMF, &decoded, &bytes)?;
        let linked = comparable(&decoded, &bytes)?;
        let [here, there] = [&self.here, &self.there].map(DrawnPlaces::places);
        let table = self.imports(&here);
        let imports = |name: &str| table.get(name).copied();
        let at = |places| same_code(&linked, &bytes, &file, places, &imports);
        let (before, after) = (at(&here), at(&there)?);
        let [before, after] = [before?, after];
        let [first, second] = [(&here, &before), (&there, &after)]
            .map(|(places, relocated)| Placed { places, relocated });
        differ_by_what_has_moved(&linked, &imports, self.architecture(), &first, &second);
        Some([before, after])
    }

    fn imports(&self, here: &Places) -> BTreeMap<String, u64> {
        let imports = self.imports.iter().take(MAX_DRAWN);
        imports.map(|(number, at)| (name(*number), at.from(here.code))).collect()
    }

    fn architecture(&self) -> Architecture {
        if self.arm64 { Architecture::Arm64 } else { Architecture::X86_64 }
    }

    fn file(&self) -> ModuleFile {
        let sections = self.sections.iter().take(MAX_DRAWN).map(DrawnSection::section).collect();
        let file = ModuleFile { arm64: self.arm64, sections, ..ModuleFile::default() };
        let sizes = file.image_sizes();
        let symbols = self.symbols.iter().take(MAX_DRAWN);
        let symbols: Vec<Symbol> = symbols.map(|symbol| symbol.symbol(sizes)).collect();
        let relocations = self.relocations(&symbols);
        ModuleFile { symbols, relocations, ..file }
    }

    /// Two lists of relocations, of places that are apart from each other.
    fn relocations(&self, symbols: &[Symbol]) -> Vec<Vec<Relocation>> {
        let mut lists = vec![Vec::new(), Vec::new()];
        let mut next = 0_u64;
        for drawn in self.relocations.iter().take(MAX_DRAWN) {
            let Some(index) = usize::from(drawn.symbol).checked_rem(symbols.len()) else { break };
            let (kind, width) = match drawn.kind {
                _ if symbols[index].kind == symbol::TYPE => (relocation::NONE, 0),
                RelocationKind::None => (relocation::NONE, 0),
                RelocationKind::Abs64 => (relocation::ABS64, 8),
                RelocationKind::Pc32 => (relocation::PC32, 4),
                RelocationKind::Plt32 => (relocation::PLT32, 4),
                RelocationKind::GotPcRel => (relocation::GOTPCREL, 4),
            };
            let offset = next + u64::from(drawn.gap % 32);
            next = offset + width;
            let addend = match drawn.addend {
                Addend::Call => -4,
                Addend::Small(addend) => i64::from(addend),
                Addend::Any(addend) => addend,
            };
            let symbol = u64::try_from(index).unwrap_or(u64::MAX);
            lists[usize::from(drawn.second)].push(Relocation { offset, symbol, kind, addend });
        }
        lists
    }
}

impl DrawnSection {
    fn section(&self) -> Section {
        let kind = match self.kind {
            SectionKind::Code | SectionKind::MoreCode => section::CODE,
            SectionKind::Data => section::DATA,
            SectionKind::Bss => section::BSS,
            SectionKind::RoData => section::RODATA,
            SectionKind::TypeInfo => section::TYPE_INFO,
        };
        let kept = self.bytes.len().min(MAX_DRAWN_BYTES);
        let bytes = if kind == section::BSS { Vec::new() } else { self.bytes[..kept].to_vec() };
        let in_file = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let virtual_size = in_file + u64::from(self.zeros);
        Section { kind, bytes, virtual_size, alignment: 1 << (self.shift % 13) }
    }
}

impl DrawnSymbol {
    /// The symbol, in a module whose images have these sizes.
    fn symbol(&self, [code, data]: [u64; 2]) -> Symbol {
        let (kind, image) = match self.kind {
            SymbolKind::Function => (symbol::FUNCTION, code),
            SymbolKind::Data => (symbol::DATA, data),
            SymbolKind::Constant => (symbol::CONSTANT, data),
            SymbolKind::Type => (symbol::TYPE, 0),
        };
        let (binding, defined) = match self.binding {
            Binding::Local => (symbol::LOCAL, true),
            Binding::Global => (symbol::GLOBAL, true),
            Binding::Weak => (symbol::WEAK, true),
            Binding::Imported => (symbol::GLOBAL, false),
            Binding::WeaklyImported => (symbol::WEAK, false),
        };
        let value = u64::from(self.value).checked_rem(image).unwrap_or(0);
        let size = u64::from(self.size).min(image - value);
        let (value, size) = if defined { (value, size) } else { (0, 0) };
        Symbol { name: name(self.name), kind, binding, value, size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linking::undefined;
    use crate::testing::{Random, holds, linked_module, seeds_show};

    #[test]
    fn random_modules_are_linked_alike() {
        let mut random = Random(0x0123_4567_89ab_cdef);
        for _ in 0..1500 {
            let length = random.below(600);
            let input = random.bytes(length);
            assert!(holds(|| drawn_module(&input)), "{input:02x?}");
        }
    }

    /// What linking the module that `input` describes comes to.
    fn shown(input: &[u8]) -> Vec<&'static str> {
        let Ok(drawn) = Drawn::arbitrary_take_rest(Unstructured::new(input)) else { return vec![] };
        let bytes = drawn.file().encode();
        let decoded = decode(&SMF, &bytes);
        let Some(linked) = comparable(&decoded, &bytes) else { return vec![] };
        if !decoded.violations.is_empty() {
            return vec!["refused"];
        }
        let places = drawn.here.places();
        let table = drawn.imports(&places);
        if undefined(&SMF, &linked, &|name| table.get(name).copied()).is_some() {
            return vec!["undefined"];
        }
        let Some([code, _]) = drawn.check() else { return vec!["out-of-range"] };
        let kinds = writing(&SMF, &linked).map(|(_, kind)| match kind.name.as_str() {
            "abs64" => "abs64",
            "pc32" => "pc32",
            "plt32" => "plt32",
            _ => "gotpcrel",
        });
        let stub = (!code.stubs.is_empty()).then_some("stub");
        let arm64 = (drawn.arm64 && linked.patches.len() > 2).then_some("arm64");
        kinds.chain(stub).chain(arm64).collect()
    }

    #[test]
    fn seeds_show_every_outcome() {
        let outcomes = ["refused", "undefined", "out-of-range"];
        let ways = ["abs64", "pc32", "plt32", "gotpcrel", "stub", "arm64"];
        seeds_show("relocate", &[outcomes.as_slice(), &ways].concat(), shown);
    }

    #[test]
    fn code_that_moves_otherwise_is_noticed() {
        let bytes = linked_module();
        let linked = comparable(&decode(&SMF, &bytes), &bytes).unwrap();
        let file = reference_loader::smf::validate(&bytes).unwrap();
        let far = |name: &str| (name == "far").then_some(0x1234_5678_9abc_def0);
        let places = [0x1_0000_0000, 0x7000_0000_0000].map(|code| Places {
            code,
            data: code + (code >> 20),
            slots: code + 0x2000_0000,
            stubs: code - 0x1000_0000,
        });
        let [before, after] =
            places.map(|places| same_code(&linked, &bytes, &file, &places, &far).unwrap());
        let agree = |after: &Relocated| {
            let [here, there] = [(&places[0], &before), (&places[1], after)]
                .map(|(places, relocated)| Placed { places, relocated });
            let host = Architecture::HOST.unwrap();
            holds(|| differ_by_what_has_moved(&linked, &far, host, &here, &there))
        };
        assert!(agree(&after));
        for at in 0..after.code.len() {
            let mut other = after.clone();
            other.code[at] ^= 1;
            assert!(!agree(&other), "byte {at} of the code");
        }
        let mut other = after.clone();
        other.slots[0] ^= 1;
        assert!(!agree(&other), "the slot");
        other = after.clone();
        other.stubs[12] ^= 1;
        assert!(!agree(&other), "the stub");
    }
}
