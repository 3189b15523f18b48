//! One vector on every machine that can run it, at two bases.

use std::time::Duration;

use blobspec::Format;
use harness_protocol::Vector;
use harness_sandbox::module::{self, Module};
use harness_sandbox::{Architecture, Budget, Calls, Job, Machine, Tracing, expect};

use super::agreement;
use crate::execution::{Execution, Wishes, default_base, execute};
use crate::failure::Failure;
use crate::machines;

/// How far the second base is from the first: many pages, and nothing that is round.
const APART: u64 = 0x1234_5000;

/// When a call is stopped. Vectors that never return are part of the suite, the others take microseconds.
const BUDGET: Budget = Budget {
    cpu: Duration::from_millis(500),
    wall: Duration::from_secs(20),
    instructions: Some(2_000_000),
};

/// The machines of a run, as far as they are there.
pub(super) struct Machines {
    native: Option<Box<dyn Machine>>,
    emulated: Option<Box<dyn Machine>>,
}

/// What came of a vector.
pub(super) enum Outcome {
    /// As expected, and the same everywhere; on which machines.
    Agreed(String),
    /// No machine here can run it, and why.
    Skipped(String),
    /// What differs from the expectation, or between machines.
    Differs(Vec<String>),
}

impl Machines {
    /// Starts those that are wanted and there.
    pub(super) fn start(native: bool, emulated: bool) -> Result<Self, Failure> {
        let here = machines::native_architecture().filter(|_| native);
        let native = here.map(|_| machines::native()).transpose()?;
        let emulated =
            (emulated && machines::has_emulator()).then(machines::emulated).transpose()?;
        Ok(Self { native, emulated })
    }

    /// Those that run code of `architecture`.
    fn that_run(&mut self, architecture: Architecture) -> Vec<&mut dyn Machine> {
        let both = [&mut self.native, &mut self.emulated].into_iter().flatten();
        let able = both.filter(|machine| machine.runs(architecture));
        able.map(|machine| machine.as_mut() as &mut dyn Machine).collect()
    }
}

/// A vector that calls a function.
pub(super) struct Case<'a> {
    pub(super) format: &'a Format,
    pub(super) vector: &'a Vector,
}

impl Case<'_> {
    /// Runs it.
    pub(super) fn run(&self, machines: &mut Machines) -> Outcome {
        let architecture = match module::interface(self.format, &self.vector.bytes.0) {
            Ok(interface) => interface.architecture,
            Err(error) => return Outcome::Differs(vec![format!("not loaded: {error}")]),
        };
        let mut able = machines.that_run(architecture);
        if able.is_empty() {
            return Outcome::Skipped(format!("no machine here runs {architecture}"));
        }
        let base = default_base(architecture);
        let differences: Vec<String> = [base, base + APART]
            .into_iter()
            .flat_map(|base| match self.at(base, &mut able) {
                Ok(differences) => differences,
                Err(why) => vec![format!("at {base:#x}: {why}")],
            })
            .collect();
        if differences.is_empty() {
            let names: Vec<&str> = able.iter().map(|machine| machine.name()).collect();
            Outcome::Agreed(names.join(" and "))
        } else {
            Outcome::Differs(differences)
        }
    }

    /// Runs it at one base; what differs.
    fn at(&self, base: u64, machines: &mut [&mut dyn Machine]) -> Result<Vec<String>, String> {
        let module = module::load(self.format, &self.vector.bytes.0, base, &self.vector.imports)
            .map_err(|error| error.to_string())?;
        let job = job(self.vector, &module)?;
        let mut differences = Vec::new();
        let mut executions = Vec::new();
        for machine in machines.iter_mut() {
            let execution = self.execute(*machine, &module, &job, Tracing::None)?;
            let name = machine.name();
            let found = expect::compare(&self.vector.expect, &execution.verdict);
            differences.extend(found.into_iter().map(|it| format!("{name} at {base:#x}: {it}")));
            executions.push(execution);
        }
        if let [first, second] = executions.as_slice() {
            let either =
                self.vector.expect.trap.is_some() && self.vector.expect.system_call.is_some();
            let found = agreement::differences(&first.verdict, &second.verdict, either);
            if !found.is_empty() {
                differences.extend(found.into_iter().map(|it| format!("at {base:#x}: {it}")));
                differences.push(self.parting(machines, &module, &job)?);
            }
        }
        Ok(differences)
    }

    /// Where the machines part: the first instruction that only one of them runs.
    fn parting(
        &self,
        machines: &mut [&mut dyn Machine],
        module: &Module,
        job: &Job,
    ) -> Result<String, String> {
        let mut traced = Vec::new();
        for machine in machines.iter_mut() {
            traced.push(self.execute(*machine, module, job, Tracing::Instructions)?);
        }
        let [first, second] = traced.as_slice() else { return Err("one machine only".to_owned()) };
        Ok(agreement::parting(&module.program, &first.verdict, &second.verdict))
    }

    fn execute<'m>(
        &'m self,
        machine: &mut dyn Machine,
        module: &'m Module,
        job: &Job,
        tracing: Tracing,
    ) -> Result<Execution<'m>, String> {
        let wishes = Wishes { tracing, byte_bounds: false };
        execute(machine, module, &self.vector.imports, job.clone(), wishes)
            .map_err(|error| error.to_string())
    }
}

/// The call that a vector asks for.
pub(crate) fn job(vector: &Vector, module: &Module) -> Result<Job, String> {
    let call = vector.call.as_ref().ok_or("the vector says no call")?;
    let function = module.function(&call.function);
    let function = function.ok_or_else(|| format!("there is no function {}", call.function))?;
    Ok(Job {
        entry: function.address,
        convention: function.convention,
        args: call.args.clone(),
        returns: call.returns,
        calls: if function.pure { Calls::Pure } else { Calls::Once },
        budget: BUDGET,
    })
}
