//! A file that was validated, mapped and relocated, with its symbols by name.

use std::ffi::c_void;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::error::{Error, Violation};
use super::file::{File, validate_within};
use super::header::{Header, Platform, at, flag};
use super::link::{Linkage, Places};
use super::memory::Memory;
use super::quota::{Quota, Unlimited};
use super::resolver::ImportResolver;
use super::rule::Rule;
use super::symbol_table::{Definition, SymbolTable};
use super::symbols::SymbolType;
use super::validate::check_size;
use crate::header::Architecture;
use crate::limits::MAX_IMAGES;

/// How a module is loaded.
#[derive(Clone, Copy)]
pub struct LoadOptions<'a> {
    /// Bytes that both images may have together; more than the default, 1 GiB, is never allowed.
    pub max_image_bytes: u64,
    /// Where the lowest image should lie: the code, or the data of a module without code. Where the system
    /// does not give this address (it is no start of a page, or taken), the module lies elsewhere.
    pub base: Option<u64>,
    /// What the load may use.
    pub quota: &'a dyn Quota,
}

impl Default for LoadOptions<'_> {
    fn default() -> Self {
        Self { max_image_bytes: MAX_IMAGES, base: None, quota: &Unlimited }
    }
}

/// An image of a module in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Address of the first byte; 0 for an image without bytes.
    pub base: u64,
    /// Size in bytes, not rounded to pages.
    pub size: u64,
}

/// A loaded module. It needs the file no more; dropping it unmaps everything. Modules that its imports were
/// found in stay mapped as long as it does.
#[derive(Debug)]
pub struct Module {
    header: Header,
    memory: Memory,
    code: Image,
    data: Image,
    symbols: SymbolTable,
    /// All of them were complete before this module was: there are no cycles.
    keeps: Vec<Arc<Module>>,
}

impl Module {
    /// Validates, maps and relocates the file `bytes`. Imports get their addresses from `imports`.
    ///
    /// # Errors
    /// The first [`Error::Violation`] (the host's platform and the range of relocations included);
    /// [`Error::ForeignArchitecture`]; [`Error::Undefined`]; [`Error::Unmappable`]; [`Error::OutOfMemory`].
    pub fn load(bytes: &[u8], imports: &dyn ImportResolver) -> Result<Self, Error> {
        Self::load_with(bytes, imports, &LoadOptions::default())
    }

    /// As [`Module::load`], by `options`.
    ///
    /// # Errors
    /// As [`Module::load`].
    pub fn load_with(
        bytes: &[u8],
        imports: &dyn ImportResolver,
        options: &LoadOptions<'_>,
    ) -> Result<Self, Error> {
        let file = validate_within(bytes, options.quota)?;
        Self::map(&file, false, imports, options)
    }

