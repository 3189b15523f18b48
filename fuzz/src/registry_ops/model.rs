//! What a registry of modules should do, as a list.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Weak};

use harness_codec::link::{Address, Linked, Meaning, link};
use harness_codec::{Verdict, decode};
use reference_loader::smf::{Error, Module};

use crate::agreement::same_refusal;
use crate::agreement::smf::refusal;
use crate::limits::MAX_COMPARED_IMAGE;
use crate::linking::writing;
use crate::{SMF, loading, rule_coverage};

/// The one symbol of the host.
pub(super) const HOST_NAME: &str = "host";

/// Its address.
pub(super) const HOST_ADDRESS: u64 = 0x1234_5678_9abc;

/// What is loaded, in load order.
#[derive(Default)]
pub(super) struct Model {
    loaded: Vec<(PathBuf, Rc<Known>)>,
    /// Everything that was ever loaded.
    known: Vec<Rc<Known>>,
}

/// A module and what its file says of it. It keeps nothing mapped.
struct Known {
    module: Weak<Module>,
    /// Addresses of code and data.
    bases: [u64; 2],
    linked: Linked,
    file: Vec<u8>,
    /// The addresses that its imports were given.
    imports: Vec<(String, u64)>,
    /// What it must keep mapped.
    providers: Vec<Rc<Known>>,
}

impl Known {
    /// Where the module has the first symbol that `wanted` holds of.
    fn first(&self, wanted: impl Fn(&harness_codec::link::Symbol, Address) -> bool) -> Option<u64> {
        first(&self.linked, wanted).map(|address| address.at(&self.bases))
    }

    fn export(&self, name: &str) -> Option<u64> {
        self.first(|symbol, address| {
            symbol.exported && named(symbol, name) && matches!(address, Address::In { .. })
        })
    }

    fn check(&self, module: &Module) {
        let imports = |name: &str| {
            self.imports.iter().find(|(known, _)| known == name).map(|(_, address)| *address)
        };
        if self.linked.images.iter().all(|image| image.size <= MAX_COMPARED_IMAGE) {
            loading::check(module, &self.linked, &self.file, &imports);
        }
    }
}

fn named(symbol: &harness_codec::link::Symbol, name: &str) -> bool {
    symbol.name.as_deref() == Some(name)
}

/// Where the first symbol that `wanted` holds of is defined.
fn first(
    linked: &Linked,
    wanted: impl Fn(&harness_codec::link::Symbol, Address) -> bool,
) -> Option<Address> {
    linked.symbols.iter().find_map(|symbol| match symbol.meaning {
        Meaning::Defined(address) if wanted(symbol, address) => Some(address),
        _ => None,
    })
}

/// What a module's own code means by a name: its first definition, if that is an address.
fn own(linked: &Linked, name: &str) -> Option<Address> {
    let defined = first(linked, |symbol, _| named(symbol, name))?;
    matches!(defined, Address::In { .. }).then_some(defined)
}

impl Model {
    /// The module that is loaded from `path`.
    pub(super) fn at(&self, path: &Path) -> Option<&Weak<Module>> {
        self.loaded.iter().find(|(known, _)| known == path).map(|(_, known)| &known.module)
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.loaded.iter().map(|(path, _)| path)
    }

    /// The address of the first export of that name in load order, else the host's.
    pub(super) fn resolve(&self, name: &str) -> Option<u64> {
        self.resolve_among(name, Path::new(""))
    }

    /// As [`Model::resolve`], without the module that is loaded from `besides`.
    fn resolve_among(&self, name: &str, besides: &Path) -> Option<u64> {
        let exported = self.others(besides).find_map(|known| known.export(name));
        exported.or((name == HOST_NAME).then_some(HOST_ADDRESS))
    }

    fn others<'a>(&'a self, besides: &'a Path) -> impl Iterator<Item = &'a Rc<Known>> {
        self.loaded.iter().filter(move |(path, _)| path != besides).map(|(_, known)| known)
    }

    /// Forgets and returns the module that was loaded from `path`.
    pub(super) fn unload(&mut self, path: &Path) -> Option<Weak<Module>> {
        let index = self.loaded.iter().position(|(known, _)| known == path)?;
        Some(Weak::clone(&self.loaded.remove(index).1.module))
    }

