//! Files of formats with linking, put together from sections, symbols and relocations.
//!
//! What a section or symbol is called in the format follows from the spec's conditions: to make one that an image
//! takes, its fields are set until the image's condition holds.

use blobspec::Format;
use blobspec::format::{
    Condition, Content, FieldRef, ImageSource, LinkedSymbols, Linking, Meaning, Payloads, Sections,
    Test,
};
use harness_codec::{Draft, Item, satisfy};

use crate::base::{Builder, Shape};

/// A file to be made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    pub(crate) sections: Vec<Section>,
    pub(crate) symbols: Vec<Symbol>,
}

/// One section.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
    /// Bytes in memory; `None`: those in the file.
    pub(crate) virtual_size: Option<u64>,
    pub(crate) align: u64,
    /// File offset and size that are said of a section without bytes in the file.
    pub(crate) unread: Option<(u64, u64)>,
    pub(crate) relocations: Vec<Relocation>,
}

/// What a section is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Part of an image: its position, and that of a code among those that the image takes.
    Image(usize, usize),
    /// Relocations.
    Relocations,
    /// Something else with this code.
    Other(u64),
}

/// One symbol.
#[derive(Clone, Debug)]
pub(crate) struct Symbol {
    pub(crate) name: String,
    /// The image that it lies in; `None`: not an address.
    pub(crate) image: Option<usize>,
    /// Position among the codes of symbols that lie there.
    pub(crate) which: usize,
    pub(crate) binding: Binding,
    pub(crate) value: u64,
}

/// Who sees a symbol, and who defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    Local,
    Exported,
    Weak,
    Imported,
    WeaklyImported,
}

/// One relocation; `kind` is a position in the spec's list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relocation {
    pub(crate) kind: usize,
    pub(crate) place: u64,
    pub(crate) symbol: u64,
    pub(crate) addend: i64,
}

/// What the maker of scenes looks up again and again.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'f> {
    pub(crate) format: &'f Format,
    pub(crate) linking: &'f Linking,
    payloads: &'f Payloads,
    contents: usize,
    relocations: &'f Condition,
}

impl<'f> Stage<'f> {
    /// `None` for formats without linking, or whose relocations do not lie in sections.
    pub(crate) fn of(format: &'f Format) -> Option<Self> {
        let linking = format.linking.as_ref()?;
        let Content::Inside { payloads: contents, filter: relocations, .. } =
            &format.regions.get(linking.relocations.table)?.content
        else {
            return None;
        };
        let Content::Payloads(payloads) = &format.regions.get(*contents)?.content else {
            return None;
        };
        Some(Self { format, linking, payloads, contents: *contents, relocations })
    }

    /// The image that relocations change: code.
    pub(crate) fn code(&self) -> usize {
        self.linking.relocations.image
    }

    /// The first image besides the code.
    pub(crate) fn data(&self) -> Option<usize> {
        (0..self.format.images.len()).find(|image| *image != self.code())
    }

