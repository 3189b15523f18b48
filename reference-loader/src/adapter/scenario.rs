//! Scenarios of SMF: steps worked through with one module registry, on files in a private folder.

use std::collections::HashMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use harness_protocol::scenario::{Step, StepReply};
use harness_protocol::{Case, HexBytes, Reply, Stage};
use tempfile::TempDir;

use super::{Kept, skip, smf};
use crate::smf::{Error, Module, ModuleRegistry};

/// Whether the case has a step that runs code.
pub(super) fn calls(case: &Case) -> bool {
    case.steps.iter().any(|step| matches!(step, Step::Call { .. }))
}

/// Answers `case`, step by step; if it calls, the maker of the adapter answers for that.
pub(super) fn answer(case: &Case) -> (Reply, Option<Kept>) {
    let outside = case.steps.iter().filter_map(path_of).find(|path| !stays_inside(path));
    if let Some(path) = outside {
        return (skip(format!("`{path}` leads out of the scenario's folder")), None);
    }
    let worked = tempfile::tempdir().and_then(|folder| {
        let mut session = Session::new(case);
        let steps = case.steps.iter().map(|step| session.work(step, &folder));
        let steps = steps.collect::<io::Result<Vec<_>>>()?;
        folder.close()?;
        Ok((session, steps))
    });
    match worked {
        Ok((session, steps)) => {
            let reply = Reply { stage: Some(Stage::Returned), steps, ..Reply::default() };
            (reply, Some(Box::new(session)))
        }
        Err(error) => (skip(format!("the scenario's files cannot be written: {error}")), None),
    }
}

/// What a scenario has loaded. Kept until the next case, so that the images can be looked at.
#[derive(Debug)]
pub(super) struct Session {
    registry: ModuleRegistry,
    handles: HashMap<String, Arc<Module>>,
}

impl Session {
    fn new(case: &Case) -> Self {
        let imports = case.imports.clone();
        let registry = ModuleRegistry::with_host(move |name: &str| imports.get(name).copied());
        Self { registry, handles: HashMap::new() }
    }

    /// Works `step`, with files in `folder`; fails when these cannot be written.
    fn work(&mut self, step: &Step, folder: &TempDir) -> io::Result<StepReply> {
        let place = |path: &str| folder.path().join(path);
        Ok(match step {
            Step::Load { path, bytes, handle } => {
                let path = write(place(path), bytes.as_ref())?;
                self.keep(handle, self.registry.load(path))
            }
            Step::Reload { path, bytes, handle } => {
                let path = write(place(path), bytes.as_ref())?;
                self.keep(handle, self.registry.reload(path))
            }
            Step::Unload { path } => match self.registry.unload(place(path)) {
                Ok(_) => StepReply::default(),
                Err(error) => unresolvable(&error.to_string()),
            },
            Step::Release { handle } => match self.handles.remove(handle) {
                Some(_) => StepReply::default(),
                None => no_handle(handle),
            },
            Step::Resolve { symbol } => found(symbol, self.registry.resolve_symbol(symbol)),
            Step::Find { handle, symbol } => match self.handles.get(handle) {
                Some(module) => found(symbol, module.symbol(symbol)),
                None => no_handle(handle),
            },
            Step::Call { handle, call } => match self.handles.get(handle) {
                Some(module) => self::call(module, call),
                None => no_handle(handle),
            },
        })
    }

    fn keep(&mut self, handle: &str, loaded: Result<Arc<Module>, Error>) -> StepReply {
        match loaded {
            Ok(module) => {
                let images = smf::images(&module);
                self.handles.insert(handle.to_owned(), module);
                StepReply { stage: Some(Stage::Loaded), images, ..StepReply::default() }
            }
            Err(error) => refused(&error),
        }
    }
}

fn call(module: &Module, call: &harness_protocol::Call) -> StepReply {
    match smf::execute(module, call) {
        Ok(outcome) => StepReply {
            stage: Some(Stage::Returned),
            result: Some(outcome.returned),
            ..StepReply::default()
        },
        Err(error) => refused(&error),
    }
}

fn found(symbol: &str, address: Option<u64>) -> StepReply {
    match address {
        Some(_) => StepReply { address, ..StepReply::default() },
        None => unresolvable(&format!("there is no symbol named `{symbol}`")),
    }
}

/// The answer to a step that failed. What is no fault of a file (it is not there, say) could not be resolved.
fn refused(error: &Error) -> StepReply {
    StepReply {
        stage: Some(error.stage().unwrap_or(Stage::Unresolvable)),
        rule: error.rule().map(|rule| rule.id().into()),
        message: Some(error.to_string()),
        ..StepReply::default()
    }
}

fn unresolvable(why: &str) -> StepReply {
    let message = Some(why.to_owned());
    StepReply { stage: Some(Stage::Unresolvable), message, ..StepReply::default() }
}

fn no_handle(handle: &str) -> StepReply {
    unresolvable(&format!("there is no handle `{handle}`"))
}

fn path_of(step: &Step) -> Option<&str> {
    match step {
        Step::Load { path, .. } | Step::Reload { path, .. } | Step::Unload { path } => Some(path),
        Step::Release { .. } | Step::Resolve { .. } | Step::Find { .. } | Step::Call { .. } => None,
    }
}

/// Whether `path` stays below the folder that it is relative to.
fn stays_inside(path: &str) -> bool {
    let below = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    Path::new(path).components().all(below)
}

/// Writes `bytes`, if there are any to write, to `path`.
fn write(path: PathBuf, bytes: Option<&HexBytes>) -> io::Result<PathBuf> {
    if let Some(bytes) = bytes {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, &bytes.0)?;
    }
    Ok(path)
}
