//! What the relocations make of the code (clause “Apply relocations to loaded code”).
//!
//! First [`Linkage::resolve`] looks every used import up and counts slots and stubs, so that their sizes are
//! known before memory is reserved; then [`Linkage::apply`] computes the bytes, for any bases.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::error::{Error, Violation};
use super::file::File;
use super::layout::Permissions;
use super::quota::{Quota, Unlimited, filled, reserve};
use super::relocations::{Relocation, RelocationType};
use super::resolver::ImportResolver;
use super::rule::Rule;
use super::symbol_table::SymbolTable;
use super::symbols::{Binding, Symbol, SymbolType};
use crate::cursor::{narrow, wide};
use crate::header::Architecture;

/// Bytes of a slot of the global offset table: one address.
const SLOT: usize = 8;

/// Bytes of a stub: a jump and the address that it leads to.
const STUB: usize = 16;

/// Where the parts of a module lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Address of the code image.
    pub code: u64,
    /// Address of the data image.
    pub data: u64,
    /// Address of the first slot of the global offset table.
    pub slots: u64,
    /// Address of the first stub.
    pub stubs: u64,
}

impl Places {
    /// The address of a symbol of the type `kind` and this value.
    pub(crate) fn address(&self, kind: SymbolType, value: u64) -> u64 {
        match kind {
            SymbolType::Function => self.code.wrapping_add(value),
            SymbolType::Data | SymbolType::Constant => self.data.wrapping_add(value),
            SymbolType::Type | SymbolType::Trait | SymbolType::Actor => value,
        }
    }
}

/// What relocation makes of a module's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocated {
    /// The code image.
    pub code: Vec<u8>,
    /// The global offset table: an address for each symbol that a GotPcRel relocation uses, in the order of
    /// first use.
    pub slots: Vec<u8>,
    /// The stubs: sixteen bytes for each import that a Plt32 relocation uses, in the order of first use, zero
    /// where it is reached directly. Empty when every import is.
    pub stubs: Vec<u8>,
}

/// Computes the code image of `file` as it must be when its parts lie at `places`, without mapping
/// anything. Takes as much memory as the image; [`File::layout`] says how much that is.
///
/// # Errors
/// The first violation, as [`File::validate`]; [`Error::Undefined`] when a relocation uses an import that
/// `imports` does not know; `SMF-RELOC-RANGE`; [`Error::OutOfMemory`].
pub fn relocate(
    file: &File<'_>,
    places: &Places,
    imports: &dyn ImportResolver,
) -> Result<Relocated, Error> {
    file.validate()?;
    let linkage = Linkage::resolve(file, None, imports, &Unlimited)?;
    let size = usize::try_from(file.layout().code()).unwrap_or(usize::MAX);
    let mut code = filled(&Unlimited, size, 0)?;
    fill_code(file, &mut code);
    let (slots, stubs) = linkage.apply(file, places, &mut code, &Unlimited)?;
    Ok(Relocated { code, slots, stubs })
}

/// Copies the bytes of the Code sections to where they lie in `code`.
pub(crate) fn fill_code(file: &File<'_>, code: &mut [u8]) {
    let placed = file.placed().filter(|placed| placed.permissions == Permissions::ReadExecute);
    for placed in placed {
        copy(file.contents(&placed.section), code, placed.start);
    }
}

/// Copies `bytes` to the offset `start` of `image`, which has room for them.
pub(crate) fn copy(bytes: &[u8], image: &mut [u8], start: u64) {
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let end = start.saturating_add(bytes.len());
    if let Some(place) = image.get_mut(start..end) {
        place.copy_from_slice(bytes);
    }
}

/// What is known of a symbol that relocations use and that needs more than its own record.
#[derive(Clone, Copy, Debug)]
struct Link {
    target: Target,
    /// Which slot of the global offset table holds its address.
    slot: Option<u32>,
    /// Which stub may jump to it.
    stub: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    /// It is where its record says.
    Here,
    /// Nothing defines it.
    Undefined,
    /// It is at this address.
    At(u64),
    /// Another symbol of the same module defines it.
    Own(SymbolType, u64),
}

/// How the relocations of a file reach their symbols.
#[derive(Debug, Default)]
pub(crate) struct Linkage {
    /// In the order of first use.
    links: Vec<Link>,
    /// For each symbol, which link is its; [`NO_LINK`]: its record says all. Empty if there are no links.
    link_of: Vec<u32>,
    slots: u32,
    stubs: u32,
}

/// See [`Linkage::link_of`]. There are fewer links than symbols, so that none has this number.
const NO_LINK: u32 = u32::MAX;

