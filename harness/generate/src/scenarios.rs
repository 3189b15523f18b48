//! Several modules in order: what a registry must do.

use harness_protocol::scenario::{ExpectStep, ModuleAddress, ScenarioStep, Step};
use harness_protocol::{Argument, Call, HexBytes, Returned, Stage as Reached, TypeName};

use crate::code::{forwarding, returning};
use crate::execute::snippets::snippet;
use crate::scene::{Binding, Kind, Relocation, Scene, Section, Stage, Symbol, section};

/// A sequence of steps.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) why: &'static str,
    pub(crate) steps: Vec<ScenarioStep>,
}

/// Writes scenes as files.
pub(crate) type Write<'a> = &'a dyn Fn(&Scene) -> Option<Vec<u8>>;

/// All of them for modules of `architecture`; none for an architecture that is not known here.
pub(crate) fn scenarios(stage: &Stage<'_>, architecture: &str, write: Write<'_>) -> Vec<Scenario> {
    let maker = Maker { stage: *stage, architecture, write };
    maker.all().unwrap_or_default()
}

struct Maker<'a> {
    stage: Stage<'a>,
    architecture: &'a str,
    write: Write<'a>,
}

impl Maker<'_> {
    fn all(&self) -> Option<Vec<Scenario>> {
        let mut all = self.one_module()?;
        all.extend(self.replacing()?);
        all.extend(self.several_modules()?);
        all.extend(self.several_versions()?);
        all.extend(self.lookups()?);
        all.extend(self.calls_between_modules()?);
        Some(all)
    }

    /// A module whose function returns a value.
    fn constant(&self, name: &str, value: u16) -> Option<Vec<u8>> {
        let code = section(self.code(), returning(self.architecture, value)?);
        let symbols = vec![self.symbol(name, Binding::Exported, 0)];
        (self.write)(&Scene { sections: vec![code], symbols })
    }

    /// A module whose function `f` goes on in `target`; with `own`, it defines that itself, returning a value.
    fn forward(&self, target: &str, own: Option<u16>) -> Option<Vec<u8>> {
        let (mut code, place) = forwarding(self.architecture)?;
        let start = 32;
        code.resize(start, 0);
        if let Some(value) = own {
            code.extend(returning(self.architecture, value)?);
        }
        let kind = self.absolute()?;
        let relocation = Relocation { kind, place, symbol: 1, addend: 0 };
        let relocations =
            Section { relocations: vec![relocation], ..section(Kind::Relocations, Vec::new()) };
        let target = match own {
            Some(_) => self.symbol(target, Binding::Exported, start as u64),
            None => self.symbol(target, Binding::Imported, 0),
        };
        let symbols = vec![self.symbol("f", Binding::Exported, 0), target];
        (self.write)(&Scene { sections: vec![section(self.code(), code), relocations], symbols })
    }

    /// A module that imports a symbol and does not use it.
    fn importing(&self, name: &str) -> Option<Vec<u8>> {
        let code = section(self.code(), returning(self.architecture, 0)?);
        let symbols = vec![self.symbol(name, Binding::Imported, 0)];
        (self.write)(&Scene { sections: vec![code], symbols })
    }

    fn code(&self) -> Kind {
        Kind::Image(self.stage.code(), 0)
    }

    fn symbol(&self, name: &str, binding: Binding, value: u64) -> Symbol {
        let image = Some(self.stage.code());
        Symbol { name: name.to_owned(), image, which: 0, binding, value }
    }

    /// A module with one symbol of each binding and kind, and two of one name.
    fn offering(&self) -> Option<Vec<u8>> {
        let (first, second) = (returning(self.architecture, 1)?, returning(self.architecture, 2)?);
        let after = first.len() as u64;
        let data = self.stage.data()?;
        let symbols = vec![
            self.symbol("hidden", Binding::Local, 0),
            self.symbol("replaceable", Binding::Weak, after),
            Symbol { image: None, ..self.symbol("described", Binding::Exported, 1) },
            Symbol { image: Some(data), ..self.symbol("variable", Binding::Exported, 4) },
            Symbol { image: Some(data), which: 1, ..self.symbol("fixed", Binding::Exported, 5) },
            self.symbol("twice", Binding::Exported, after),
            self.symbol("twice", Binding::Exported, 0),
        ];
        let code = section(self.code(), [first, second].concat());
        let sections = vec![code, section(Kind::Image(data, 0), vec![1; 8])];
        (self.write)(&Scene { sections, symbols })
    }

    /// A module that imports `target`, goes on there from `f`, and defines an exported `target` besides.
    fn importing_its_own(&self, target: &str, value: u16) -> Option<Vec<u8>> {
        let (mut code, place) = forwarding(self.architecture)?;
        let start = 32;
        code.resize(start, 0);
        code.extend(returning(self.architecture, value)?);
        let relocation = Relocation { kind: self.absolute()?, place, symbol: 1, addend: 0 };
        let relocations =
            Section { relocations: vec![relocation], ..section(Kind::Relocations, Vec::new()) };
        let symbols = vec![
            self.symbol("f", Binding::Exported, 0),
            self.symbol(target, Binding::Imported, 0),
            self.symbol(target, Binding::Exported, start as u64),
        ];
        (self.write)(&Scene { sections: vec![section(self.code(), code), relocations], symbols })
    }

    /// The relocation that writes a whole address.
    fn absolute(&self) -> Option<usize> {
        let (_, writing) = self.stage.kinds();
        writing.into_iter().find(|kind| {
            let relocation = &self.stage.format.relocations[*kind];
            self.stage.width(*kind) == 8 && relocation.fits.is_none()
        })
    }

    fn image(&self) -> String {
        self.stage.format.images[self.stage.code()].name.clone()
    }

    fn one_module(&self) -> Option<Vec<Scenario>> {
        let (seven, nine) = (self.constant("f", 7)?, self.constant("f", 9)?);
        Some(vec![
            Scenario {
                name: "load-and-call",
                why: "a module is loaded to be called",
                steps: vec![load("a.smf", Some(&seven), "a"), call("a", "f", 7)],
            },
            Scenario {
                name: "load-twice",
                why: "a module that is loaded twice has two states",
                steps: vec![
                    load("a.smf", Some(&seven), "first"),
                    same(load("a.smf", None, "second"), "first"),
                    same(load("./a.smf", None, "third"), "first"),
                    call("third", "f", 7),
                ],
            },
            Scenario {
                name: "changed-file-without-reload",
                why: "a module changes under its users",
                steps: vec![
                    load("a.smf", Some(&seven), "first"),
                    same(load("a.smf", Some(&nine), "second"), "first"),
                    call("second", "f", 7),
                ],
            },
            Scenario {
                name: "unload-while-held",
                why: "code is unmapped that somebody still calls",
                steps: vec![
                    load("a.smf", Some(&seven), "a"),
                    step(Step::Unload { path: "a.smf".into() }, ExpectStep::default()),
                    call("a", "f", 7),
                    absent("f"),
                    apart(load("a.smf", None, "again"), "a"),
                    call("again", "f", 7),
                    call("a", "f", 7),
                ],
            },
            Scenario {
                name: "unload-what-is-not-loaded",
                why: "unloading reports a success that there was not",
                steps: vec![step(
                    Step::Unload { path: "a.smf".into() },
                    stages(Reached::Unresolvable),
                )],
            },
        ])
    }

    fn replacing(&self) -> Option<Vec<Scenario>> {
        let (seven, nine) = (self.constant("f", 7)?, self.constant("f", 9)?);
        let mut broken = nine.clone();
        broken.truncate(nine.len() / 2);
        Some(vec![
            Scenario {
                name: "reload",
                why: "a reload changes code that runs, or does not replace anything",
                steps: vec![
                    load("a.smf", Some(&seven), "old"),
                    apart(reload("a.smf", &nine, "new", ExpectStep::default()), "old"),
                    call("old", "f", 7),
                    call("new", "f", 9),
                    resolve("f", "new", &self.image(), 0),
                    same(load("a.smf", None, "loaded"), "new"),
                ],
            },
            Scenario {
                name: "failed-reload",
                why: "a broken update takes down what worked",
                steps: vec![
                    load("a.smf", Some(&seven), "old"),
                    reload("a.smf", &broken, "new", stages(Reached::Malformed)),
                    call("old", "f", 7),
                    resolve("f", "old", &self.image(), 0),
                    same(load("a.smf", None, "again"), "old"),
                ],
            },
            Scenario {
                name: "failed-load",
                why: "a module that does not load is found later",
                steps: vec![
                    step(load("a.smf", Some(&broken), "a").step, stages(Reached::Malformed)),
                    absent("f"),
                    load("a.smf", Some(&seven), "b"),
                    call("b", "f", 7),
                ],
            },
        ])
    }

    fn several_modules(&self) -> Option<Vec<Scenario>> {
        let (five, six) = (self.constant("g", 5)?, self.constant("g", 6)?);
        let (user, owner) = (self.forward("g", None)?, self.forward("g", Some(3))?);
        Some(vec![
            Scenario {
                name: "import-from-a-module",
                why: "imports are only looked for in the host",
                steps: vec![
                    load("lib.smf", Some(&five), "lib"),
                    load("app.smf", Some(&user), "app"),
                    call("app", "f", 5),
                ],
            },
            Scenario {
                name: "import-in-load-order",
                why: "which module an import means differs from run to run",
                steps: vec![
                    load("z.smf", Some(&five), "z"),
                    load("a.smf", Some(&six), "a"),
                    resolve("g", "z", &self.image(), 0),
                    load("app.smf", Some(&user), "app"),
                    call("app", "f", 5),
                ],
            },
            Scenario {
                name: "own-definition-first",
                why: "another module's function is called instead of one's own",
                steps: vec![
                    load("lib.smf", Some(&five), "lib"),
                    load("app.smf", Some(&owner), "app"),
                    call("app", "f", 3),
                    call("app", "g", 3),
                    resolve("g", "lib", &self.image(), 0),
                ],
            },
        ])
    }

    fn several_versions(&self) -> Option<Vec<Scenario>> {
        let (five, six) = (self.constant("g", 5)?, self.constant("g", 6)?);
        let user = self.forward("g", None)?;
        Some(vec![
            Scenario {
                name: "import-is-no-definition",
                why: "an undefined import of one module satisfies that of another, with address zero",
                steps: vec![
                    load("first.smf", Some(&self.importing("g")?), "first"),
                    absent("g"),
                    step(load("app.smf", Some(&user), "app").step, stages(Reached::Unresolvable)),
                    load("lib.smf", Some(&five), "lib"),
                    load("app.smf", None, "app"),
                    call("app", "f", 5),
                ],
            },
            Scenario {
                name: "reload-of-what-others-import",
                why: "addresses that were patched into another module lead nowhere",
                steps: vec![
                    load("lib.smf", Some(&five), "lib"),
                    load("app.smf", Some(&user), "app"),
                    reload("lib.smf", &six, "newer", ExpectStep::default()),
                    call("app", "f", 5),
                    load("late.smf", Some(&user), "late"),
                    call("late", "f", 6),
                ],
            },
            Scenario {
                name: "own-definition-of-an-import-first",
                why: "another module's function is called instead of one's own",
                steps: vec![
                    load("lib.smf", Some(&five), "lib"),
                    load("app.smf", Some(&self.importing_its_own("g", 3)?), "app"),
                    call("app", "f", 3),
                ],
            },
            Scenario {
                name: "unload-of-what-others-import",
                why: "addresses that were patched into another module lead nowhere",
                steps: vec![
                    load("lib.smf", Some(&five), "lib"),
                    load("app.smf", Some(&user), "app"),
                    step(Step::Unload { path: "lib.smf".into() }, ExpectStep::default()),
                    step(Step::Release { handle: "lib".into() }, ExpectStep::default()),
                    call("app", "f", 5),
                    absent("g"),
                ],
            },
        ])
    }

    /// A module that exports a function that takes an argument, and a variable.
    fn library(&self) -> Option<Vec<u8>> {
        let code = section(self.code(), snippet(self.architecture, "target")?.bytes.0.clone());
        let data = self.stage.data()?;
        let variable = Symbol { image: Some(data), ..self.symbol("counter", Binding::Exported, 4) };
        let symbols = vec![self.symbol("triple", Binding::Exported, 0), variable];
        let bytes = [0, 1000_i32].map(i32::to_le_bytes).concat();
        let sections = vec![code, section(Kind::Image(data, 0), bytes)];
        (self.write)(&Scene { sections, symbols })
    }

    /// A module whose function `f` is a snippet that uses an imported symbol.
    fn using(&self, name: &str, target: &str) -> Option<Vec<u8>> {
        let snippet = snippet(self.architecture, name)?;
        let place = *snippet.marks.get("place")?;
        let relocation = Relocation { kind: self.absolute()?, place, symbol: 1, addend: 0 };
        let relocations =
            Section { relocations: vec![relocation], ..section(Kind::Relocations, Vec::new()) };
        let symbols =
            vec![self.symbol("f", Binding::Exported, 0), self.symbol(target, Binding::Imported, 0)];
        let code = section(self.code(), snippet.bytes.0.clone());
        (self.write)(&Scene { sections: vec![code, relocations], symbols })
    }

    fn calls_between_modules(&self) -> Option<Vec<Scenario>> {
        let library = self.library()?;
        let caller = self.using("through_abs64", "triple")?;
        let mut made = vec![Scenario {
            name: "call-another-module",
            why: "arguments or results are lost between modules",
            steps: vec![
                load("lib.smf", Some(&library), "lib"),
                load("app.smf", Some(&caller), "app"),
                call_with("app", "f", -7, -21),
                call_with("lib", "triple", 5, 15),
            ],
        }];
        if self.has_variables() {
            let counter = self.using("add_abs64", "counter")?;
            made.push(Scenario {
                name: "share-a-variable",
                why: "each user of a module gets a copy of its data",
                steps: vec![
                    load("lib.smf", Some(&library), "lib"),
                    load("one.smf", Some(&counter), "one"),
                    load("two.smf", Some(&counter), "two"),
                    call_with("one", "f", 5, 1000 + 1005),
                    call_with("two", "f", 1, 1005 + 1006),
                    call_with("one", "f", 0, 1006 + 1006),
                ],
            });
        }
        Some(made)
    }

    /// Whether symbols may lie in data, and code may write to it: some readings of a format say otherwise.
    fn has_variables(&self) -> bool {
        let Some(data) = self.stage.data() else { return false };
        let linked = &self.stage.linking.symbols.images;
        linked.iter().any(|(image, _)| *image == data)
            && self.stage.format.images[data].permissions == "rw"
    }

    fn lookups(&self) -> Option<Vec<Scenario>> {
        let (first, second) = (returning(self.architecture, 1)?, returning(self.architecture, 2)?);
        let after = first.len() as u64;
        let code = section(self.code(), [first, second].concat());
        let data = self.stage.data()?;
        let symbols = vec![
            // One FNV-1a hash.
            self.symbol("costarring", Binding::Exported, 0),
            self.symbol("liquid", Binding::Exported, after),
            Symbol { image: Some(data), ..self.symbol("variable", Binding::Exported, 4) },
            self.symbol("import", Binding::Imported, 0),
        ];
        let sections = vec![code, section(Kind::Image(data, 0), vec![1; 8])];
        let module = (self.write)(&Scene { sections, symbols })?;
        let code = self.image();
        let data = &self.stage.format.images[data].name;
        let offering = self.offering()?;
        let exports = Scenario {
            name: "resolve-exports",
            why: "symbols that are no exports satisfy imports, or exports that are no functions do not",
            steps: vec![
                load("a.smf", Some(&offering), "a"),
                absent("hidden"),
                absent("replaceable"),
                absent("described"),
                resolve("variable", "a", data, 4),
                resolve("fixed", "a", data, 5),
                resolve("twice", "a", &code, after),
            ],
        };
        Some(vec![
            exports,
            Scenario {
                name: "find",
                why: "a lookup by hash finds another symbol, or one in another image",
                steps: vec![
                    load("a.smf", Some(&module), "a"),
                    find("a", "costarring", Some((&code, 0))),
                    find("a", "liquid", Some((&code, after))),
                    find("a", "variable", Some((data, 4))),
                    find("a", "import", None),
                    find("a", "liquids", None),
                    resolve("liquid", "a", &code, after),
                    call("a", "liquid", 2),
                    call("a", "costarring", 1),
                ],
            },
        ])
    }
}

