//! Functions from symbols, and the relocations that tie images together, as SMF has them. Nothing here knows a
//! field of SMF but one: which platform a file is for.

use std::collections::BTreeMap;

use blobspec::format::Linking;
use blobspec::formula::Symbol as Letter;
use harness_codec::link::{Address, Linked, Meaning, Unlinkable, fits, link};
use harness_codec::{Node, Value};

use super::place::{Placement, Write, apply};
use super::reading::Reading;
use super::stubs::{Stubs, after};
use super::{Function, Import, Interface, Module, ModuleError, Origin};
use crate::{Architecture, Convention, Permissions, Program, Segment, Symbol};

/// Name of the segment that holds the addresses that code reads from a table.
const GOT: &str = "got";

/// Bytes of a slot of that table.
const SLOT: u64 = 8;

pub(super) fn load(
    reading: &Reading<'_>,
    architecture: Architecture,
    placement: &Placement,
    imports: &BTreeMap<String, u64>,
) -> Result<Module, ModuleError> {
    let (linking, linked) = linked(reading)?;
    let context = Linker { reading, linking, linked: &linked, placement, imports };
    let interface = context.interface(architecture, &placement.bases);
    let mut segments = placement.segments(reading.file)?;
    let slots = context.slots();
    let got = context.got(&slots);
    let mut stubs = Stubs::new(architecture, got.as_ref().map_or(placement.after, after));
    let writes = context.writes(&slots, &mut stubs).map_err(|e| context.unresolvable(e))?;
    apply(&mut segments, &writes);
    segments.extend(got);
    segments.extend(stubs.segment());
    let mut origins = placement.origins(reading);
    origins.extend(context.symbol_origins());
    origins.extend(context.relocation_origins());
    let symbols = linked.symbols.iter().filter_map(|symbol| {
        let Meaning::Defined(address @ Address::In { .. }) = symbol.meaning else { return None };
        Some(Symbol { name: symbol.name.clone()?, address: address.at(&placement.bases) })
    });
    let symbols = symbols.collect();
    Ok(Module {
        program: Program { architecture, segments, symbols },
        functions: interface.functions,
        origins,
        thread_safe: interface.thread_safe,
    })
}

pub(super) fn interface(
    reading: &Reading<'_>,
    architecture: Architecture,
    bases: &[u64],
) -> Result<Interface, ModuleError> {
    let (linking, linked) = linked(reading)?;
    let placement = Placement { images: Vec::new(), bases: bases.to_vec(), after: 0 };
    let imports = BTreeMap::new();
    let linker =
        Linker { reading, linking, linked: &linked, placement: &placement, imports: &imports };
    Ok(linker.interface(architecture, bases))
}

fn linked<'a>(reading: &Reading<'a>) -> Result<(&'a Linking, Linked), ModuleError> {
    let linking = reading.format.linking.as_ref();
    let linked = link(reading.format, reading.model, reading.file);
    let Some((linking, linked)) = linking.zip(linked) else {
        return Err(ModuleError::Unsupported(format!("{} has no symbols", reading.format.id)));
    };
    if linked.unsaid > 0 {
        let unsaid = linked.unsaid;
        return Err(ModuleError::Unsupported(format!(
            "the spec does not say what {unsaid} of its relocations write"
        )));
    }
    Ok((linking, linked))
}

/// A file that is being linked.
struct Linker<'a> {
    reading: &'a Reading<'a>,
    linking: &'a Linking,
    linked: &'a Linked,
    placement: &'a Placement,
    imports: &'a BTreeMap<String, u64>,
}