impl Linkage {
    /// Looks up every import that a relocation of `file` uses: first in `own`, if given, then by `imports`.
    pub(crate) fn resolve(
        file: &File<'_>,
        own: Option<&SymbolTable>,
        imports: &dyn ImportResolver,
        quota: &dyn Quota,
    ) -> Result<Self, Error> {
        let (mut linkage, mut slots, mut stubs) = (Self::default(), 0, 0);
        let mut undefined: Option<(u64, Symbol)> = None;
        for (relocation, kind) in patching(file) {
            let symbol = symbol(file, &relocation)?;
            if !symbol.is_import() && kind != RelocationType::GotPcRel {
                continue;
            }
            let find = || look_up(file, &symbol, own, imports);
            let link = linkage.link_mut(file, &relocation, find, quota)?;
            let first = undefined.is_none_or(|(offset, _)| relocation.record < offset);
            if matches!(link.target, Target::Undefined) && first {
                undefined = Some((relocation.record, symbol));
            }
            match kind {
                RelocationType::GotPcRel => number(&mut link.slot, &mut slots),
                RelocationType::Plt32 => number(&mut link.stub, &mut stubs),
                _ => {}
            }
        }
        match undefined {
            Some((offset, symbol)) => Err(Error::Undefined { name: name(file, &symbol), offset }),
            None => Ok(Self { slots, stubs, ..linkage }),
        }
    }

    /// The link of the symbol of `relocation`, made with what `find` finds if there is none yet.
    fn link_mut(
        &mut self,
        file: &File<'_>,
        relocation: &Relocation,
        find: impl FnOnce() -> Target,
        quota: &dyn Quota,
    ) -> Result<&mut Link, Error> {
        if self.link_of.is_empty() {
            let symbols = file.symbols().len();
            self.link_of = filled(quota, symbols, NO_LINK)?;
            self.links = reserve(quota, symbols)?;
        }
        let index = self.link_of.get_mut(narrow(relocation.symbol_index));
        let index = index.ok_or_else(|| no_symbol(relocation))?;
        if *index == NO_LINK {
            *index = u32::try_from(self.links.len()).unwrap_or(NO_LINK);
            self.links.push(Link { target: find(), slot: None, stub: None });
        }
        self.links.get_mut(narrow(*index)).ok_or_else(|| no_symbol(relocation))
    }

    #[inline]
    fn link(&self, relocation: &Relocation) -> Option<&Link> {
        let index = *self.link_of.get(narrow(relocation.symbol_index))?;
        self.links.get(narrow(index))
    }

    /// Bytes of the global offset table.
    pub(crate) fn slot_bytes(&self) -> usize {
        narrow(self.slots).saturating_mul(SLOT)
    }

    /// Bytes that the stubs take at most.
    pub(crate) fn stub_bytes(&self) -> usize {
        narrow(self.stubs).saturating_mul(STUB)
    }

    /// Patches `code`, the code image of `file`, and returns the slots and the stubs.
    pub(crate) fn apply(
        &self,
        file: &File<'_>,
        places: &Places,
        code: &mut [u8],
        quota: &dyn Quota,
    ) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let architecture = file.header().architecture();
        let slots = filled(quota, self.slot_bytes(), 0)?;
        let mut patcher =
            Patcher { places, architecture, code, slots, stubs: Vec::new(), out_of_range: None };
        for (relocation, kind) in patching(file) {
            let (symbol, link) = (symbol(file, &relocation)?, self.link(&relocation));
            let target = address(&symbol, link, places);
            if kind == RelocationType::Plt32 && patcher.needs_stub(&relocation, target, link) {
                patcher.stubs = filled(quota, self.stub_bytes(), 0)?;
            }
            patcher.patch(&relocation, kind, target, link)?;
        }
        match patcher.out_of_range {
            Some(offset) => Err(Violation { rule: Rule::RelocRange, offset }.into()),
            None => Ok((patcher.slots, patcher.stubs)),
        }
    }
}

/// Gives a slot or a stub its number, if it has none.
fn number(place: &mut Option<u32>, next: &mut u32) {
    if place.is_none() {
        *place = Some(*next);
        *next = next.saturating_add(1);
    }
}

/// The S of the formulas.
#[inline]
fn address(symbol: &Symbol, link: Option<&Link>, places: &Places) -> u64 {
    match (link.map_or(Target::Here, |link| link.target), symbol.kind()) {
        (Target::At(address), _) => address,
        (Target::Own(kind, value), _) => places.address(kind, value),
        (Target::Here, Some(kind)) => places.address(kind, symbol.value),
        (Target::Undefined, _) | (Target::Here, None) => 0,
    }
}

#[inline]
fn symbol(file: &File<'_>, relocation: &Relocation) -> Result<Symbol, Error> {
    file.symbols().at(narrow(relocation.symbol_index)).ok_or_else(|| no_symbol(relocation))
}

/// The relocations that patch something, in table order.
fn patching<'a>(file: &File<'a>) -> impl Iterator<Item = (Relocation, RelocationType)> + use<'a> {
    let all = file.relocations().flat_map(|list| list.iter());
    all.filter_map(|relocation| {
        let kind = relocation.kind().filter(|kind| *kind != RelocationType::None)?;
        Some((relocation, kind))
    })
}

