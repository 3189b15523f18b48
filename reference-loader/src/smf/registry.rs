//! One module a file, loaded once, replaced and unloaded while in use (clauses “Load or get cached module”,
//! “Reload a module (for hot reload)”, “Resolve symbol across all loaded modules”).
//!
//! Files are read, mapped and relocated outside the lock; whoever wants to load, reload or unload a path
//! that is being worked on waits until that is done, and nobody else does. Whoever holds a module keeps its
//! code mapped, and so does every module that imports from it.
//!
//! A module imports only from modules that were complete before it was, so that modules never keep each other
//! in a cycle: once handles and registry have let go, everything is unmapped. Two modules that import from
//! each other and are reloaded in turn do keep a chain of older versions: the newest code holds the
//! addresses of the one before it, down to the first. Unloading both and giving the handles back ends it.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::error::Error;
use super::module::{LoadOptions, Module, read};
use super::resolver::{ImportResolver, no_imports};

/// Loaded modules in load order. All methods may be used from several threads at once.
pub struct ModuleRegistry {
    state: Mutex<State>,
    /// Told whenever a path is no longer worked on.
    idle: Condvar,
    host: Box<dyn ImportResolver + Send + Sync>,
}

#[derive(Debug, Default)]
struct State {
    loaded: Vec<Loaded>,
    /// Paths that some thread works on.
    busy: HashSet<PathBuf>,
}

#[derive(Debug)]
struct Loaded {
    path: PathBuf,
    module: Arc<Module>,
}

impl ModuleRegistry {
    /// A registry without modules, of a host that offers nothing to them.
    #[must_use]
    pub fn new() -> Self {
        Self::with_host(no_imports)
    }

    /// A registry without modules. What no module defines is looked up by `host`, which may use the registry,
    /// but not load, reload or unload the module that it is asked for.
    #[must_use]
    pub fn with_host(host: impl ImportResolver + Send + Sync + 'static) -> Self {
        Self { state: Mutex::default(), idle: Condvar::new(), host: Box::new(host) }
    }

    /// The module that is loaded from `path`; if there is none, loads it, last in the order of lookup. Two
    /// paths that lead to one file mean one module. Its imports are looked up in its own definitions, then
    /// in what the other modules export, in load order, then by the host.
    ///
    /// # Errors
    /// As [`Module::load_file`].
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Arc<Module>, Error> {
        let path = canonical(path.as_ref())?;
        let claim = self.claim(&path);
        if let Some(module) = self.module_at(&path) {
            return Ok(module);
        }
        let module = self.load_anew(&path)?;
        self.lock().loaded.push(Loaded { path, module: Arc::clone(&module) });
        drop(claim);
        Ok(module)
    }

    /// Loads the file at `path` anew and puts it in the place of the module that was loaded from there; if
    /// there is none, it comes last. Calls in flight end in the old code, and modules that import from the
    /// old one go on doing so until they are reloaded themselves. On an error the old module stays.
    ///
    /// # Errors
    /// As [`Module::load_file`].
    pub fn reload(&self, path: impl AsRef<Path>) -> Result<Arc<Module>, Error> {
        let path = canonical(path.as_ref())?;
        let claim = self.claim(&path);
        let module = self.load_anew(&path)?;
        let mut state = self.lock();
        // The old module, if this was its last owner, is unmapped after the lock is released.
        let old = match state.loaded.iter_mut().find(|loaded| loaded.path == path) {
            Some(loaded) => Some(std::mem::replace(&mut loaded.module, Arc::clone(&module))),
            None => {
                state.loaded.push(Loaded { path, module: Arc::clone(&module) });
                None
            }
        };
        drop(state);
        drop(claim);
        drop(old);
        Ok(module)
    }

    /// Forgets the module that was loaded from `path` and returns it. It is unmapped when its last owner
    /// drops it; modules that import from it are owners.
    ///
    /// # Errors
    /// [`Error::NoModule`].
    pub fn unload(&self, path: impl AsRef<Path>) -> Result<Arc<Module>, Error> {
        let unknown = || Error::NoModule(path.as_ref().to_owned());
        let path = canonical(path.as_ref()).map_err(|_| unknown())?;
        let _claim = self.claim(&path);
        let mut state = self.lock();
        let index = state.loaded.iter().position(|loaded| loaded.path == path);
        Ok(state.loaded.remove(index.ok_or_else(unknown)?).module)
    }

    /// The module that is loaded from `path`.
    #[must_use]
    pub fn module(&self, path: impl AsRef<Path>) -> Option<Arc<Module>> {
        self.module_at(&canonical(path.as_ref()).ok()?)
    }

    /// The canonical paths of the modules in load order.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.lock().loaded.iter().map(|loaded| loaded.path.clone()).collect()
    }

    /// The address that an import `name` is given now: of the first module in load order that exports it,
    /// else the host's.
    #[must_use]
    pub fn resolve_symbol(&self, name: &str) -> Option<u64> {
        let exported = self.lock().loaded.iter().find_map(|loaded| loaded.module.export(name));
        exported.or_else(|| self.host.resolve(name))
    }

    fn load_anew(&self, path: &Path) -> Result<Arc<Module>, Error> {
        let bytes = read(path)?;
        let others = self.others(path);
        let module = Module::load_among(&bytes, others, &*self.host, &LoadOptions::default());
        module.map(Arc::new).map_err(|error| error.in_file(path))
    }

    /// The modules that are not loaded from `path`.
    fn others(&self, path: &Path) -> Vec<Arc<Module>> {
        let state = self.lock();
        let others = state.loaded.iter().filter(|loaded| loaded.path != path);
        others.map(|loaded| Arc::clone(&loaded.module)).collect()
    }

    fn module_at(&self, path: &Path) -> Option<Arc<Module>> {
        let state = self.lock();
        let loaded = state.loaded.iter().find(|loaded| loaded.path == path)?;
        Some(Arc::clone(&loaded.module))
    }

    /// Waits until nobody works on `path`, and keeps others from it until the claim is dropped.
    fn claim(&self, path: &Path) -> Claim<'_> {
        let taken = |state: &mut State| state.busy.contains(path);
        let state = self.idle.wait_while(self.lock(), taken);
        state.unwrap_or_else(PoisonError::into_inner).busy.insert(path.to_owned());
        Claim { registry: self, path: path.to_owned() }
    }

    // A panic cannot leave the state half changed: every change is one push, insert, remove or replace.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ModuleRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for ModuleRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModuleRegistry").field("paths", &self.paths()).finish_non_exhaustive()
    }
}

/// A path that one thread works on.
struct Claim<'a> {
    registry: &'a ModuleRegistry,
    path: PathBuf,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.registry.lock().busy.remove(&self.path);
        self.registry.idle.notify_all();
    }
}

/// The one path of a file. The file itself may be gone: a module can be unloaded after its file was deleted.
fn canonical(path: &Path) -> Result<PathBuf, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new(".")).canonicalize();
            match (parent, path.file_name()) {
                (Ok(parent), Some(name)) => Ok(parent.join(name)),
                _ => Err(unreadable(error)),
            }
        }
        result => result.map_err(unreadable),
    }
}
