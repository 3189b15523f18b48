//! What a valid file becomes in memory: images, symbols, and the places that relocations write.
//!
//! Nothing here maps or runs anything. Addresses stay symbolic (an image and an offset in it) until bases are
//! given, so that one reading of a file serves every base.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use blobspec::Format;
use blobspec::format::{LinkedRelocations, LinkedSymbols, Linking, Relocation};
use blobspec::formula::{Formula, Symbol as Letter};

use crate::evaluate::Context;
pub use crate::image::{ImageLayout, PlacedSection};
use crate::limits::MAX_IMAGE;
use crate::model::{Model, Node, Value};

/// A file as a linker sees it.
#[derive(Clone, Debug)]
pub struct Linked {
    /// The images, in the order of the spec.
    pub images: Vec<ImageLayout>,
    /// The symbols, in the order of the file.
    pub symbols: Vec<Symbol>,
    /// The relocations, in the order of the file; those that write nothing too.
    pub patches: Vec<Patch>,
    /// Relocations of kinds whose values the spec does not say.
    pub unsaid: usize,
}

/// A symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name; `None` when the file has none for it.
    pub name: Option<String>,
    /// What it stands for.
    pub meaning: Meaning,
    /// Whether other modules see it.
    pub exported: bool,
}

/// What a symbol stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// An address in one of the module's own images.
    Defined(Address),
    /// Whatever others define under its name; 0 where nobody does and `weak` is set.
    Imported {
        /// Whether it may stay undefined.
        weak: bool,
    },
}

/// An address, as far as it is known without bases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// So many bytes into an image.
    In {
        /// Position of the image in the spec.
        image: usize,
        /// Bytes from its base.
        offset: u64,
    },
    /// A number.
    Number(u64),
}

impl Address {
    /// The address, with the base of every image.
    #[must_use]
    pub fn at(self, bases: &[u64]) -> u64 {
        match self {
            Self::In { image, offset } => {
                bases.get(image).copied().unwrap_or(0).wrapping_add(offset)
            }
            Self::Number(number) => number,
        }
    }
}

/// A relocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// File offset of its record.
    pub record: u64,
    /// Position of its kind in the spec's relocations.
    pub kind: usize,
    /// Position of the image that it changes.
    pub image: usize,
    /// Offset of the place in the image.
    pub at: u64,
    /// Position of its symbol.
    pub symbol: usize,
    /// The addend, in two's complement.
    pub addend: u64,
}

/// Why a file cannot be linked, with the file offset of the relocation's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlinkable {
    /// Nobody defines the symbol.
    Undefined(u64),
    /// The value does not fit its place.
    OutOfRange(u64),
}

/// Reads a valid file as a linker does; `None` for formats without linking.
///
/// Of a file that breaks rules the result means nothing, but it is a result.
#[must_use]
pub fn link(format: &Format, model: &Model, file: &[u8]) -> Option<Linked> {
    let linking = format.linking.as_ref()?;
    let context = Context::new(format, file, model);
    let images = crate::image::layouts(&context);
    let table = context.elements(linking.symbols.table);
    let symbols = table.iter().map(|record| symbol(&context, &linking.symbols, record)).collect();
    let patches = patches(&context, linking);
    let unsaid = records(context.elements(linking.relocations.table)).count();
    let unsaid = unsaid.saturating_sub(patches.len());
    Some(Linked { images, symbols, patches, unsaid })
}

fn symbol<'a>(context: &Context<'a>, linking: &LinkedSymbols, record: &'a Node) -> Symbol {
    let stack = [record];
    let number = |path: &[usize]| record.at(path).and_then(Node::number).unwrap_or(0);
    let name = context.string(linking.names, number(&linking.name));
    let name = name.map(|name| String::from_utf8_lossy(name).into_owned());
    if !context.holds(&linking.defined, &stack) {
        let weak = linking.weak.as_ref().is_some_and(|weak| context.holds(weak, &stack));
        return Symbol { name, meaning: Meaning::Imported { weak }, exported: false };
    }
    let offset = number(&linking.value);
    let image = linking.images.iter().find(|(_, filter)| context.holds(filter, &stack));
    let address = match image {
        Some((image, _)) => Address::In { image: *image, offset },
        None => Address::Number(offset),
    };
    let exported = context.holds(&linking.exported, &stack);
    Symbol { name, meaning: Meaning::Defined(address), exported }
}

/// The images of a valid file, in the order of the spec, for formats with and without linking.
#[must_use]
pub fn images(format: &Format, model: &Model, file: &[u8]) -> Vec<ImageLayout> {
    crate::image::layouts(&Context::new(format, file, model))
}

fn patches(context: &Context<'_>, linking: &Linking) -> Vec<Patch> {
    let LinkedRelocations { table, image, place, symbol, kind, addend } = &linking.relocations;
    let patch = |record: &Node| {
        let number = |path: &[usize]| record.at(path).and_then(Node::number);
        let code = number(kind)?;
        let known = &context.format.relocations;
        Some(Patch {
            record: record.span.offset(),
            kind: known.iter().position(|relocation| relocation.code == Some(code))?,
            image: *image,
            at: number(place)?,
            symbol: usize::try_from(number(symbol)?).ok()?,
            addend: number(addend)?,
        })
    };
    records(context.elements(*table)).filter_map(patch).collect()
}

