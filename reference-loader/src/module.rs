//! A file that was validated and mapped, with its functions by name.

use std::collections::BTreeMap;
use std::path::Path;

use harness_protocol::{Argument, TypeName};

use crate::call::Convention;
use crate::error::Error;
use crate::file::{self, File};
use crate::functions::{FLAG_PURE, Function};
use crate::header::{Architecture, CallingConvention, at};
use crate::image::Image;
use crate::registry::Version;
use crate::strings::Strings;
use crate::type_code;

/// What a function takes and returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Types of the parameters.
    pub params: Box<[TypeName]>,
    /// Type of the result.
    pub returns: TypeName,
    /// Whether the file says that the same arguments give the same result and change nothing.
    pub pure: bool,
}

/// One function of a module.
#[derive(Debug)]
struct Export {
    name: Box<str>,
    entry_offset: u64,
    signature: Signature,
}

/// A module that the file requires.
#[derive(Debug)]
pub(crate) struct Requirement {
    pub(crate) name: Box<str>,
    /// The highest minimum that the file names (choice scp.dup-dependency).
    pub(crate) version: Version,
    /// Where the file says so.
    pub(crate) offset: u64,
}

/// A loaded module. It owns its code and needs the file no more; dropping it unmaps the code.
#[derive(Debug)]
pub struct Module {
    image: Image,
    convention: Convention,
    /// Sorted by name.
    exports: Vec<Export>,
    requirements: Vec<Requirement>,
}

impl Module {
    /// Validates and maps the file `bytes`. Its dependencies are not looked at: that takes a
    /// [`Registry`](crate::Registry).
    ///
    /// # Errors
    /// The first [`Error::Violation`]; [`Error::ForeignArchitecture`] when the code is for another
    /// processor than this one; [`Error::Unmappable`].
    pub fn load(bytes: &[u8]) -> Result<Self, Error> {
        Self::map(&file::validate(bytes)?)
    }

    /// Validates and maps the file at `path`; otherwise as [`Module::load`].
    ///
    /// # Errors
    /// As [`Module::load`], or [`Error::Unreadable`].
    pub fn load_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
        Self::load(&crate::sys::read(path).map_err(unreadable)?)
    }

    /// Maps `file`, which was validated.
    pub(crate) fn map(file: &File<'_>) -> Result<Self, Error> {
        require_host(file)?;
        Ok(Self {
            image: Image::load(file.code())?,
            convention: convention(file),
            exports: exports(file),
            requirements: requirements(file),
        })
    }

    /// The code in memory.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// How the functions expect their arguments.
    #[must_use]
    pub fn convention(&self) -> Convention {
        self.convention
    }

    /// The functions' names, sorted.
    pub fn functions(&self) -> impl ExactSizeIterator<Item = &str> {
        self.exports.iter().map(|export| &*export.name)
    }

    /// What the function `name` takes and returns.
    #[must_use]
    pub fn signature(&self, name: &str) -> Option<&Signature> {
        self.export(name).map(|export| &export.signature)
    }

    /// Offset of the function `name` in the code, in bytes.
    #[must_use]
    pub fn entry_offset(&self, name: &str) -> Option<u64> {
        self.export(name).map(|export| export.entry_offset)
    }

    /// Checks that `args` are of the types that the function `name` declares.
    ///
    /// The document asks for this in debug builds. Here every build does it, at every call: it costs a
    /// byte a parameter, far less than the call through libffi, and a wrong type is undefined behaviour.
    ///
    /// # Errors
    /// [`Error::NoFunction`], [`Error::Arguments`].
    pub fn check(&self, name: &str, args: &[Argument]) -> Result<&Signature, Error> {
        let signature = self.signature(name).ok_or_else(|| Error::NoFunction(name.into()))?;
        let given = args.iter().map(Argument::type_name);
        if given.clone().eq(signature.params.iter().copied()) {
            return Ok(signature);
        }
        Err(Error::Arguments {
            function: name.into(),
            declared: signature.params.to_vec(),
            given: given.collect(),
        })
    }

    pub(crate) fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    fn export(&self, name: &str) -> Option<&Export> {
        let index = self.exports.binary_search_by(|export| (*export.name).cmp(name)).ok()?;
        self.exports.get(index)
    }
}

fn require_host(file: &File<'_>) -> Result<(), Error> {
    match (file.header().architecture(), Architecture::HOST) {
        (Some(found), host) if Some(found) != host => {
            Err(Error::ForeignArchitecture { found, host, offset: at::ARCHITECTURE })
        }
        _ => Ok(()),
    }
}

fn convention(file: &File<'_>) -> Convention {
    match file.header().calling_convention() {
        Some(CallingConvention::Stdcall) => Convention::Stdcall,
        _ => Convention::C,
    }
}

fn exports(file: &File<'_>) -> Vec<Export> {
    let strings = file.strings();
    let export = |function: Function<'_>| Export {
        name: text(&strings, function.name_offset),
        entry_offset: function.entry_offset,
        signature: signature(&function),
    };
    let mut exports: Vec<_> = file.functions().map(export).collect();
    exports.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    exports
}

fn signature(function: &Function<'_>) -> Signature {
    // Validated files hold defined codes only, so that nothing is filtered out here.
    let params = function.params.iter().filter_map(|code| type_code::name(*code)).collect();
    let returns = type_code::name(function.return_type).unwrap_or(TypeName::Void);
    Signature { params, returns, pure: function.flags & FLAG_PURE != 0 }
}

/// The dependencies, each name once: many entries may share one long name, and a copy for each could
/// exceed the file's size by far.
fn requirements(file: &File<'_>) -> Vec<Requirement> {
    let mut highest = BTreeMap::new();
    for dependency in file.dependencies() {
        let known = highest.entry(dependency.name_offset).or_insert(dependency);
        if known.required_version < dependency.required_version {
            *known = dependency;
        }
    }
    let strings = file.strings();
    highest
        .into_values()
        .map(|dependency| Requirement {
            name: text(&strings, dependency.name_offset),
            version: Version::from_code(dependency.required_version),
            offset: dependency.offset,
        })
        .collect()
}

fn text(strings: &Strings<'_>, name_offset: u32) -> Box<str> {
    String::from_utf8_lossy(strings.at(name_offset).unwrap_or_default()).into()
}