fn no_symbol(relocation: &Relocation) -> Error {
    Violation { rule: Rule::RelocSymbol, offset: relocation.symbol_at() }.into()
}

fn look_up(
    file: &File<'_>,
    symbol: &Symbol,
    own: Option<&SymbolTable>,
    imports: &dyn ImportResolver,
) -> Target {
    if !symbol.is_import() {
        return Target::Here;
    }
    let name = file.names().at(symbol.name_offset).unwrap_or_default();
    let name = std::str::from_utf8(name).unwrap_or_default();
    let defined = own.and_then(|own| own.find(name)).filter(|found| found.kind.is_address());
    if let Some(found) = defined {
        return Target::Own(found.kind, found.value);
    }
    match imports.resolve(name) {
        Some(address) => Target::At(address),
        None if symbol.binding() == Some(Binding::Weak) => Target::At(0),
        None => Target::Undefined,
    }
}

fn name(file: &File<'_>, symbol: &Symbol) -> String {
    String::from_utf8_lossy(file.names().at(symbol.name_offset).unwrap_or_default()).into()
}

/// Writes the values of relocations.
struct Patcher<'a> {
    places: &'a Places,
    architecture: Option<Architecture>,
    code: &'a mut [u8],
    slots: Vec<u8>,
    stubs: Vec<u8>,
    /// The first relocation record, by its place in the file, whose value does not fit.
    out_of_range: Option<u64>,
}

impl Patcher<'_> {
    /// Whether `relocation` goes through a stub, and there is no memory for stubs yet.
    #[inline]
    fn needs_stub(&self, relocation: &Relocation, target: u64, link: Option<&Link>) -> bool {
        let fits = i32::try_from(self.relative(relocation, target)).is_ok();
        self.stubs.is_empty() && link.is_some_and(|link| link.stub.is_some()) && !fits
    }

    #[inline]
    fn patch(
        &mut self,
        relocation: &Relocation,
        kind: RelocationType,
        target: u64,
        link: Option<&Link>,
    ) -> Result<(), Violation> {
        match kind {
            RelocationType::None => Ok(()),
            RelocationType::Abs64 => {
                let value = target.wrapping_add_signed(relocation.addend);
                self.write(relocation, value.to_le_bytes())
            }
            RelocationType::Pc32 => self.write_relative(relocation, target),
            RelocationType::Plt32 => match link.and_then(|link| link.stub) {
                Some(stub) if i32::try_from(self.relative(relocation, target)).is_err() => {
                    let offset = wide(narrow(stub).saturating_mul(STUB));
                    copy(&jump(self.architecture, target), &mut self.stubs, offset);
                    self.write_relative(relocation, self.places.stubs.wrapping_add(offset))
                }
                _ => self.write_relative(relocation, target),
            },
            RelocationType::GotPcRel => {
                let slot = link.and_then(|link| link.slot).unwrap_or(u32::MAX);
                let offset = wide(narrow(slot).saturating_mul(SLOT));
                copy(&target.to_le_bytes(), &mut self.slots, offset);
                self.write_relative(relocation, self.places.slots.wrapping_add(offset))
            }
        }
    }

    /// target + A − P.
    #[inline]
    fn relative(&self, relocation: &Relocation, target: u64) -> i64 {
        let place = self.places.code.wrapping_add(relocation.offset);
        target.wrapping_add_signed(relocation.addend).wrapping_sub(place).cast_signed()
    }

    #[inline]
    fn write_relative(&mut self, relocation: &Relocation, target: u64) -> Result<(), Violation> {
        match i32::try_from(self.relative(relocation, target)) {
            Ok(value) => self.write(relocation, value.to_le_bytes()),
            Err(_) => {
                let record = relocation.record;
                self.out_of_range = Some(self.out_of_range.map_or(record, |at| at.min(record)));
                Ok(())
            }
        }
    }

    #[inline]
    fn write<const WIDTH: usize>(
        &mut self,
        relocation: &Relocation,
        value: [u8; WIDTH],
    ) -> Result<(), Violation> {
        let start = usize::try_from(relocation.offset).unwrap_or(usize::MAX);
        let place = self.code.get_mut(start..).and_then(|rest| rest.first_chunk_mut::<WIDTH>());
        let outside = Violation { rule: Rule::RelocBounds, offset: relocation.record };
        *place.ok_or(outside)? = value;
        Ok(())
    }
}

/// Code that does nothing but jump to `target`.
fn jump(architecture: Option<Architecture>, target: u64) -> [u8; STUB] {
    let [a, b, c, d, e, f, g, h] = target.to_le_bytes();
    match architecture {
        // ldr x16, .+8; br x16; the address
        Some(Architecture::Arm64) => {
            [0x50, 0, 0, 0x58, 0, 0x02, 0x1f, 0xd6, a, b, c, d, e, f, g, h]
        }
        // jmp [rip]; the address; int3 that is never reached
        _ => [0xff, 0x25, 0, 0, 0, 0, a, b, c, d, e, f, g, h, 0xcc, 0xcc],
    }
}