fn step(step: Step, expect: ExpectStep) -> ScenarioStep {
    ScenarioStep { step, expect }
}

fn stages(stage: Reached) -> ExpectStep {
    ExpectStep { stages: vec![stage], ..ExpectStep::default() }
}

fn load(path: &str, bytes: Option<&[u8]>, handle: &str) -> ScenarioStep {
    let bytes = bytes.map(|bytes| HexBytes(bytes.to_vec()));
    let load = Step::Load { path: path.into(), bytes, handle: handle.into() };
    step(load, stages(Reached::Loaded))
}

fn reload(path: &str, bytes: &[u8], handle: &str, expect: ExpectStep) -> ScenarioStep {
    let bytes = Some(HexBytes(bytes.to_vec()));
    let reload = Step::Reload { path: path.into(), bytes, handle: handle.into() };
    let expect = if expect.stages.is_empty() { stages(Reached::Loaded) } else { expect };
    step(reload, expect)
}

fn same(step: ScenarioStep, handle: &str) -> ScenarioStep {
    let expect = ExpectStep { same_as: Some(handle.into()), ..step.expect };
    ScenarioStep { expect, ..step }
}

fn apart(step: ScenarioStep, handle: &str) -> ScenarioStep {
    let expect = ExpectStep { other_than: Some(handle.into()), ..step.expect };
    ScenarioStep { expect, ..step }
}