    pub(crate) fn sections(&self, image: usize) -> Option<&'f Sections> {
        match &self.format.images.get(image)?.source {
            ImageSource::Sections(sections) => Some(sections),
            ImageSource::Region(_) => None,
        }
    }

    /// Codes of the sections that an image takes.
    pub(crate) fn codes(&self, image: usize) -> &'f [u64] {
        self.sections(image).map(|sections| selector(&sections.filter).1).unwrap_or_default()
    }

    /// Whether sections of that code have bytes in the file.
    pub(crate) fn has_bytes(&self, code: u64) -> bool {
        let (field, _) = selector(self.relocations);
        let passes = |(tested, test): &(FieldRef, Test)| Some(tested) != field || test.passes(code);
        let alternatives = &self.payloads.filter.alternatives;
        alternatives.is_empty() || alternatives.iter().any(|tests| tests.iter().all(passes))
    }

    /// Position of the relocation that writes nothing, and of those that write.
    pub(crate) fn kinds(&self) -> (Option<usize>, Vec<usize>) {
        let writes = |kind: &usize| !self.format.relocations[*kind].calc.terms.is_empty();
        let all = 0..self.format.relocations.len();
        (all.clone().find(|kind| !writes(kind)), all.filter(writes).collect())
    }

    pub(crate) fn width(&self, kind: usize) -> u64 {
        u64::from(self.format.relocations[kind].width.unwrap_or(8))
    }

    /// The draft that writes `scene`, in a file of that shape's profile.
    pub(crate) fn draft(&self, scene: &Scene, shape: &Shape) -> Draft {
        let builder = Builder { format: self.format, shape };
        let mut draft = builder.draft();
        for (site, code) in &shape.codes {
            if let Some(item) = draft.get_mut(site) {
                *item = Item::Number(*code);
            }
        }
        let table = self.payloads.table;
        let sections = scene.sections.iter().map(|section| self.section(&builder, section));
        let sections = Item::List(sections.collect());
        draft.regions[table].item = sections;
        let contents = scene.sections.iter().map(|section| self.content(section));
        draft.regions[self.contents].item = Item::List(contents.collect());
        let lists = scene.sections.iter().map(|section| match section.kind {
            Kind::Relocations => {
                let records = section.relocations.iter().map(|r| self.relocation(&builder, r));
                Item::List(records.collect())
            }
            _ => Item::Absent,
        });
        draft.regions[self.linking.relocations.table].item = Item::List(lists.collect());
        let symbols = scene.symbols.iter().map(|symbol| self.symbol(&builder, &draft, symbol));
        let symbols = Item::List(symbols.collect());
        draft.regions[self.linking.symbols.table].item = symbols;
        for rule in self.format.rules.iter().filter(|rule| rule.active) {
            satisfy(self.format, rule, &mut draft);
        }
        draft
    }

    fn blank(&self, builder: &Builder<'_>, region: usize) -> Item {
        let spec = &self.format.regions[region];
        let mut item = builder.record(spec.record().unwrap_or_default(), spec, 0);
        if let Item::Record(fields) = &mut item {
            for field in fields.iter_mut() {
                if let Item::Number(number) = field {
                    *number = 0;
                }
            }
        }
        item
    }

    fn section(&self, builder: &Builder<'_>, section: &Section) -> Item {
        let mut item = self.blank(builder, self.payloads.table);
        let image = match section.kind {
            Kind::Image(image, _) => image,
            _ => self.code(),
        };
        let code = match section.kind {
            Kind::Image(image, which) => self.codes(image).get(which).copied().unwrap_or(0),
            Kind::Relocations => selector(self.relocations).1.first().copied().unwrap_or(0),
            Kind::Other(code) => code,
        };
        if let (Some(FieldRef::Enclosing { field, inner, .. }), _) = selector(self.relocations) {
            let path: Vec<usize> = std::iter::once(*field).chain(inner.iter().copied()).collect();
            put(&mut item, &path, code);
        }
        if let Some(sections) = self.sections(image) {
            let size = section.virtual_size.unwrap_or(section.bytes.len() as u64);
            sections.virtual_size.iter().for_each(|path| put(&mut item, path, size));
            sections.align.iter().for_each(|path| put(&mut item, path, section.align));
        }
        if let Some((offset, size)) = section.unread {
            for (path, value) in [(&self.payloads.offset, offset), (&self.payloads.size, size)] {
                if let Some(field) = at_mut(&mut item, path) {
                    *field = Item::Number(value);
                }
            }
        }
        item
    }

    fn content(&self, section: &Section) -> Item {
        let code = match section.kind {
            Kind::Image(image, which) => self.codes(image).get(which).copied().unwrap_or(0),
            Kind::Relocations => return Item::Bytes(section.bytes.clone()),
            Kind::Other(code) => code,
        };
        if self.has_bytes(code) { Item::Bytes(section.bytes.clone()) } else { Item::Absent }
    }

    fn relocation(&self, builder: &Builder<'_>, relocation: &Relocation) -> Item {
        let linked = &self.linking.relocations;
        let mut item = self.blank(builder, linked.table);
        let code = self.format.relocations[relocation.kind].code.unwrap_or(0);
        for (path, value) in [
            (&linked.place, relocation.place),
            (&linked.symbol, relocation.symbol),
            (&linked.kind, code),
            (&linked.addend, relocation.addend.cast_unsigned()),
        ] {
            put(&mut item, path, value);
        }
        item
    }

    fn symbol(&self, builder: &Builder<'_>, draft: &Draft, symbol: &Symbol) -> Item {
        let linked = &self.linking.symbols;
        let mut item = self.blank(builder, linked.table);
        if let Some(name) = at_mut(&mut item, &linked.name) {
            *name = Item::Name(symbol.name.clone());
        }
        let own = linked.images.iter().find(|(image, _)| Some(*image) == symbol.image);
        match own.or(linked.images.first()).filter(|_| symbol.image.is_some()) {
            Some((_, condition)) => {
                force(&mut item, condition);
                choose(&mut item, condition, symbol.which);
            }
            None => self.no_address(&mut item),
        }
        put(&mut item, &linked.value, symbol.value);
        match symbol.binding {
            Binding::Exported | Binding::Imported => force(&mut item, &linked.exported),
            Binding::Weak | Binding::WeaklyImported => {
                linked.weak.iter().for_each(|weak| force(&mut item, weak));
            }
            Binding::Local => {}
        }
        if matches!(symbol.binding, Binding::Imported | Binding::WeaklyImported) {
            return item;
        }
        defined(linked, draft, &item, symbol).unwrap_or(item)
    }

    /// Sets the field that tells the images' symbols apart to a code that no image takes.
    fn no_address(&self, item: &mut Item) {
        let conditions = self.linking.symbols.images.iter().map(|(_, condition)| condition);
        let taken: Vec<u64> = conditions.clone().flat_map(|c| selector(c).1.to_vec()).collect();
        let field = conditions.clone().find_map(|condition| selector(condition).0);
        let Some(field @ FieldRef::Enclosing { field: position, inner, .. }) = field else {
            return;
        };
        let scalar = self.format.field_of(field).and_then(|field| field.field_type.scalar());
        let Some(Meaning::Enum(index)) = scalar.map(|scalar| scalar.meaning) else { return };
        let values = &self.format.enums[index].values;
        if let Some(value) = values.iter().find(|value| !taken.contains(&value.code)) {
            let path: Vec<usize> =
                std::iter::once(*position).chain(inner.iter().copied()).collect();
            put(item, &path, value.code);
        }
    }
}

