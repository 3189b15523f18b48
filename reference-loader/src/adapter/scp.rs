//! Cases of SCP.

use harness_protocol::{Call, Case, Image, Reply, Stage, Want};

use super::{Kept, skip};
use crate::call::CallOutcome;
use crate::error::Error;
use crate::file::{self, File};
use crate::model::model;
use crate::module::Module;

/// Answers `case`; if it wants a call, one that the maker of the adapter answers for.
pub(super) fn answer(case: &Case) -> (Reply, Option<Kept>) {
    let mut module = None;
    let reply = judge(case, &mut module).unwrap_or_else(|error| refused(&error));
    (reply, module.map(|module| Box::new(module) as Kept))
}

fn judge(case: &Case, kept: &mut Option<Module>) -> Result<Reply, Error> {
    let file = file::validate(&case.bytes.0)?;
    if case.want == Want::Validate {
        return Ok(accepted(Stage::Valid, &file));
    }
    if case.want == Want::Call && case.call.is_none() {
        return Ok(skip("the case does not say what to call"));
    }
    let module = kept.insert(Module::map(&file)?);
    let reply = Reply { images: images(module), ..accepted(Stage::Loaded, &file) };
    match &case.call {
        Some(call) if case.want == Want::Call => self::call(module, call, reply),
        _ => Ok(reply),
    }
}

fn call(module: &Module, call: &Call, reply: Reply) -> Result<Reply, Error> {
    let signature = module.check(&call.function, &call.args)?;
    if signature.returns != call.returns {
        let (function, declared) = (&call.function, signature.returns);
        let why = format!("`{function}` returns {declared}, the case says {}", call.returns);
        return Ok(skip(why));
    }
    let CallOutcome { returned, buffers } = execute(module, call)?;
    Ok(Reply { stage: Some(Stage::Returned), result: Some(returned), buffers, ..reply })
}

#[expect(unsafe_code, reason = "a case that wants a call is answered by calling")]
fn execute(module: &Module, call: &Call) -> Result<CallOutcome, Error> {
    // SAFETY: only an adapter made by `Adapter::executing` answers cases that want a call (`executes` is set
    // nowhere else and tested in `Adapter::answer`), and its contract is that of `Module::call`.
    unsafe { module.call(&call.function, &call.args) }
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