    /// Checks that exactly those modules are mapped that are loaded, held, or imported from by one that is.
    pub(super) fn check_kept(&self, held: &[Arc<Module>]) {
        let loaded = self.loaded.iter().map(|(_, known)| known);
        let is_held = |known: &&Rc<Known>| held.iter().any(|module| same(&known.module, module));
        let mut left: Vec<&Rc<Known>> = loaded.chain(self.known.iter().filter(is_held)).collect();
        let mut kept = HashSet::new();
        while let Some(known) = left.pop() {
            if kept.insert(Rc::as_ptr(known)) {
                left.extend(&known.providers);
            }
        }
        for known in &self.known {
            let mapped = known.module.strong_count() > 0;
            assert_eq!(
                mapped,
                kept.contains(&Rc::as_ptr(known)),
                "kept, or not, against the rules"
            );
        }
    }

    /// Takes in what the registry made of the file at `path` (`None`: there is none): checks that it is right,
    /// and puts the module in the place of the one from there, or last.
    pub(super) fn load(
        &mut self,
        path: PathBuf,
        file: Option<&[u8]>,
        answer: Result<Arc<Module>, Error>,
    ) -> Option<Arc<Module>> {
        let Some(file) = file else {
            let unreadable = matches!(&answer, Err(error) if error.stage().is_none());
            assert!(unreadable, "a file that is not there gives {answer:?}");
            return None;
        };
        let decoded = decode(&SMF, file);
        rule_coverage::record(&decoded);
        if decoded.verdict != Verdict::Valid {
            match answer {
                Ok(_) => panic!("a broken file is loaded: {:?}", decoded.verdict),
                Err(error) => same_refusal(&refusal(&error), &decoded),
            }
            return None;
        }
        let linked = link(&SMF, &decoded.model, file)?;
        match answer {
            Ok(module) => Some(self.accept(path, file, linked, module)),
            Err(error) => {
                // What a definition's address is does not matter here, only that there is one.
                let known = |name: &str| {
                    own(&linked, name).map(|_| 0).or_else(|| self.resolve_among(name, &path))
                };
                loading::same_refusal(&error, &linked, file, &known);
                None
            }
        }
    }

    fn accept(
        &mut self,
        path: PathBuf,
        file: &[u8],
        linked: Linked,
        module: Arc<Module>,
    ) -> Arc<Module> {
        let bases = [module.code().base, module.data().base];
        let used: Vec<String> = used_imports(&linked).map(str::to_owned).collect();
        let mut imports = Vec::new();
        for name in &used {
            let inside = own(&linked, name).map(|address| address.at(&bases));
            let address = inside.or_else(|| self.resolve_among(name, &path));
            imports.extend(address.map(|address| (name.clone(), address)));
        }
        let providers = self.providers(&linked, &used, &path);
        let ours = providers.iter().map(|known| known.module.as_ptr());
        assert!(module.dependencies().iter().map(Arc::as_ptr).eq(ours), "other modules are kept");
        let (file, weak) = (file.to_vec(), Arc::downgrade(&module));
        let known = Rc::new(Known { module: weak, bases, linked, file, imports, providers });
        known.check(&module);
        self.known.push(Rc::clone(&known));
        match self.loaded.iter_mut().find(|(known, _)| *known == path) {
            Some((_, place)) => *place = known,
            None => self.loaded.push((path, known)),
        }
        module
    }

    /// The modules that the imports `used` are found in, in load order.
    fn providers(&self, linked: &Linked, used: &[String], besides: &Path) -> Vec<Rc<Known>> {
        let sought = used.iter().filter(|name| own(linked, name).is_none());
        let first =
            |name: &String| self.others(besides).position(|known| known.export(name).is_some());
        let found: HashSet<usize> = sought.filter_map(first).collect();
        let others = self.others(besides).enumerate();
        others
            .filter(|(index, _)| found.contains(index))
            .map(|(_, known)| Rc::clone(known))
            .collect()
    }

    /// Checks a module that somebody holds: its symbols and its memory are as when it was loaded.
    pub(super) fn check_held(&self, module: &Arc<Module>, name: &str) {
        let Some(known) = self.known.iter().find(|known| same(&known.module, module)) else {
            panic!("a module that was never loaded");
        };
        assert_eq!(module.export(name), known.export(name), "another export of that name");
        let first = known.first(|symbol, _| named(symbol, name));
        assert_eq!(module.symbol(name), first, "another symbol of that name");
        known.check(module);
    }
}

/// Whether both are one module.
pub(super) fn same(known: &Weak<Module>, module: &Arc<Module>) -> bool {
    std::ptr::eq(known.as_ptr(), Arc::as_ptr(module))
}

/// Names of the imports that relocations use.
fn used_imports(linked: &Linked) -> impl Iterator<Item = &str> {
    writing(&SMF, linked).filter_map(|(patch, _)| {
        let symbol = linked.symbols.get(patch.symbol)?;
        let imported = matches!(symbol.meaning, Meaning::Imported { .. });
        symbol.name.as_deref().filter(|_| imported)
    })
}