/// The symbol with as little changed as makes the module define it: its value and its binding stay.
fn defined(linked: &LinkedSymbols, draft: &Draft, item: &Item, symbol: &Symbol) -> Option<Item> {
    let is_right = |item: &Item| {
        let value = item.at(&linked.value) == Some(&Item::Number(symbol.value));
        let exported = draft.holds(&linked.exported, item);
        let weak = linked.weak.as_ref().is_some_and(|weak| draft.holds(weak, item));
        let binding = match symbol.binding {
            Binding::Exported => exported,
            Binding::Weak => weak,
            _ => !exported && !weak,
        };
        value && binding && draft.holds(&linked.defined, item)
    };
    if is_right(item) {
        return Some(item.clone());
    }
    // The later alternatives are about sizes, which nothing else depends on.
    linked.defined.alternatives.iter().rev().find_map(|tests| {
        let mut item = item.clone();
        force_tests(&mut item, tests);
        is_right(&item).then_some(item)
    })
}

/// The one field of a condition with the codes that it takes.
fn selector(condition: &Condition) -> (Option<&FieldRef>, &[u64]) {
    match condition.alternatives.as_slice() {
        [tests] => match tests.as_slice() {
            [(field, Test::In(codes))] => (Some(field), codes),
            _ => (None, &[]),
        },
        _ => (None, &[]),
    }
}