fn call(handle: &str, function: &str, value: i32) -> ScenarioStep {
    let call = Call { function: function.into(), args: Vec::new(), returns: TypeName::Int32 };
    let expect =
        ExpectStep { result: Some(Returned::Int32 { value }), ..stages(Reached::Returned) };
    step(Step::Call { handle: handle.into(), call }, expect)
}

/// A call with one argument.
fn call_with(handle: &str, function: &str, argument: i32, value: i32) -> ScenarioStep {
    let args = vec![Argument::Int32 { value: argument }];
    let call = Call { function: function.into(), args, returns: TypeName::Int32 };
    let expect =
        ExpectStep { result: Some(Returned::Int32 { value }), ..stages(Reached::Returned) };
    step(Step::Call { handle: handle.into(), call }, expect)
}

fn resolve(symbol: &str, handle: &str, image: &str, offset: u64) -> ScenarioStep {
    let address = ModuleAddress { handle: handle.into(), image: image.into(), offset };
    let expect = ExpectStep { address: Some(address), ..ExpectStep::default() };
    step(Step::Resolve { symbol: symbol.into() }, expect)
}

fn absent(symbol: &str) -> ScenarioStep {
    step(Step::Resolve { symbol: symbol.into() }, stages(Reached::Unresolvable))
}

fn find(handle: &str, symbol: &str, found: Option<(&str, u64)>) -> ScenarioStep {
    let expect = match found {
        Some((image, offset)) => {
            let address = ModuleAddress { handle: handle.into(), image: image.into(), offset };
            ExpectStep { address: Some(address), ..ExpectStep::default() }
        }
        None => stages(Reached::Unresolvable),
    };
    step(Step::Find { handle: handle.into(), symbol: symbol.into() }, expect)
}