impl Linker<'_> {
    fn interface(&self, architecture: Architecture, bases: &[u64]) -> Interface {
        let convention = self.convention(architecture);
        let images = &self.reading.format.images;
        let function = |(index, symbol): (usize, &harness_codec::link::Symbol)| {
            let Meaning::Defined(address @ Address::In { image, .. }) = symbol.meaning else {
                return None;
            };
            (images.get(image)?.permissions == "rx").then_some(())?;
            Some(Function {
                name: symbol.name.clone()?,
                address: address.at(bases),
                size: self.size(index),
                exported: symbol.exported,
                signature: None,
                convention,
                pure: false,
            })
        };
        let import = |symbol: &harness_codec::link::Symbol| {
            let Meaning::Imported { weak } = symbol.meaning else { return None };
            Some(Import { name: symbol.name.clone()?, weak })
        };
        let symbols = &self.linked.symbols;
        Interface {
            architecture,
            functions: symbols.iter().enumerate().filter_map(function).collect(),
            imports: symbols.iter().filter_map(import).collect(),
            thread_safe: false, // no field says it
            structures: Vec::new(),
        }
    }

    /// The C convention of the platform that the file is for.
    fn convention(&self, architecture: Architecture) -> Convention {
        let platform = self.reading.header().and_then(|header| header.code("platform"));
        match (architecture, platform) {
            (Architecture::X86_64, Some("windows")) => Convention::Win64,
            _ => Convention::c(architecture),
        }
    }

    fn import(&self, name: &str) -> Option<u64> {
        self.imports.get(name).copied()
    }

    fn record(&self, symbol: usize) -> Option<&Node> {
        self.reading.model.regions.get(self.linking.symbols.table)?.node.children().get(symbol)
    }

    /// Bytes of a symbol, where the table says it in a field `size`.
    fn size(&self, symbol: usize) -> Option<u64> {
        let region = self.reading.format.regions.get(self.linking.symbols.table)?;
        let record = self.reading.format.records.get(region.record()?)?;
        let size = record.fields.iter().position(|field| field.name == "size")?;
        self.record(symbol)?.at(&[size])?.number()
    }

    /// The slot of each symbol whose address code reads from memory.
    fn slots(&self) -> BTreeMap<usize, u64> {
        let kinds = &self.reading.format.relocations;
        let reads = |kind: usize| {
            kinds.get(kind).is_some_and(|k| k.calc.terms.iter().any(|t| t.symbol == Letter::G))
        };
        let mut symbols: Vec<usize> =
            self.linked.patches.iter().filter(|p| reads(p.kind)).map(|p| p.symbol).collect();
        symbols.sort_unstable();
        symbols.dedup();
        let slots = (self.placement.after..).step_by(8);
        symbols.into_iter().zip(slots).collect()
    }

    /// The table of addresses, if one is needed.
    fn got(&self, slots: &BTreeMap<usize, u64>) -> Option<Segment> {
        let address = slots.values().min()?;
        let value = |symbol: &usize| {
            let address = self.linked.address(*symbol, |name| self.import(name));
            address.map_or(0, |address| address.at(&self.placement.bases))
        };
        let bytes: Vec<u8> = slots.keys().flat_map(|symbol| value(symbol).to_le_bytes()).collect();
        let size = SLOT * u64::try_from(slots.len()).unwrap_or(u64::MAX);
        let permissions = Permissions::R;
        Some(Segment { name: GOT.to_owned(), address: *address, bytes, size, permissions })
    }

    /// What the relocations write. Where another module's symbol is out of
    /// reach and the format lets the place lead to a stub, it does.
    fn writes(
        &self,
        slots: &BTreeMap<usize, u64>,
        stubs: &mut Stubs,
    ) -> Result<Vec<Write>, Unlinkable> {
        let bases = &self.placement.bases;
        let (mut writes, mut undefined, mut misfit) = (Vec::new(), Vec::new(), Vec::new());
        for patch in &self.linked.patches {
            let Some(kind) = self.reading.format.relocations.get(patch.kind) else { continue };
            if kind.calc.terms.is_empty() {
                continue;
            }
            let Some(symbol) = self.linked.address(patch.symbol, |name| self.import(name)) else {
                undefined.push(patch.record);
                continue;
            };
            let foreign = matches!(symbol, Address::Number(_));
            let symbol = symbol.at(bases);
            let slot = slots.get(&patch.symbol).copied().unwrap_or(0);
            let mut value = patch.value(&kind.calc, bases, symbol, slot);
            if !fits(kind, value) && kind.stub && foreign {
                value = patch.value(&kind.calc, bases, stubs.to(symbol), slot);
            }
            if !fits(kind, value) {
                misfit.push(patch.record);
            }
            let base = bases.get(patch.image).copied().unwrap_or(0);
            let width = usize::from(kind.width.unwrap_or(8));
            writes.push(Write { address: base.wrapping_add(patch.at), value, width });
        }
        match (undefined.into_iter().min(), misfit.into_iter().min()) {
            (Some(record), _) => Err(Unlinkable::Undefined(record)),
            (None, Some(record)) => Err(Unlinkable::OutOfRange(record)),
            (None, None) => Ok(writes),
        }
    }

    fn symbol_name(&self, symbol: usize) -> &str {
        let name = self.linked.symbols.get(symbol).and_then(|symbol| symbol.name.as_deref());
        name.unwrap_or("(without a name)")
    }

    fn unresolvable(&self, error: Unlinkable) -> ModuleError {
        let (Unlinkable::Undefined(offset) | Unlinkable::OutOfRange(offset)) = error;
        let patch = self.linked.patches.iter().find(|patch| patch.record == offset);
        let symbol = patch.map_or("", |patch| self.symbol_name(patch.symbol));
        let kind = patch.and_then(|patch| self.reading.format.relocations.get(patch.kind));
        let kind = kind.map_or("", |kind| kind.name.as_str());
        let what = match error {
            Unlinkable::Undefined(_) => format!("nobody defines `{symbol}`"),
            Unlinkable::OutOfRange(_) => format!("{kind} does not reach `{symbol}`"),
        };
        ModuleError::Unresolvable { what, offset }
    }

    fn symbol_origins(&self) -> Vec<Origin> {
        let table = &self.linking.symbols;
        let origin = |(index, symbol): (usize, &harness_codec::link::Symbol)| {
            let Meaning::Defined(address @ Address::In { .. }) = symbol.meaning else {
                return None;
            };
            let mut steps = vec![index];
            steps.extend(&table.value);
            Some(Origin {
                address: address.at(&self.placement.bases),
                size: self.size(index).unwrap_or(1).max(1),
                field: self.reading.path(table.table, steps),
                offset: self.record(index)?.at(&table.value)?.span.offset(),
                what: format!("symbol {}", self.symbol_name(index)),
                symbol: None,
            })
        };
        self.linked.symbols.iter().enumerate().filter_map(origin).collect()
    }

    fn relocation_origins(&self) -> Vec<Origin> {
        let sites = self.relocation_sites();
        let origin = |patch: &harness_codec::link::Patch| {
            let kind = self.reading.format.relocations.get(patch.kind)?;
            let width = u64::from(kind.width.unwrap_or(8));
            (width > 0).then_some(())?;
            let base = self.placement.bases.get(patch.image)?;
            Some(Origin {
                address: base.wrapping_add(patch.at),
                size: width,
                field: sites.get(&patch.record)?.clone(),
                offset: patch.record,
                what: format!("{} of symbol {}", kind.name, self.symbol_name(patch.symbol)),
                symbol: Some(self.symbol_name(patch.symbol).to_owned()),
            })
        };
        self.linked.patches.iter().filter_map(origin).collect()
    }

    /// Path of each relocation's record, by its file offset.
    fn relocation_sites(&self) -> BTreeMap<u64, String> {
        let table = self.linking.relocations.table;
        let region = self.reading.model.regions.get(table);
        let elements = region.map(|region| region.node.children()).unwrap_or_default();
        let mut sites = BTreeMap::new();
        for (index, element) in elements.iter().enumerate() {
            match &element.value {
                Value::List(records) => {
                    sites.extend(records.iter().enumerate().map(|(n, record)| {
                        (record.span.offset(), self.reading.path(table, vec![index, n]))
                    }));
                }
                _ => {
                    sites.insert(element.span.offset(), self.reading.path(table, vec![index]));
                }
            }
        }
        sites
    }
}
