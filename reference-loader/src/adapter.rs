//! The loader as the harness sees it: the pipe protocol's cases, answered.

mod scenario;
mod scp;
mod smf;

use std::fmt::Debug;

use harness_protocol::serve::Loader;
use harness_protocol::{Case, Describe, PROTOCOL_VERSION, Reply, Want};

use crate::header::Architecture;

/// Ids of the formats.
const SCP: &str = "scp";
const SMF: &str = "smf";

/// Answers the cases of one connection. What a case mapped stays mapped until [`Loader::release`].
///
/// A case is a file on its own: nothing else is loaded that it could depend on, except by the steps of its
/// scenario. SCP's dependencies are not resolved; SMF's imports are those that the case brings.
#[derive(Debug, Default)]
pub struct Adapter {
    executes: bool,
    kept: Option<Kept>,
}

/// What the last case left mapped: a module, or several.
type Kept = Box<dyn Debug + Send + Sync>;

impl Adapter {
    /// An adapter that validates and maps, and skips cases that want a call.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An adapter that also calls functions in its own process, uncontained.
    ///
    /// # Safety
    /// Every case that wants a call is one that [`Module::call`](crate::Module::call) and
    /// [`smf::Module::call`](crate::smf::Module::call) may be used for, or this process exists for nothing
    /// but these calls and whoever started it expects it to die or go wrong in them.
    #[must_use]
    #[expect(unsafe_code, reason = "who makes an adapter that executes answers for the code")]
    pub unsafe fn executing() -> Self {
        Self { executes: true, kept: None }
    }

    /// Answers `case` and keeps what it mapped.
    fn answer(&mut self, case: &Case) -> Reply {
        let calls = case.want == Want::Call || scenario::calls(case);
        if calls && !self.executes {
            return skip("this adapter does not execute code");
        }
        let (reply, kept) = match (&*case.format, case.want) {
            (SCP, Want::Scenario) => (skip("scp has no scenarios"), None),
            (SCP, _) => scp::answer(case),
            (SMF, Want::Scenario) => scenario::answer(case),
            (SMF, _) => smf::answer(case),
            (other, _) => (skip(format!("the format `{other}` is not known here")), None),
        };
        self.kept = kept;
        reply
    }
}

impl Loader for Adapter {
    fn describe(&self) -> Describe {
        let mut wants = vec![Want::Validate, Want::Load];
        if self.executes {
            wants.push(Want::Call);
        }
        wants.push(Want::Scenario);
        Describe {
            protocol: PROTOCOL_VERSION,
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            language: "rust".into(),
            formats: vec![SCP.into(), SMF.into()],
            architectures: Architecture::ALL.map(|known| known.name().into()).into(),
            wants,
            places: true,
            ..Describe::default()
        }
    }

    fn judge(&mut self, case: &Case) -> Reply {
        self.release();
        self.answer(case)
    }

    fn release(&mut self) {
        self.kept = None;
    }
}

fn skip(why: impl Into<String>) -> Reply {
    Reply { skip: Some(why.into()), ..Reply::default() }
}
