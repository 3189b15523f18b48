//! One call into a module on a machine, with all that is needed to explain what came of it.

use std::collections::BTreeMap;

use harness_protocol::exit;
use harness_sandbox::job::plan;
use harness_sandbox::module::{self, Module, ModuleError};
use harness_sandbox::{Job, Machine, Plan, Tracing, Verdict, verdict};

use crate::failure::Failure;
use crate::machines;

/// Where modules are loaded unless something else is asked for: in the addresses of native runs, clear of
/// stacks and buffers; low enough for code with 32-bit addresses.
pub(crate) fn default_base(architecture: harness_sandbox::Architecture) -> u64 {
    match architecture {
        harness_sandbox::Architecture::X86_32 => 0x0800_0000,
        _ => 0x4000_0000_0000,
    }
}

/// A call that was made.
pub(crate) struct Execution<'a> {
    /// The module that was called.
    pub(crate) module: &'a Module,
    /// What the machine was given.
    pub(crate) plan: Plan,
    /// What came of it.
    pub(crate) verdict: Verdict,
    /// The bytes at the stack pointer at the end.
    pub(crate) stack: Vec<u8>,
    /// Addresses that mean something beside the module's own, by name.
    pub(crate) imports: &'a BTreeMap<String, u64>,
}

/// What is asked of a machine beside the job.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes {
    /// What to note along the way.
    pub(crate) tracing: Tracing,
    /// Whether bounds hold to the byte, where the machine can tell.
    pub(crate) byte_bounds: bool,
}

/// Calls into `module`.
pub(crate) fn execute<'a>(
    machine: &mut dyn Machine,
    module: &'a Module,
    imports: &'a BTreeMap<String, u64>,
    job: Job,
    wishes: Wishes,
) -> Result<Execution<'a>, Failure> {
    let plan = plan(&module.program, job).map_err(|error| Failure::usage(error.to_string()))?;
    let mut plan = if wishes.byte_bounds { plan.with_byte_bounds() } else { plan };
    plan.setup.tracing = wishes.tracing;
    let report = machine.run(&plan.setup).map_err(|error| machines::failure(&error))?;
    let stops = report.stops.clone();
    let verdict = verdict::read(&module.program, &plan, report, machine.name());
    let stop = stops.into_iter().find(|stop| stop.registers == verdict.registers);
    let stack = stop.map(|stop| stop.stack).unwrap_or_default();
    Ok(Execution { module, plan, verdict, stack, imports })
}

impl Execution<'_> {
    /// Whether every call returned and kept its promises.
    pub(crate) fn is_clean(&self) -> bool {
        matches!(self.verdict.outcome, harness_sandbox::Outcome::Returned { .. })
            && self.verdict.breaches.is_empty()
    }
}

/// A module that cannot be loaded, with the name of its file.
pub(crate) fn unloadable(name: &str, error: &ModuleError) -> Failure {
    let code = match error {
        ModuleError::Base { .. } => exit::USAGE,
        _ => exit::NONCONFORMANT,
    };
    let help = match error {
        module::ModuleError::Unresolvable { .. } => {
            Some("an import is given an address with --import NAME=ADDRESS".to_owned())
        }
        _ => None,
    };
    Failure::new(code, format!("{name}: {error}"), help)
}