/// The records of a table, whether they lie in one list or in several.
fn records(elements: &[Node]) -> impl Iterator<Item = &Node> {
    elements.iter().flat_map(|element| match &element.value {
        Value::List(inner) => inner.as_slice(),
        Value::Absent => &[],
        _ => std::slice::from_ref(element),
    })
}

impl Linked {
    /// The address of a symbol, with what others define; `None` when nobody defines it.
    #[must_use]
    pub fn address(&self, symbol: usize, imports: impl Fn(&str) -> Option<u64>) -> Option<Address> {
        let symbol = self.symbols.get(symbol)?;
        match symbol.meaning {
            Meaning::Defined(address) => Some(address),
            Meaning::Imported { weak } => {
                let found = symbol.name.as_deref().and_then(imports).map(Address::Number);
                found.or(weak.then_some(Address::Number(0)))
            }
        }
    }

    /// The bytes of an image as the file gives them, before relocation.
    ///
    /// `None` for images over [`MAX_IMAGE`] bytes.
    #[must_use]
    pub fn bytes(&self, image: usize, file: &[u8]) -> Option<Vec<u8>> {
        let layout = self.images.get(image)?;
        let size = usize::try_from(layout.size).ok().filter(|size| *size <= MAX_IMAGE)?;
        let mut bytes = vec![0; size];
        for section in &layout.sections {
            let source = section.bytes.of(file);
            let start = usize::try_from(section.at).ok()?;
            let end = start.checked_add(source.len())?;
            bytes.get_mut(start..end)?.copy_from_slice(source);
        }
        Some(bytes)
    }

    /// The images as they must be in memory with these bases, imports, and GOT slots by symbol.
    ///
    /// `None` for images over [`MAX_IMAGE`] bytes.
    ///
    /// # Errors
    /// The relocation with the lowest offset in the file whose symbol nobody defines; if there is none, the one
    /// whose value does not fit.
    pub fn relocated(
        &self,
        format: &Format,
        file: &[u8],
        bases: &[u64],
        imports: impl Fn(&str) -> Option<u64>,
        slot: impl Fn(usize) -> u64,
    ) -> Result<Option<Vec<Vec<u8>>>, Unlinkable> {
        let writes = self.writes(format, bases, &imports, slot)?;
        let bytes = (0..self.images.len()).map(|image| self.bytes(image, file)).collect();
        let Some(mut images): Option<Vec<Vec<u8>>> = bytes else { return Ok(None) };
        for write in writes {
            let end = write.at.checked_add(write.width);
            let place = images.get_mut(write.image).zip(end);
            let place = place.and_then(|(image, end)| image.get_mut(write.at..end));
            let value = write.value.to_le_bytes();
            if let Some((place, value)) = place.zip(value.get(..write.width)) {
                place.copy_from_slice(value);
            }
        }
        Ok(Some(images))
    }

    fn writes(
        &self,
        format: &Format,
        bases: &[u64],
        imports: &impl Fn(&str) -> Option<u64>,
        slot: impl Fn(usize) -> u64,
    ) -> Result<Vec<Write>, Unlinkable> {
        let mut writes = Vec::new();
        let (mut undefined, mut misfit) = (None, None);
        let first =
            |known: Option<u64>, record: u64| Some(known.map_or(record, |known| known.min(record)));
        for patch in &self.patches {
            let Some(kind) = format.relocations.get(patch.kind) else { continue };
            if kind.calc.terms.is_empty() {
                continue;
            }
            let Some(address) = self.address(patch.symbol, imports) else {
                undefined = first(undefined, patch.record);
                continue;
            };
            let value = patch.value(&kind.calc, bases, address.at(bases), slot(patch.symbol));
            if !fits(kind, value) {
                misfit = first(misfit, patch.record);
            }
            writes.push(Write {
                image: patch.image,
                at: usize::try_from(patch.at).unwrap_or(usize::MAX),
                width: usize::from(kind.width.unwrap_or(8)),
                value,
            });
        }
        let undefined = undefined.map(Unlinkable::Undefined);
        undefined.or(misfit.map(Unlinkable::OutOfRange)).map_or(Ok(writes), Err)
    }
}

/// A value that goes somewhere.
struct Write {
    image: usize,
    at: usize,
    width: usize,
    value: u64,
}

impl Patch {
    /// The value of `formula` for this place, modulo 2^64.
    #[must_use]
    pub fn value(&self, formula: &Formula, bases: &[u64], symbol: u64, slot: u64) -> u64 {
        let base = bases.get(self.image).copied().unwrap_or(0);
        formula.evaluate(|letter| match letter {
            Letter::S => symbol,
            Letter::A => self.addend,
            Letter::P => base.wrapping_add(self.at),
            Letter::B => base,
            Letter::G => slot,
            Letter::Field(_) => 0,
        })
    }
}

/// Whether `value` fits the range that the relocation names.
#[must_use]
pub fn fits(relocation: &Relocation, value: u64) -> bool {
    let signed = value.cast_signed();
    match relocation.fits.as_deref() {
        Some("i8") => i8::try_from(signed).is_ok(),
        Some("i16") => i16::try_from(signed).is_ok(),
        Some("i32") => i32::try_from(signed).is_ok(),
        Some("u8") => u8::try_from(value).is_ok(),
        Some("u16") => u16::try_from(value).is_ok(),
        Some("u32") => u32::try_from(value).is_ok(),
        _ => true,
    }
}
