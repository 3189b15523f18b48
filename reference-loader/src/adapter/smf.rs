//! Cases of SMF that are about one file.

use std::collections::HashSet;

use harness_protocol::{Call, Case, Export, Image, Reply, Stage, Want};

use super::{Kept, skip};
use crate::call::CallOutcome;
use crate::limits::MAX_EXPORTS;
use crate::smf::{self, Error, File, LoadOptions, Module};

/// Answers `case`; if it wants a call, one that the maker of the adapter answers for.
pub(super) fn answer(case: &Case) -> (Reply, Option<Kept>) {
    let mut module = None;
    let reply = judge(case, &mut module).unwrap_or_else(|error| refused(&error));
    (reply, module.map(|module| Box::new(module) as Kept))
}

fn judge(case: &Case, kept: &mut Option<Module>) -> Result<Reply, Error> {
    let file = smf::validate(&case.bytes.0)?;
    if case.want == Want::Validate {
        return Ok(accepted(Stage::Valid, &file));
    }
    if case.want == Want::Call && case.call.is_none() {
        return Ok(skip("the case does not say what to call"));
    }
    let imports = |name: &str| case.imports.get(name).copied();
    let options = LoadOptions { base: case.base, ..LoadOptions::default() };
    let module = kept.insert(Module::map(&file, false, &imports, &options)?);
    let reply = Reply {
        images: images(module),
        exports: exports(module),
        ..accepted(Stage::Loaded, &file)
    };
    match &case.call {
        Some(call) if case.want == Want::Call => {
            let CallOutcome { returned, buffers } = execute(module, call)?;
            Ok(Reply { stage: Some(Stage::Returned), result: Some(returned), buffers, ..reply })
        }
        _ => Ok(reply),
    }
}

/// Calls a function of `module`, for a case that the maker of the adapter answers for.
#[expect(unsafe_code, reason = "a case that wants a call is answered by calling")]
pub(super) fn execute(module: &Module, call: &Call) -> Result<CallOutcome, Error> {
    // SAFETY: only an adapter made by `Adapter::executing` answers cases that call (`executes` is set
    // nowhere else and tested in `Adapter::answer`), and its contract is that of `Module::call`.
    unsafe { module.call(call) }
}

fn accepted(stage: Stage, file: &File<'_>) -> Reply {
    Reply { stage: Some(stage), model: smf::model(file), ..Reply::default() }
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

/// Where the images lie. An image without bytes is none.
pub(super) fn images(module: &Module) -> Vec<Image> {
    [("code", module.code()), ("data", module.data())]
        .into_iter()
        .filter(|(_, image)| image.size > 0)
        .map(|(name, smf::Image { base, size })| Image {
            name: name.into(),
            base,
            size,
            ..Image::default()
        })
        .collect()
}

/// What the module offers to others: of several exports of one name the first, which is the one that lookups
/// find. `None` when that is more than a reply should carry.
fn exports(module: &Module) -> Option<Vec<Export>> {
    let (mut left, mut names) = (MAX_EXPORTS, HashSet::new());
    let offered = module.exports().filter(|(name, _)| names.insert(*name));
    let export = |(name, address): (&str, u64)| {
        left = left.checked_sub(EXPORT.saturating_add(name.len().saturating_mul(CHARACTER)))?;
        Some(Export { name: name.into(), address })
    };
    offered.map(export).collect()
}

/// Bytes that the JSON of an export takes at most, without its name; and of a character, as `\u0000`.
const EXPORT: usize = 64;
const CHARACTER: usize = 6;
