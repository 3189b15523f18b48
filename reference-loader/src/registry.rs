//! Modules by name: loaded, unloaded and replaced while they are in use (clause “Hot Reloading: Update code
//! without downtime”).
//!
//! Files are validated and mapped outside the lock; under it only the dependencies are compared and one
//! pointer is exchanged. Whoever holds a module or a function of it keeps its code mapped.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::error::Error;
use crate::module::{Module, Requirement, Signature};

/// Version of a module, ordered by major, then minor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The high 16 bits of a `required_version`.
    pub major: u16,
    /// The low 16 bits.
    pub minor: u16,
}

impl Version {
    /// The version `major.minor`.
    #[must_use]
    pub fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// The version that the field `required_version` encodes (choice scp.dependency-version). As a
    /// minimum 0.0 is met by every version.
    #[must_use]
    pub fn from_code(code: u32) -> Self {
        let [a, b, c, d] = code.to_le_bytes();
        Self { major: u16::from_le_bytes([c, d]), minor: u16::from_le_bytes([a, b]) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Loaded modules in load order. All methods may be used from several threads at once.
#[derive(Debug, Default)]
pub struct Registry {
    modules: RwLock<Vec<Loaded>>,
}

#[derive(Debug)]
struct Loaded {
    name: String,
    version: Version,
    module: Arc<Module>,
}

/// A function of a loaded module. It stays callable after the module is unloaded or replaced.
#[derive(Clone, Debug)]
pub struct Function {
    module: Arc<Module>,
    name: Box<str>,
}

impl Registry {
    /// A registry without modules.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Loads the file `bytes` as the module `name`, last in the order of lookup.
    ///
    /// # Errors
    /// As [`Module::load`]; [`Error::MissingDependency`] and [`Error::OldDependency`] when what the file
    /// depends on is not loaded before it; [`Error::NameTaken`].
    pub fn load(&self, name: &str, version: Version, bytes: &[u8]) -> Result<Arc<Module>, Error> {
        self.add(name, version, Module::load(bytes)?)
    }

    /// Loads the file at `path`; otherwise as [`Registry::load`].
    ///
    /// # Errors
    /// As [`Registry::load`], or [`Error::Unreadable`].
    pub fn load_file(
        &self,
        name: &str,
        version: Version,
        path: impl AsRef<Path>,
    ) -> Result<Arc<Module>, Error> {
        self.add(name, version, Module::load_file(path)?)
    }

    /// Replaces the module `name` by the file `bytes`, in the same place of the order. Calls in flight
    /// end in the old code; calls that start after this return run the new one. On an error the old
    /// module stays as it was.
    ///
    /// # Errors
    /// As [`Registry::load`]; [`Error::NoModule`]; [`Error::Required`] when another module requires a
    /// later version than `version`.
    pub fn reload(&self, name: &str, version: Version, bytes: &[u8]) -> Result<Arc<Module>, Error> {
        let module = Arc::new(Module::load(bytes)?);
        let mut modules = self.write();
        let index = position(&modules, name)?;
        let (before, rest) = modules.split_at(index);
        resolve(before, module.requirements())?;
        if let Some(by) = dependent(rest, name, Some(version)) {
            return Err(Error::Required { name: name.into(), by });
        }
        let place = modules.get_mut(index).ok_or_else(|| Error::NoModule(name.into()))?;
        place.version = version;
        // The old module, if this was its last owner, is unmapped after the lock is released.
        let old = std::mem::replace(&mut place.module, Arc::clone(&module));
        drop(modules);
        drop(old);
        Ok(module)
    }

    /// Forgets the module `name` and returns it. Its code is unmapped when its last owner drops it.
    ///
    /// # Errors
    /// [`Error::NoModule`]; [`Error::Required`] while another module depends on it.
    pub fn unload(&self, name: &str) -> Result<Arc<Module>, Error> {
        let mut modules = self.write();
        let index = position(&modules, name)?;
        match dependent(&modules, name, None) {
            Some(by) => Err(Error::Required { name: name.into(), by }),
            None => Ok(modules.remove(index).module),
        }
    }

    /// The module `name`.
    #[must_use]
    pub fn module(&self, name: &str) -> Option<Arc<Module>> {
        find(&self.read(), name).map(|loaded| Arc::clone(&loaded.module))
    }

    /// The version that the module `name` is loaded in.
    #[must_use]
    pub fn version(&self, name: &str) -> Option<Version> {
        find(&self.read(), name).map(|loaded| loaded.version)
    }

    /// The names of the modules in load order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.read().iter().map(|loaded| loaded.name.clone()).collect()
    }

    /// The function `name` of the first module in load order that has one.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<Function> {
        let modules = self.read();
        let loaded = modules.iter().find(|loaded| loaded.module.signature(name).is_some())?;
        Some(Function { module: Arc::clone(&loaded.module), name: name.into() })
    }

    fn add(&self, name: &str, version: Version, module: Module) -> Result<Arc<Module>, Error> {
        let module = Arc::new(module);
        let mut modules = self.write();
        if find(&modules, name).is_some() {
            return Err(Error::NameTaken(name.into()));
        }
        resolve(&modules, module.requirements())?;
        modules.push(Loaded { name: name.into(), version, module: Arc::clone(&module) });
        Ok(module)
    }

    // A panic cannot leave the list half changed: every change is one push, remove or replace.
    fn read(&self) -> RwLockReadGuard<'_, Vec<Loaded>> {
        self.modules.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<Loaded>> {
        self.modules.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Function {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The module it belongs to.
    #[must_use]
    pub fn module(&self) -> &Arc<Module> {
        &self.module
    }

    /// What it takes and returns.
    #[must_use]
    pub fn signature(&self) -> Option<&Signature> {
        self.module.signature(&self.name)
    }
}

fn find<'a>(modules: &'a [Loaded], name: &str) -> Option<&'a Loaded> {
    modules.iter().find(|loaded| loaded.name == name)
}

fn position(modules: &[Loaded], name: &str) -> Result<usize, Error> {
    let index = modules.iter().position(|loaded| loaded.name == name);
    index.ok_or_else(|| Error::NoModule(name.into()))
}

/// Checks that `modules` has everything that is required, recently enough.
fn resolve(modules: &[Loaded], requirements: &[Requirement]) -> Result<(), Error> {
    for Requirement { name, version: required, offset } in requirements {
        let (name, required, offset) = (String::from(&**name), *required, *offset);
        match find(modules, &name).map(|loaded| loaded.version) {
            None => return Err(Error::MissingDependency { name, required, offset }),
            Some(found) if found < required => {
                return Err(Error::OldDependency { name, found, required, offset });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// The first of `modules` that requires the module `name`, in a later version than `version` if given.
fn dependent(modules: &[Loaded], name: &str, version: Option<Version>) -> Option<String> {
    let needs = |requirement: &Requirement| {
        *requirement.name == *name && version.is_none_or(|version| version < requirement.version)
    };
    let loaded = modules.iter().find(|loaded| loaded.module.requirements().iter().any(needs))?;
    Some(loaded.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_major_then_minor() {
        assert_eq!(Version::from_code(0x0002_0001), Version::new(2, 1));
        assert!(Version::new(1, 9) < Version::new(2, 0) && Version::new(1, 1) < Version::new(1, 2));
        assert_eq!(Version::from_code(0), Version::default());
        assert_eq!(Version::new(2, 10).to_string(), "2.10");
    }
}