    /// As [`Module::load`], for the file at `path`.
    ///
    /// # Errors
    /// As [`Module::load`], in [`Error::InFile`], or [`Error::Unreadable`].
    pub fn load_file(path: impl AsRef<Path>, imports: &dyn ImportResolver) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = read(path)?;
        Self::load(&bytes, imports).map_err(|error| error.in_file(path))
    }

    /// As [`Module::load`], where the module's own definitions come before those of `modules`, and these
    /// before those of `host` (choice smf.registry).
    pub(crate) fn load_among(
        bytes: &[u8],
        modules: Vec<Arc<Module>>,
        host: &dyn ImportResolver,
        options: &LoadOptions<'_>,
    ) -> Result<Self, Error> {
        let file = validate_within(bytes, options.quota)?;
        let others = Others::new(modules, host);
        let mut module = Self::map(&file, true, &others, options)?;
        module.keeps = others.into_used();
        Ok(module)
    }

    /// Maps `file`, which was validated.
    pub(crate) fn map(
        file: &File<'_>,
        own_first: bool,
        imports: &dyn ImportResolver,
        options: &LoadOptions<'_>,
    ) -> Result<Self, Error> {
        require_host(file.header())?;
        check_size(file, options.max_image_bytes.min(MAX_IMAGES))?;
        let symbols = SymbolTable::of(file, options.quota)?;
        let own = own_first.then_some(&symbols);
        let linkage = Linkage::resolve(file, own, imports, options.quota)?;
        let memory = Memory::map(file, &linkage, options.base, options.quota)?;
        let (layout, places) = (file.layout(), *memory.places());
        let code = Image { base: places.code, size: layout.code() };
        let data = Image { base: places.data, size: layout.data() };
        Ok(Self { header: *file.header(), memory, code, data, symbols, keeps: Vec::new() })
    }

    /// The header of its file.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The code image.
    #[must_use]
    pub fn code(&self) -> Image {
        self.code
    }

    /// The data image.
    #[must_use]
    pub fn data(&self) -> Image {
        self.data
    }

    /// The first definition of `name` in table order, whatever its binding.
    #[must_use]
    pub fn definition(&self, name: &str) -> Option<Definition> {
        self.symbols.find(name)
    }

    /// The address of the first definition of `name` in table order, whatever its binding; the value of a
    /// symbol that is not an address.
    #[inline]
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<u64> {
        self.symbols.find(name).map(|definition| self.address(&definition))
    }

    /// The address of the function `name`, if the first definition of that name is one.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<*const c_void> {
        let definition = self.symbols.find(name)?;
        let function = definition.kind == SymbolType::Function;
        function.then(|| pointer(self.address(&definition)))
    }

    /// The address that the import `name` of another module is given: that of the first exported function,
    /// datum or constant of that name.
    #[must_use]
    pub fn export(&self, name: &str) -> Option<u64> {
        self.symbols.find_export(name).map(|definition| self.address(&definition))
    }

    /// Name and address (or value, for what is not an address) of every exported symbol, in table order.
    pub fn exports(&self) -> impl Iterator<Item = (&str, u64)> {
        self.symbols.exports().map(|(name, definition)| (name, self.address(&definition)))
    }

    /// Where execution starts, if the module is executable.
    #[must_use]
    pub fn entry_point(&self) -> Option<*const c_void> {
        let entry = || pointer(self.code.base.wrapping_add(self.header.entry_point));
        self.header.has(flag::EXECUTABLE).then(entry)
    }

    /// Whether the module may be replaced while it is in use, by its own account.
    #[must_use]
    pub fn is_reloadable(&self) -> bool {
        self.header.has(flag::RELOADABLE)
    }

    /// Hash of the source, by which a host sees that a module is to be built anew.
    #[must_use]
    pub fn source_hash(&self) -> u64 {
        self.header.source_hash
    }

    /// The modules that its imports were found in.
    #[must_use]
    pub fn dependencies(&self) -> &[Arc<Module>] {
        &self.keeps
    }

    /// The addresses of the code.
    pub(crate) fn code_range(&self) -> Range<usize> {
        let at = |address: u64| usize::try_from(address).unwrap_or(usize::MAX);
        at(self.code.base)..at(self.code.base.saturating_add(self.code.size))
    }

    fn places(&self) -> &Places {
        self.memory.places()
    }

    #[inline]
    fn address(&self, definition: &Definition) -> u64 {
        self.places().address(definition.kind, definition.value)
    }
}

impl Drop for Module {
    /// Drops long chains of modules one by one: the next one's own drop would go as deep as the chain.
    fn drop(&mut self) {
        let mut kept = std::mem::take(&mut self.keeps);
        while let Some(module) = kept.pop() {
            if let Some(mut last) = Arc::into_inner(module) {
                kept.append(&mut last.keeps);
            }
        }
    }
}

/// The definitions of other modules, then the host's.
struct Others<'a> {
    /// With whether an import was found there.
    modules: Vec<(Arc<Module>, std::cell::Cell<bool>)>,
    host: &'a dyn ImportResolver,
}

impl<'a> Others<'a> {
    fn new(modules: Vec<Arc<Module>>, host: &'a dyn ImportResolver) -> Self {
        let modules = modules.into_iter().map(|module| (module, false.into())).collect();
        Self { modules, host }
    }

    fn into_used(self) -> Vec<Arc<Module>> {
        let used = self.modules.into_iter().filter(|(_, used)| used.get());
        used.map(|(module, _)| module).collect()
    }
}

impl ImportResolver for Others<'_> {
    fn resolve(&self, name: &str) -> Option<u64> {
        let exported = self.modules.iter().find_map(|(module, used)| {
            let address = module.export(name)?;
            used.set(true);
            Some(address)
        });
        exported.or_else(|| self.host.resolve(name))
    }
}

fn require_host(header: &Header) -> Result<(), Error> {
    if !header.platform().is_some_and(Platform::is_here) {
        return Err(Violation { rule: Rule::HostPlatform, offset: at::PLATFORM }.into());
    }
    match (header.architecture(), Architecture::HOST) {
        (Some(found), host) if Some(found) != host => {
            Err(Error::ForeignArchitecture { found, host, offset: at::ARCH })
        }
        _ => Ok(()),
    }
}

/// The content of the file at `path`.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    crate::sys::read(path).map_err(unreadable)
}

fn pointer(address: u64) -> *const c_void {
    std::ptr::with_exposed_provenance(usize::try_from(address).unwrap_or(0))
}
