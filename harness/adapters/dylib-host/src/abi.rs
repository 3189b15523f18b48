//! The four C functions, and everything unsafe about calling them.

use std::ffi::{CStr, c_char, c_void};
use std::ops::Range;
use std::path::Path;
use std::ptr::NonNull;

use harness_protocol::{Call, Describe, Want};
use libloading::Library;
use reference_loader::call::{CallError, CallOutcome, invoke};

use crate::error::HostError;
use crate::report::RawReport;

type DescribeFn = unsafe extern "C" fn() -> *const c_char;
type LoadFn = unsafe extern "C" fn(*const u8, usize, i32, *mut *mut c_void, *mut RawReport) -> i32;
type EntryFn = unsafe extern "C" fn(*mut c_void, *const c_char) -> *const c_void;
type UnloadFn = unsafe extern "C" fn(*mut c_void);

/// A loaded library whose four functions have been found.
pub(crate) struct ForeignLoader {
    describe: DescribeFn,
    load: LoadFn,
    entry: EntryFn,
    unload: UnloadFn,
    /// Keeps the code behind the four pointers mapped.
    _library: Library,
}

/// The library's handle of a loaded module. There is one per successful load, and it is used up by
/// [`ForeignLoader::unload`].
pub(crate) struct Module(NonNull<c_void>);

/// What `blob_load` said, unchecked.
pub(crate) struct RawAnswer {
    pub(crate) stage: i32,
    pub(crate) module: Option<Module>,
    pub(crate) report: RawReport,
}

impl ForeignLoader {
    pub(crate) fn open(path: &Path) -> Result<Self, HostError> {
        // An absolute path: a bare name would make the dynamic linker look in the system's folders.
        let path = path
            .canonicalize()
            .map_err(|source| HostError::NotFound { library: path.into(), source })?;
        let library = open(&path)?;
        Ok(Self {
            describe: symbol(&library, &path, "blob_describe")?,
            load: symbol(&library, &path, "blob_load")?,
            entry: symbol(&library, &path, "blob_entry")?,
            unload: symbol(&library, &path, "blob_unload")?,
            _library: library,
        })
    }

    /// The library's description, or what is wrong with it.
    pub(crate) fn describe(&self) -> Result<Describe, String> {
        let text = self.describe_text().ok_or("it returned NULL")?;
        let text = text.to_str().map_err(|error| error.to_string())?;
        serde_json::from_str(text).map_err(|error| format!("{error} in {text:?}"))
    }

    #[expect(unsafe_code, reason = "calls into the library")]
    fn describe_text(&self) -> Option<&CStr> {
        // SAFETY: the library is loaded for as long as `self` lives, and blob_loader.h gives the function
        // this signature; it has no other precondition.
        let text = unsafe { (self.describe)() };
        // SAFETY: not null, checked here; blob_loader.h promises a NUL-terminated text that stays valid
        // and unchanged while the library is loaded, which is no shorter than the borrow of `self`.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
    }

    /// Lets the library judge `bytes`.
    #[expect(unsafe_code, reason = "calls into the library")]
    pub(crate) fn load(&self, bytes: &[u8], want: Want) -> RawAnswer {
        let mut module = std::ptr::null_mut();
        let mut report = RawReport::blank();
        // SAFETY: the library is loaded. `bytes` is readable for its length; `module` and `report` are
        // writable, of the types of blob_loader.h, and outlive the call.
        let stage = unsafe {
            (self.load)(bytes.as_ptr(), bytes.len(), number(want), &raw mut module, &raw mut report)
        };
        RawAnswer { stage, module: NonNull::new(module).map(Module), report }
    }

    /// The address of a function; null when the module has none of this name.
    #[expect(unsafe_code, reason = "calls into the library")]
    pub(crate) fn entry(&self, module: &Module, function: &CStr) -> *const c_void {
        // SAFETY: the library is loaded; `module` is a handle that it gave out and that has not been
        // unloaded, since `unload` takes it by value; `function` ends with a NUL.
        unsafe { (self.entry)(module.0.as_ptr(), function.as_ptr()) }
    }

    /// Calls a function of a loaded module.
    #[expect(unsafe_code, reason = "runs the code of the file under test")]
    pub(crate) fn call(
        &self,
        _module: &Module,
        entry: *const c_void,
        image: Range<usize>,
        call: &Call,
    ) -> Result<CallOutcome, CallError> {
        // SAFETY: `entry` lies in the image that the library says it has mapped for `_module`, which is
        // not unloaded while it is borrowed. That there really is a function of these types, which keeps
        // to its buffers and returns, is the vector's promise for a loader that works. For one that does
        // not there is no promise: that is what is being tested. This process does nothing but serve that
        // loader, so that whatever goes wrong ends this process only, and the harness sees it end.
        unsafe { invoke(entry, image, call) }
    }

    #[expect(unsafe_code, reason = "calls into the library")]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "uses the handle up: nobody can unload twice"
    )]
    pub(crate) fn unload(&self, module: Module) {
        // SAFETY: the library is loaded; `module` is a handle that it gave out, and this is its only
        // unloading, since the handle is used up here.
        unsafe { (self.unload)(module.0.as_ptr()) }
    }
}

#[expect(unsafe_code, reason = "runs the library's initialisers")]
fn open(path: &Path) -> Result<Library, HostError> {
    // SAFETY: the initialisers of a library are foreign code and can do anything. The user has named this
    // file to be run, and this process exists to run it: it holds nothing that it could damage.
    unsafe { Library::new(path) }.map_err(|source| HostError::Open { library: path.into(), source })
}

/// One of the four functions, as its type of `blob_loader.h`.
#[expect(unsafe_code, reason = "gives an address the type of a function")]
fn symbol<F: Copy>(library: &Library, path: &Path, symbol: &'static str) -> Result<F, HostError> {
    // SAFETY: `F` is the function pointer type that blob_loader.h declares for this name (the four calls
    // in `ForeignLoader::open`). A library that exports something else under the name breaks the
    // interface, which nothing in a C library lets anybody find out.
    let found = unsafe { library.get::<F>(symbol) };
    found.map(|address| *address).map_err(|source| HostError::Symbol {
        library: path.into(),
        symbol,
        source,
    })
}

/// `enum blob_want`; a scenario never gets here.
fn number(want: Want) -> i32 {
    match want {
        Want::Validate => 0,
        Want::Load => 1,
        Want::Call | Want::Scenario => 2,
    }
}