/// Sets the one field of a condition to another of its codes.
fn choose(record: &mut Item, condition: &Condition, which: usize) {
    if let (Some(FieldRef::Enclosing { field, inner, .. }), codes) = selector(condition)
        && let Some(code) = codes.get(which)
    {
        let path: Vec<usize> = std::iter::once(*field).chain(inner.iter().copied()).collect();
        put(record, &path, *code);
    }
}

/// Sets the record's fields so that the first alternative of the condition holds.
pub(crate) fn force(record: &mut Item, condition: &Condition) {
    if let Some(tests) = condition.alternatives.first() {
        force_tests(record, tests);
    }
}

fn force_tests(record: &mut Item, tests: &[(FieldRef, Test)]) {
    for (field, test) in tests {
        let FieldRef::Enclosing { field, inner, .. } = field else { continue };
        let path: Vec<usize> = std::iter::once(*field).chain(inner.iter().copied()).collect();
        let Some(Item::Number(value)) = at_mut(record, &path) else { continue };
        if !test.passes(*value) {
            *value = passing(test, *value);
        }
    }
}

/// The value nearest to `value` that passes.
pub(crate) fn passing(test: &Test, value: u64) -> u64 {
    match test {
        Test::In(codes) => codes.first().copied().unwrap_or(value),
        Test::NotIn(codes) => (1..).find(|code| !codes.contains(code)).unwrap_or(value),
        Test::Range(min, max) => value.clamp(*min, *max),
        Test::Bits { set, clear } => (value | set) & !clear,
    }
}

fn at_mut<'i>(item: &'i mut Item, path: &[usize]) -> Option<&'i mut Item> {
    path.iter().try_fold(item, |item, step| item.children_mut()?.get_mut(*step))
}

fn put(item: &mut Item, path: &[usize], value: u64) {
    if let Some(item @ Item::Number(_)) = at_mut(item, path) {
        *item = Item::Number(value);
    }
}

/// The scene of a base file: nothing, one of each thing, or all there is; tables of other lengths where the shape
/// says so.
pub(crate) fn of_shape(stage: &Stage<'_>, stub: &[u8], shape: &Shape) -> Scene {
    let own = |region: usize| shape.per_region.get(&region).copied();
    let numbers = [
        own(stage.payloads.table),
        own(stage.linking.symbols.table),
        own(stage.linking.relocations.table),
    ];
    if numbers.iter().any(Option::is_some) {
        let [sections, symbols, relocations] =
            numbers.map(|number| number.unwrap_or(shape.elements));
        return counted(stage, stub, sections, symbols, relocations);
    }
    match shape.elements {
        0 => Scene::default(),
        1 => counted(stage, stub, 1, 1, 1),
        _ => rich(stage, stub),
    }
}

/// So many sections of code, exported functions and pointers to the first of them.
fn counted(
    stage: &Stage<'_>,
    stub: &[u8],
    sections: usize,
    symbols: usize,
    relocations: usize,
) -> Scene {
    let (_, writing) = stage.kinds();
    let kind = writing.first().copied().unwrap_or(0);
    let width = stage.width(kind);
    let relocations = if symbols == 0 || sections == 0 { 0 } else { relocations };
    let code = code_bytes(stub, relocations as u64 * width + stub.len() as u64);
    let mut made: Vec<Section> = (0..sections)
        .map(|index| {
            let bytes = if index == 0 { code.clone() } else { stub.to_vec() };
            section(Kind::Image(stage.code(), 0), bytes)
        })
        .collect();
    let places = (0..relocations as u64).map(|index| Relocation {
        kind,
        place: stub.len() as u64 + index * width,
        symbol: 0,
        addend: 0,
    });
    if relocations > 0 {
        let relocations = places.collect();
        made.push(Section { relocations, ..section(Kind::Relocations, Vec::new()) });
    }
    let image = (sections > 0).then(|| stage.code());
    let symbols = (0..symbols).map(|index| Symbol {
        name: format!("function_{index}"),
        image,
        which: 0,
        binding: Binding::Exported,
        value: 0,
    });
    Scene { sections: made, symbols: symbols.collect() }
}

