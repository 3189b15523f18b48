//! The loader as the harness sees it: the pipe protocol's cases, answered.

use harness_protocol::serve::Loader;
use harness_protocol::{Case, Describe, Image, PROTOCOL_VERSION, Reply, Stage, Want};

use crate::call::CallOutcome;
use crate::error::Error;
use crate::file::{self, File};
use crate::header::Architecture;
use crate::model::model;
use crate::module::Module;

/// Id of the one format.
const FORMAT: &str = "scp";

/// Answers the cases of one connection. What a case mapped stays mapped until [`Loader::release`].
///
/// A case is a file on its own: nothing else is loaded that it could depend on, and its dependencies are
/// not resolved.
#[derive(Debug, Default)]
pub struct Adapter {
    executes: bool,
    loaded: Option<Module>,
}

impl Adapter {
    /// An adapter that validates and maps, and skips cases that want a call.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An adapter that also calls functions in its own process, uncontained.
    ///
    /// # Safety
    /// Every case that wants a call is one that [`Module::call`] may be used for, or this process exists
    /// for nothing but these calls and whoever started it expects it to die or go wrong in them.
    #[must_use]
    #[expect(unsafe_code, reason = "who makes an adapter that executes answers for the code")]
    pub unsafe fn executing() -> Self {
        Self { executes: true, loaded: None }
    }

    fn answer(&mut self, case: &Case) -> Result<Reply, Error> {
        let file = file::validate(&case.bytes.0)?;
        match case.want {
            Want::Validate => Ok(accepted(Stage::Valid, &file)),
            Want::Load => self.load(&file),
            Want::Call => self.call(case, &file),
            Want::Scenario => Ok(skip("scp has no scenarios")),
        }
    }

    fn load(&mut self, file: &File<'_>) -> Result<Reply, Error> {
        let module = self.loaded.insert(Module::map(file)?);
        Ok(Reply { images: images(module), ..accepted(Stage::Loaded, file) })
    }

    fn call(&mut self, case: &Case, file: &File<'_>) -> Result<Reply, Error> {
        let Some(call) = &case.call else { return Ok(skip("the case does not say what to call")) };
        if !self.executes {
            return Ok(skip("this adapter does not execute code"));
        }
        let reply = self.load(file)?;
        let Some(module) = &self.loaded else { return Ok(reply) };
        let signature = module.check(&call.function, &call.args)?;
        if signature.returns != call.returns {
            let (function, declared) = (&call.function, signature.returns);
            let why = format!("`{function}` returns {declared}, the case says {}", call.returns);
            return Ok(skip(why));
        }
        let CallOutcome { returned, buffers } = execute(module, call)?;
        Ok(Reply { stage: Some(Stage::Returned), result: Some(returned), buffers, ..reply })
    }
}

#[expect(unsafe_code, reason = "a case that wants a call is answered by calling")]
fn execute(module: &Module, call: &harness_protocol::Call) -> Result<CallOutcome, Error> {
    // SAFETY: only an adapter made by `Adapter::executing` gets here (`executes` is set nowhere else and
    // tested by the one caller), and its contract is that of `Module::call` for every such case.
    unsafe { module.call(&call.function, &call.args) }
}

impl Loader for Adapter {
    fn describe(&self) -> Describe {
        let mut wants = vec![Want::Validate, Want::Load];
        if self.executes {
            wants.push(Want::Call);
        }
        Describe {
            protocol: PROTOCOL_VERSION,
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            language: "rust".into(),
            formats: vec![FORMAT.into()],
            architectures: Architecture::ALL.map(|known| known.name().into()).into(),
            wants,
            ..Describe::default()
        }
    }

    fn judge(&mut self, case: &Case) -> Reply {
        self.release();
        if case.format != FORMAT {
            return skip(format!("the format `{}` is not known here", case.format));
        }
        self.answer(case).unwrap_or_else(|error| refused(&error))
    }

    fn release(&mut self) {
        self.loaded = None;
    }
}

fn accepted(stage: Stage, file: &File<'_>) -> Reply {
    Reply { stage: Some(stage), model: model(file), ..Reply::default() }
}

fn refused(error: &Error) -> Reply {
    let Some(stage) = error.stage() else { return skip(error.to_string()) };
    Reply {
        stage: Some(stage),
        rule: error.rule().map(|rule| rule.id().into()),
        offset: error.offset(),
        message: Some(error.to_string()),
        ..Reply::default()
    }
}

fn skip(why: impl Into<String>) -> Reply {
    Reply { skip: Some(why.into()), ..Reply::default() }
}

/// Where the code lies. A module without code has no image.
fn images(module: &Module) -> Vec<Image> {
    let addresses = module.image().addresses();
    if addresses.is_empty() {
        return Vec::new();
    }
    let word = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let (base, size) = (word(addresses.start), word(addresses.len()));
    vec![Image { name: "code".into(), base, size, ..Image::default() }]
}
