//! Steps drawn from a fuzzer's bytes, worked through with a module registry and with a list of modules.
//!
//! The list (`model`) knows nothing of mappings or locks: it holds what is loaded in load order, and finds
//! names in the codec's reading of each file. After every step the registry must answer as it does. No code
//! is executed.

mod content;
mod model;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use arbitrary::{Arbitrary, Unstructured};
use reference_loader::smf::{Error, Module, ModuleRegistry};

use self::content::Content;
use self::model::{HOST_ADDRESS, HOST_NAME, Model, same};
use crate::limits::MAX_STEPS;
use crate::memory;

/// What is done with the registry. Paths, names and handles are numbers, taken modulo how many there are.
#[derive(Debug, Arbitrary)]
enum Step {
    Write { path: u8, content: Content },
    Delete { path: u8 },
    Load { path: u8 },
    Reload { path: u8 },
    Unload { path: u8 },
    Resolve { name: u8 },
    Find { handle: u8, name: u8 },
    Release { handle: u8 },
}

/// Files of the modules. The last two are one file.
const PATHS: [&str; 5] = ["a.smf", "b.smf", "c.smf", "d.smf", "./d.smf"];

/// Works through the steps that `input` describes. Files are kept in a folder of their own, in memory where
/// the system has a place for that.
///
/// # Panics
/// When the registry answers otherwise than a list of modules, when the memory of a module is not what the
/// formulas say, or when something stays mapped in the end.
pub fn drawn_steps(input: &[u8]) {
    let Ok(steps) = Vec::<Step>::arbitrary_take_rest(Unstructured::new(input)) else { return };
    let _alone = memory::loading();
    let before = memory::executable_mappings();
    let mut session = Session::new();
    for step in steps.iter().take(MAX_STEPS) {
        session.work(step);
        session.same_state();
    }
    let loaded = session.end();
    assert!(loaded.iter().all(|module| module.strong_count() == 0), "a module is kept");
    assert_eq!(memory::executable_mappings(), before, "code stays mapped");
}

/// A registry and what it should do.
struct Session {
    folder: tempfile::TempDir,
    registry: ModuleRegistry,
    model: Model,
    /// What callers hold, apart from the registry.
    handles: Vec<Arc<Module>>,
    /// Every module that there was.
    seen: Vec<Weak<Module>>,
}

impl Session {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = must(tempfile::tempdir_in(parent));
        let host = |name: &str| (name == HOST_NAME).then_some(HOST_ADDRESS);
        let registry = ModuleRegistry::with_host(host);
        let (model, handles, seen) = (Model::default(), Vec::new(), Vec::new());
        Self { folder, registry, model, handles, seen }
    }

    fn path(&self, number: u8) -> PathBuf {
        self.folder.path().join(PATHS[usize::from(number) % PATHS.len()])
    }

    fn work(&mut self, step: &Step) {
        match step {
            Step::Write { path, content } => {
                must(fs::write(self.path(*path), content.bytes()));
            }
            Step::Delete { path } => drop(fs::remove_file(self.path(*path))), // it may not be there
            Step::Load { path } => self.load(*path),
            Step::Reload { path } => self.reload(*path),
            Step::Unload { path } => self.unload(*path),
            Step::Resolve { name } => {
                let name = content::name(*name);
                let ours = self.model.resolve(name);
                assert_eq!(self.registry.resolve_symbol(name), ours, "{name} resolves otherwise");
            }
            Step::Find { handle, name } => self.find(*handle, content::name(*name)),
            Step::Release { handle } => {
                if let Some(index) = usize::from(*handle).checked_rem(self.handles.len()) {
                    self.handles.swap_remove(index);
                }
            }
        }
    }

    fn load(&mut self, number: u8) {
        let path = self.path(number);
        let answer = self.registry.load(&path);
        let path = canonical(&path);
        match self.model.at(&path) {
            Some(known) => match answer {
                Ok(module) => {
                    assert!(same(known, &module), "a loaded module is loaded again");
                    self.handles.push(module);
                }
                Err(error) => panic!("a loaded module is not found: {error}"),
            },
            None => self.loaded_anew(path, answer),
        }
    }

    fn reload(&mut self, number: u8) {
        let path = self.path(number);
        let answer = self.registry.reload(&path);
        self.loaded_anew(canonical(&path), answer);
    }

    fn loaded_anew(&mut self, path: PathBuf, answer: Result<Arc<Module>, Error>) {
        let file = fs::read(&path).ok();
        if let Some(module) = self.model.load(path, file.as_deref(), answer) {
            self.seen.push(Arc::downgrade(&module));
            self.handles.push(module);
        }
    }

    fn unload(&mut self, number: u8) {
        let path = self.path(number);
        let answer = self.registry.unload(&path);
        match (self.model.unload(&canonical(&path)), answer) {
            (Some(ours), Ok(theirs)) => {
                assert!(same(&ours, &theirs), "another module is unloaded");
            }
            (None, Err(Error::NoModule(_))) => {}
            (ours, theirs) => panic!("unloading gives {theirs:?}, must give {ours:?}"),
        }
    }

    /// Looks a name up in a module that is held, whether or not it is still registered, and looks at its code.
    fn find(&self, handle: u8, name: &str) {
        let Some(index) = usize::from(handle).checked_rem(self.handles.len()) else { return };
        let module = &self.handles[index];
        self.model.check_held(module, name);
    }

    /// Paths and modules are those of the model, in its order.
    fn same_state(&self) {
        let paths = self.registry.paths();
        assert!(paths.iter().eq(self.model.paths()), "other modules are loaded: {paths:?}");
        for path in self.model.paths() {
            let same = match (self.registry.module(path), self.model.at(path)) {
                (Some(theirs), Some(ours)) => same(ours, &theirs),
                _ => false,
            };
            assert!(same, "another module is loaded from {}", path.display());
        }
        self.model.check_kept(&self.handles);
    }

    /// Gives everything back, and returns every module that there was.
    fn end(self) -> Vec<Weak<Module>> {
        must(self.folder.close());
        self.seen
    }
}

