//! Scenes to be loaded: every relocation at every kind of place, images of every layout, imports.

use std::collections::BTreeMap;

use crate::scene::{Binding, Kind, Relocation, Scene, Section, Stage, Symbol, code_bytes, section};

/// A scene and what a host offers to it.
pub(crate) struct Load {
    /// Name for the id: `relocations/abs64/to-data`.
    pub(crate) name: String,
    pub(crate) edit: String,
    pub(crate) why: &'static str,
    pub(crate) scene: Scene,
    pub(crate) imports: BTreeMap<String, u64>,
}

/// All of them. `stub` is code that returns at once.
pub(crate) fn loads(stage: &Stage<'_>, stub: &[u8]) -> Vec<Load> {
    let maker = Maker { stage: *stage, stub };
    let mut loads = maker.relocations();
    loads.extend(maker.ranges());
    loads.extend(maker.imports());
    loads.extend(maker.relocation_sections());
    loads.extend(maker.layouts());
    loads.extend(maker.names());
    loads
}

struct Maker<'a> {
    stage: Stage<'a>,
    stub: &'a [u8],
}

/// Bytes of the code section of most scenes: room for several places, not a multiple of their width.
const CODE: u64 = 77;

const TARGETS: [(&str, u64); 6] = [
    ("to-before", 0),
    ("to-after", 1),
    ("to-weak", 2),
    ("to-data", 3),
    ("to-zeros", 4),
    ("to-constant", 5),
];