/// A section whose size in memory is that in the file.
pub(crate) fn section(kind: Kind, bytes: Vec<u8>) -> Section {
    Section { kind, bytes, virtual_size: None, align: 16, unread: None, relocations: Vec::new() }
}

/// Code that returns at once, then bytes that differ from their neighbours.
pub(crate) fn code_bytes(stub: &[u8], length: u64) -> Vec<u8> {
    let length = usize::try_from(length).unwrap_or_default().max(stub.len());
    let rest = (stub.len()..length).map(|at| (at.wrapping_mul(7).wrapping_add(0x11) & 0xff) as u8);
    stub.iter().copied().chain(rest).collect()
}

/// Symbols of the rich scene, by position.
pub(crate) mod symbols {
    pub(crate) const GLOBAL: u64 = 1;
    pub(crate) const DATA: u64 = 3;
    pub(crate) const IMPORT: u64 = 5;
}

/// Every kind of section, symbol and relocation once.
pub(crate) fn rich(stage: &Stage<'_>, stub: &[u8]) -> Scene {
    let (none, writing) = stage.kinds();
    let length = 64 + 16 * writing.len() as u64;
    let mut sections = vec![section(Kind::Image(stage.code(), 0), code_bytes(stub, length))];
    for image in (0..stage.format.images.len()).filter(|image| *image != stage.code()) {
        for (which, code) in stage.codes(image).iter().enumerate() {
            let bytes = if stage.has_bytes(*code) { code_bytes(&[], 24) } else { Vec::new() };
            let virtual_size = Some(40);
            sections.push(Section { virtual_size, ..section(Kind::Image(image, which), bytes) });
        }
    }
    let place = |(index, kind): (usize, usize)| Relocation {
        kind,
        place: 32 + 16 * index as u64,
        symbol: if index == 0 { symbols::GLOBAL } else { symbols::DATA },
        addend: -4,
    };
    let mut relocations: Vec<Relocation> = writing.into_iter().enumerate().map(place).collect();
    let nothing = |kind| Relocation { kind, place: 0, symbol: symbols::IMPORT, addend: 1 };
    relocations.extend(none.map(nothing));
    sections.push(Section { relocations, ..section(Kind::Relocations, Vec::new()) });
    let (field, _) = selector(stage.relocations);
    let scalar = field.and_then(|field| stage.format.field_of(field));
    if let Some(Meaning::Enum(index)) =
        scalar.and_then(|field| field.field_type.scalar()).map(|scalar| scalar.meaning)
    {
        let known: Vec<u64> = (0..stage.format.images.len())
            .flat_map(|image| stage.codes(image).to_vec())
            .chain(selector(stage.relocations).1.to_vec())
            .collect();
        let others = stage.format.enums[index].values.iter().filter(|v| !known.contains(&v.code));
        sections.extend(others.map(|v| section(Kind::Other(v.code), vec![0xa5; 5])));
    }
    Scene { sections, symbols: rich_symbols(stage, stub.len() as u64) }
}

fn rich_symbols(stage: &Stage<'_>, after: u64) -> Vec<Symbol> {
    use Binding::{Exported, Imported, Local, Weak, WeaklyImported};
    let code = Some(stage.code());
    let data = stage.data().or(code);
    let all = [
        ("local_function", code, Local, after),
        ("function", code, Exported, 0),
        ("weak_function", code, Weak, after),
        ("variable", data, Exported, 8),
        ("local_variable", data, Local, 0),
        ("imported", code, Imported, 0),
        ("weakly_imported", code, WeaklyImported, 0),
        ("not_an_address", None, Exported, 3),
    ];
    let symbol = |(name, image, binding, value): (&str, _, _, _)| Symbol {
        name: name.to_owned(),
        image,
        which: 0,
        binding,
        value,
    };
    all.map(symbol).into()
}