/// The path as the registry knows it. The file itself may be gone.
fn canonical(path: &Path) -> PathBuf {
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok()).unwrap_or_default();
    folder.join(path.file_name().unwrap_or_default())
}

fn must<T>(result: std::io::Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the folder of the modules: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, holds, linked_module, seeds_show};

    #[test]
    fn random_steps_are_answered_alike() {
        let mut random = Random(0xfedc_ba98_7654_3210);
        for _ in 0..400 {
            let length = random.below(500);
            let input = random.bytes(length);
            assert!(holds(|| drawn_steps(&input)), "{input:02x?}");
        }
    }

    /// What happens in the steps that `input` describes.
    fn shown(input: &[u8]) -> Vec<&'static str> {
        let Ok(steps) = Vec::<Step>::arbitrary_take_rest(Unstructured::new(input)) else {
            return vec![];
        };
        let _alone = memory::loading();
        let (mut session, mut shown) = (Session::new(), Vec::new());
        for step in steps.iter().take(MAX_STEPS) {
            let mapped = |session: &Session| {
                session.seen.iter().filter(|module| module.strong_count() > 0).count()
            };
            let (seen, before, handles) =
                (session.seen.len(), mapped(&session), session.handles.len());
            let loaded = session.registry.paths().len();
            session.work(step);
            let [anew, fewer] = [session.seen.len() > seen, mapped(&session) < before];
            let there = |path: &u8| session.path(*path).exists();
            shown.extend(match step {
                Step::Load { .. } if anew => Some("loaded"),
                Step::Load { .. } if session.handles.len() > handles => Some("shared"),
                Step::Load { path } if there(path) => Some("refused"),
                Step::Reload { .. } if anew && session.registry.paths().len() == loaded => {
                    Some("replaced")
                }
                Step::Reload { path } if !anew && there(path) => Some("not-replaced"),
                Step::Unload { .. } if session.registry.paths().len() < loaded => Some("unloaded"),
                Step::Release { .. } if fewer => Some("unmapped"),
                Step::Find { .. } if handles > loaded => Some("found"),
                _ => None,
            });
            let imports = session.handles.iter().any(|module| !module.dependencies().is_empty());
            shown.extend(imports.then_some("imported"));
        }
        shown
    }

    #[test]
    fn seeds_show_every_event() {
        let answers = ["loaded", "shared", "refused", "replaced", "not-replaced"];
        let rest = ["unloaded", "unmapped", "found", "imported"];
        seeds_show("registry_ops", &[answers.as_slice(), &rest].concat(), shown);
    }

    /// A session with one module loaded from the first path.
    fn session() -> Session {
        let mut session = Session::new();
        let far = |name: &str| (name == "far").then_some(HOST_ADDRESS);
        session.registry = ModuleRegistry::with_host(far);
        must(fs::write(session.path(0), linked_module()));
        let module = session.registry.load(session.path(0)).unwrap();
        session.handles.push(module);
        session
    }

    #[test]
    fn what_the_model_does_not_know_is_noticed() {
        let _alone = memory::loading();
        assert!(!holds(|| session().same_state()), "a module was loaded behind its back");
        assert!(!holds(|| session().find(0, "alpha")));
        assert!(!holds(|| session().unload(0)));
        let known = || {
            let mut session = Session::new();
            let definition = Content::defining(0);
            must(fs::write(session.path(0), definition.bytes()));
            session.load(0);
            session.same_state();
            session
        };
        let address = known().registry.resolve_symbol("alpha");
        assert!(address.is_some());
        assert!(!holds(|| {
            let session = known();
            drop(session.registry.unload(session.path(0)));
            session.same_state();
        }));
        assert!(!holds(|| {
            let session = known();
            drop(session.registry.reload(session.path(0)));
            session.same_state();
        }));
        assert!(!holds(|| {
            let mut session = known();
            let kept = session.handles.pop();
            session.unload(0);
            session.same_state();
            drop(kept);
        }));
        assert!(!holds(|| {
            let mut session = known();
            must(fs::write(session.path(0), b"SMF"));
            let answer = session.registry.load(session.path(0));
            session.loaded_anew(canonical(&session.path(0)), answer);
        }));
    }

    #[test]
    fn a_module_that_is_kept_is_mapped() {
        let _alone = memory::loading();
        let before = memory::executable_mappings();
        let mut session = Session::new();
        must(fs::write(session.path(0), Content::defining(0).bytes()));
        session.load(0);
        let kept = session.handles.pop();
        drop(session.end());
        assert_eq!(memory::executable_mappings(), before + 1);
        drop(kept);
        assert_eq!(memory::executable_mappings(), before);
    }
}
