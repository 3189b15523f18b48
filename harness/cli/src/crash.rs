//! Calls that may go wrong, and the bucket that they fall into.

use std::collections::BTreeMap;
use std::time::Duration;

use blobspec::Format;
use harness_protocol::TypeName;
use harness_sandbox::module::{self, Function, Structure};
use harness_sandbox::{Budget, Calls, Job, Machine};
use harness_triage::{Bucket, Severity, bucket, severity};

use crate::commands::run::{arguments, no_function};
use crate::execution::{Wishes, execute, unloadable};
use crate::failure::Failure;

/// Options for calls whose end is sorted.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CallOptions {
    /// Type of the result, where the format declares none [default: int32]
    #[arg(long, value_name = "TYPE", value_parser = crate::commands::run::type_name)]
    pub(crate) returns: Option<TypeName>,
    /// The address that an import is given, decimal or 0x… (repeatable)
    #[arg(long = "import", value_name = "NAME=ADDRESS", value_parser = crate::commands::run::import)]
    pub(crate) imports: Vec<(String, u64)>,
    /// Longest time for one call in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    /// Use the emulator although the processor here could run the code
    #[arg(long)]
    pub(crate) emulate: bool,
}

/// A call that went wrong.
pub(crate) struct Crash {
    pub(crate) bucket: Bucket,
    pub(crate) severity: Severity,
}

/// One call: a function and its arguments as text.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    pub(crate) function: String,
    pub(crate) args: Vec<String>,
}

/// Calls into the file; `None` when the call returned and kept its promises.
pub(crate) fn crash(
    machine: &mut dyn Machine,
    format: &Format,
    file: &[u8],
    called: &Called,
    options: &CallOptions,
) -> Result<Option<Crash>, Failure> {
    let imports: BTreeMap<String, u64> = options.imports.iter().cloned().collect();
    let interface =
        module::interface(format, file).map_err(|error| unloadable("the file", &error))?;
    if !machine.runs(interface.architecture) {
        let message = format!("the {} machine runs no {}", machine.name(), interface.architecture);
        return Err(Failure::usage(message));
    }
    let base = crate::execution::default_base(interface.architecture);
    let module = module::load(format, file, base, &imports)
        .map_err(|error| unloadable("the file", &error))?;
    let function = module
        .function(&called.function)
        .ok_or_else(|| no_function("the file", &called.function, &interface))?;
    let job = job(function, &interface.structures, called, options)?;
    let wishes = Wishes { byte_bounds: machine.name() == "emulated", ..Wishes::default() };
    let execution = execute(machine, &module, &imports, job, wishes)?;
    let found = bucket(&module.program, &execution.verdict);
    let severity = severity(&module.program, &execution.verdict);
    Ok(found.zip(severity).map(|(bucket, severity)| Crash { bucket, severity }))
}

fn job(
    function: &Function,
    structures: &[Structure],
    called: &Called,
    options: &CallOptions,
) -> Result<Job, Failure> {
    let (args, returns) = arguments(function, structures, &called.args, options.returns)?;
    let time = Duration::from_secs(options.timeout);
    Ok(Job {
        entry: function.address,
        convention: function.convention,
        args,
        returns,
        calls: if function.pure { Calls::Pure } else { Calls::Once },
        budget: Budget { cpu: time, wall: time, instructions: Budget::default().instructions },
    })
}