impl Maker<'_> {
    fn name_of(&self, kind: usize) -> &str {
        &self.stage.format.relocations[kind].name
    }

    /// Code, then each kind of data section, then the relocations.
    fn scene(&self, relocations: Vec<Relocation>) -> Scene {
        let mut sections = vec![self.code(CODE)];
        sections.extend(self.data());
        sections.push(Section { relocations, ..section(Kind::Relocations, Vec::new()) });
        Scene { sections, symbols: self.symbols() }
    }

    fn code(&self, length: u64) -> Section {
        section(Kind::Image(self.stage.code(), 0), code_bytes(self.stub, length))
    }

    fn data(&self) -> Vec<Section> {
        let Some(image) = self.stage.data() else { return Vec::new() };
        let codes = self.stage.codes(image).iter().enumerate();
        let make = |(which, code): (usize, &u64)| {
            let bytes = if self.stage.has_bytes(*code) { code_bytes(&[], 40) } else { Vec::new() };
            Section { virtual_size: Some(100), ..section(Kind::Image(image, which), bytes) }
        };
        codes.map(make).collect()
    }

    /// Symbols in the code, and at the byte after the start of writable, zero and read-only data where each of
    /// [`Maker::data`] gets 100 bytes and permissions change by pages.
    fn symbols(&self) -> Vec<Symbol> {
        let code = Some(self.stage.code());
        let data = self.stage.data().or(code);
        [
            ("before", code, Binding::Local, 0),
            ("after", code, Binding::Exported, CODE - 1),
            ("weak", code, Binding::Weak, 5),
            ("variable", data, Binding::Exported, 3),
            ("zeros", data, Binding::Local, 116),
            ("constant", data, Binding::Exported, 4101),
        ]
        .map(|(name, image, binding, value)| {
            let which = usize::from(name == "constant");
            Symbol { name: name.into(), image, which, binding, value }
        })
        .into()
    }

    fn load(&self, name: String, edit: String, why: &'static str, scene: Scene) -> Load {
        Load { name, edit, why, scene, imports: BTreeMap::new() }
    }

    /// Every kind to every target with several addends, and at every kind of place.
    fn relocations(&self) -> Vec<Load> {
        let (none, writing) = self.stage.kinds();
        let mut loads = Vec::new();
        for kind in writing.iter().copied().chain(none) {
            let width = self.stage.width(kind);
            for (target, symbol) in TARGETS {
                let addends = [0, -4, 8, -1];
                let places = addends.iter().enumerate().map(|(index, addend)| Relocation {
                    kind,
                    place: 9 * (index as u64 + 1), // most of them unaligned
                    symbol,
                    addend: *addend,
                });
                let name = format!("{}/{target}", self.name_of(kind));
                let edit = format!("{} {target}, addends {addends:?}", self.name_of(kind));
                let why = "the formula is applied with another symbol, sign or place";
                loads.push(self.load(name, edit, why, self.scene(places.collect())));
            }
            let places =
                [("first", 0), ("unaligned", 3), ("last", CODE - width), ("page-end", CODE)];
            for (where_, place) in places.into_iter().filter(|(_, p)| p + width <= CODE) {
                let relocation = Relocation { kind, place, symbol: 1, addend: -4 };
                let name = format!("{}/at-{where_}", self.name_of(kind));
                let edit = format!("{} at {place:#x} of {CODE} bytes", self.name_of(kind));
                let why =
                    "the first or last bytes of an image are not patched, or by an aligned store";
                loads.push(self.load(name, edit, why, self.scene(vec![relocation])));
            }
        }
        loads.extend(writing.iter().map(|kind| self.several_symbols(*kind)));
        loads.extend(writing.iter().filter_map(|kind| self.wide_addends(*kind)));
        loads
    }

    /// Places of one kind that lead to different symbols: two of the module, two of the host.
    fn several_symbols(&self, kind: usize) -> Load {
        let places = [1, 3, 6, 7, 6].iter().enumerate().map(|(index, symbol)| Relocation {
            kind,
            place: 9 * (index as u64 + 1),
            symbol: *symbol,
            addend: -4,
        });
        let mut scene = self.scene(places.collect());
        for name in ["host", "other_host"] {
            scene.symbols.push(symbol(name, Some(self.stage.code()), Binding::Imported));
        }
        let name = format!("{}/to-several-symbols", self.name_of(kind));
        let edit = format!("{} to two symbols here and two of the host", self.name_of(kind));
        let why = "one slot or one stub serves all symbols";
        let imports = [("host".to_owned(), 0x20), ("other_host".to_owned(), 0x30)].into();
        Load { imports, ..self.load(name, edit, why, scene) }
    }

    /// Addends that take all of their 64 bits, and sums that wrap, for a kind whose value may be anything.
    fn wide_addends(&self, kind: usize) -> Option<Load> {
        if self.stage.format.relocations[kind].fits.is_some() {
            return None;
        }
        let addends = [1 << 40, -(1 << 40), i64::MAX, i64::MIN, 0x1234_5678_9abc_def0];
        let places = addends.iter().enumerate().map(|(index, addend)| Relocation {
            kind,
            place: 9 * (index as u64 + 1),
            symbol: 1,
            addend: *addend,
        });
        let name = format!("{}/wide-addends", self.name_of(kind));
        let edit = format!("{} with addends {addends:x?}", self.name_of(kind));
        let why = "addends are cut to 32 bits, or sums do not wrap";
        Some(self.load(name, edit, why, self.scene(places.collect())))
    }

    /// Values at the ends of the ranges of the kinds that have one, and one past.
    fn ranges(&self) -> Vec<Load> {
        let (_, writing) = self.stage.kinds();
        let mut loads = Vec::new();
        for kind in writing {
            let relocation = &self.stage.format.relocations[kind];
            let (low, high) = match relocation.fits.as_deref() {
                Some("i32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
                Some("u32") => (0, i64::from(u32::MAX)),
                _ => continue,
            };
            let place = 16;
            // Symbol 0 is at the start of the code, so the value is the addend less the place.
            let values = [
                ("highest", high),
                ("past-highest", high + 1),
                ("lowest", low),
                ("past-lowest", low - 1),
                ("far-above", 1 << 40),
                ("far-below", -(1 << 40)),
            ];
            for (at, value) in values {
                let addend = value + place;
                let place = place.unsigned_abs();
                let relocation = Relocation { kind, place, symbol: 0, addend };
                let name = format!("{}/value-{at}", self.name_of(kind));
                let edit = format!("the value of {} is {value:#x}", self.name_of(kind));
                let why = "a value that does not fit is cut, and a call goes somewhere else";
                loads.push(self.load(name, edit, why, self.scene(vec![relocation])));
            }
        }
        loads
    }

    fn imports(&self) -> Vec<Load> {
        let (none, writing) = self.stage.kinds();
        let mut loads = Vec::new();
        let given = [("high", 0x7123_4567_89ab), ("odd", 0x1_0000_0001), ("low", 0x10)];
        for kind in writing.iter().copied().chain(none) {
            for (binding, what) in
                [(Binding::Imported, "import"), (Binding::WeaklyImported, "weak-import")]
            {
                let undefined = [("undefined", None)];
                let given = given.iter().map(|(name, address)| (*name, Some(*address)));
                for (name, address) in given.chain(undefined) {
                    loads.push(self.import(kind, binding, what, name, address));
                }
            }
        }
        let mut unused = self.scene(Vec::new());
        unused.symbols.push(symbol("host", Some(self.stage.code()), Binding::Imported));
        let why = "symbols that nothing uses are resolved, and a loadable module is refused";
        loads.push(self.load("import/unused".into(), "an import without use".into(), why, unused));
        loads.push(self.own_before_host());
        loads
    }

    fn import(
        &self,
        kind: usize,
        binding: Binding,
        what: &str,
        name: &str,
        address: Option<u64>,
    ) -> Load {
        let relocation = Relocation { kind, place: 7, symbol: 6, addend: -4 };
        let mut scene = self.scene(vec![relocation]);
        scene.symbols.push(symbol("host", Some(self.stage.code()), binding));
        let name = format!("{}/{what}-{name}", self.name_of(kind));
        let edit = match address {
            Some(address) => format!("`host` is given as {address:#x}"),
            None => "nobody defines `host`".into(),
        };
        let why = "a call goes to an address that nobody gave";
        let imports = address.map(|address| ("host".to_owned(), address)).into_iter().collect();
        Load { imports, ..self.load(name, edit, why, scene) }
    }

    /// A symbol that the module defines itself, and that the host offers as well.
    fn own_before_host(&self) -> Load {
        let (_, writing) = self.stage.kinds();
        let kind = writing.first().copied().unwrap_or(0);
        let relocations =
            [1, 2].map(|symbol| Relocation { kind, place: 16 * symbol, symbol, addend: 0 });
        let scene = self.scene(relocations.into());
        let why = "global symbols are looked up elsewhere although the module defines them";
        let name = "import/own-definition-first".to_owned();
        let edit = "`after` and `weak` are defined here, and offered by the host".to_owned();
        let imports = ["after", "weak"].map(|name| (name.to_owned(), 0x7777_0000_0000)).into();
        Load { imports, ..self.load(name, edit, why, scene) }
    }

    /// No relocation section, empty ones, several.
    fn relocation_sections(&self) -> Vec<Load> {
        let (_, writing) = self.stage.kinds();
        let kind = writing.first().copied().unwrap_or(0);
        let width = self.stage.width(kind);
        let mut loads = Vec::new();
        for (name, lists) in [("none", vec![]), ("empty", vec![0]), ("several", vec![2, 0, 1, 3])] {
            let mut scene = self.scene(Vec::new());
            scene.sections.retain(|section| section.kind != Kind::Relocations);
            let mut next = 1;
            for (position, count) in lists.iter().enumerate() {
                let relocations = (0..*count).map(|index| Relocation {
                    kind,
                    place: (next + index) * width,
                    symbol: index % 2,
                    addend: 0,
                });
                let relocations = relocations.collect();
                next += *count;
                let list = Section { relocations, ..section(Kind::Relocations, Vec::new()) };
                // Before, between and after what they patch.
                let at = (position * 2).min(scene.sections.len());
                scene.sections.insert(at, list);
            }
            let why = "only the first relocation section is applied, or one that follows the code";
            let edit = format!("relocation sections with {lists:?} records");
            loads.push(self.load(format!("sections/relocations-{name}"), edit, why, scene));
        }
        loads
    }

    fn layouts(&self) -> Vec<Load> {
        let mut loads = Vec::new();
        for shift in 0..=12 {
            let align = 1 << shift;
            let mut scene = self.scene(Vec::new());
            scene.sections.retain(|section| section.kind != Kind::Relocations);
            let again: Vec<Section> = scene
                .sections
                .iter()
                .map(|section| Section { align, bytes: section.bytes.clone(), ..section.clone() })
                .collect();
            scene.sections.iter_mut().for_each(|section| section.align = 1);
            scene.sections.extend(again);
            let why = "sections are concatenated, or aligned in the file only";
            let edit = format!("each section twice, the second aligned to {align}");
            loads.push(self.load(format!("sections/align-{align}"), edit, why, scene));
        }
        loads.extend(self.sizes());
        loads.extend(self.orders());
        loads.extend(self.without());
        loads
    }

    /// Bytes in memory that the file does not have.
    fn sizes(&self) -> Vec<Load> {
        let mut loads = Vec::new();
        let sizes =
            [("exact", 0_u64), ("plus-1", 1), ("plus-a-page", 4096), ("plus-a-few", 10_000)];
        for (name, more) in sizes {
            let mut scene = self.scene(Vec::new());
            for section in &mut scene.sections {
                section.virtual_size = Some(section.bytes.len() as u64 + more);
                section.bytes.iter_mut().for_each(|byte| *byte |= 1);
            }
            // Symbols in the middle of the data may lie outside now.
            scene.symbols.truncate(1);
            let why = "bytes that the file does not have are not zero";
            let edit = format!("virtual_size = size + {more}");
            loads.push(self.load(format!("sections/size-{name}"), edit, why, scene));
        }
        for (name, unread) in [("code", (0x240, 40)), ("nowhere", (u64::MAX, u64::MAX))] {
            let mut scene = self.scene(Vec::new());
            let empty = scene
                .sections
                .iter_mut()
                .find(|section| section.bytes.is_empty() && section.kind != Kind::Relocations);
            empty.into_iter().for_each(|section| section.unread = Some(unread));
            let why = "zeros are filled from the file, or their place in it checked";
            let edit = format!("a section of zeros said to lie at {:#x} in the file", unread.0);
            loads.push(self.load(format!("sections/zeros-from-{name}"), edit, why, scene));
        }
        for (name, size) in [("half-a-gib", 1_u64 << 29), ("a-page", 4096)] {
            let mut scene = self.scene(Vec::new());
            let empty = scene
                .sections
                .iter_mut()
                .rev()
                .find(|section| section.bytes.is_empty() && section.kind != Kind::Relocations);
            empty.into_iter().for_each(|section| section.virtual_size = Some(size));
            let why = "memory that nobody uses is touched, or too much of it refused";
            let edit = format!("{size} bytes of zeros");
            loads.push(self.load(format!("sections/zeros-{name}"), edit, why, scene));
        }
        loads
    }

    /// Every order of the data sections, and neighbours of one kind.
    fn orders(&self) -> Vec<Load> {
        let data = self.data();
        let orders: [&[usize]; 8] = [
            &[0, 1, 2],
            &[0, 2, 1],
            &[1, 0, 2],
            &[1, 2, 0],
            &[2, 0, 1],
            &[2, 1, 0],
            &[2, 0, 2],
            &[0, 0, 2, 2, 1],
        ];
        let mut loads = Vec::new();
        for order in orders {
            let chosen: Vec<Section> =
                order.iter().filter_map(|index| data.get(*index).cloned()).collect();
            if chosen.len() < order.len() {
                continue;
            }
            let mut sections = vec![self.code(16)];
            sections.extend(chosen);
            let name: Vec<String> = order.iter().map(ToString::to_string).collect();
            let why = "read-only data can be written, or variables cannot";
            let edit = format!("data sections in the order {order:?}");
            let scene = Scene { sections, symbols: Vec::new() };
            loads.push(self.load(format!("sections/order-{}", name.join("-")), edit, why, scene));
        }
        loads
    }

    /// Modules of which something is missing.
    fn without(&self) -> Vec<Load> {
        let code = self.code(CODE);
        let empty = |kind| section(kind, Vec::new());
        let cases = [
            ("nothing", Vec::new()),
            ("code-only", vec![code.clone()]),
            ("data-only", self.data()),
            ("empty-code", vec![empty(Kind::Image(self.stage.code(), 0))]),
            ("empty-code-and-data", {
                let mut sections = vec![empty(Kind::Image(self.stage.code(), 0))];
                sections.extend(self.data());
                sections
            }),
            ("empty-between", vec![code.clone(), empty(Kind::Image(self.stage.code(), 0)), code]),
        ];
        let why = "a mapping of no bytes fails, and with it the load";
        cases
            .into_iter()
            .map(|(name, sections)| {
                let edit = format!("a module with {}", name.replace('-', " "));
                let scene = Scene { sections, symbols: Vec::new() };
                self.load(format!("sections/{name}"), edit, why, scene)
            })
            .collect()
    }

    /// Exports whose names are hard to tell apart.
    fn names(&self) -> Vec<Load> {
        // The first two have one FNV-1a hash.
        let sets: [(&str, &[&str]); 4] = [
            ("colliding-hashes", &["costarring", "liquid"]),
            ("one-name-twice", &["twice", "twice"]),
            ("tails", &["function", "tion", "n"]),
            ("empty-name", &["", "a"]),
        ];
        let mut loads = Vec::new();
        for (name, names) in sets {
            let mut scene = self.scene(Vec::new());
            scene.symbols = names
                .iter()
                .zip(0..)
                .map(|(name, value)| Symbol {
                    value,
                    ..symbol(name, Some(self.stage.code()), Binding::Exported)
                })
                .collect();
            let why = "a lookup by hash finds another symbol";
            let edit = format!("exports named {names:?}");
            loads.push(self.load(format!("exports/{name}"), edit, why, scene));
        }
        loads
    }
}

fn symbol(name: &str, image: Option<usize>, binding: Binding) -> Symbol {
    Symbol { name: name.to_owned(), image, which: 0, binding, value: 0 }
}
