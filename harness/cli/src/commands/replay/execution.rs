//! A vector that calls a function, in the sandbox.

use blobspec::Format;
use harness_codec::decode;
use harness_protocol::{Vector, exit};
use harness_sandbox::{Tracing, expect, module};
use serde_json::json;

use super::super::cross_check::job;
use super::super::dump;
use crate::args::Global;
use crate::execution::{Wishes, default_base, execute, unloadable};
use crate::failure::{CommandResult, Failure};
use crate::output::{out, outln};
use crate::{debugger, machines, style};

/// Runs the vector; 1 when what came of it is not what is expected.
pub(super) fn replay(
    global: &Global,
    format: &Format,
    vector: &Vector,
    emulate: bool,
) -> CommandResult {
    let file = &vector.bytes.0;
    let interface =
        module::interface(format, file).map_err(|error| unloadable(&vector.id, &error))?;
    let base = default_base(interface.architecture);
    let module = module::load(format, file, base, &vector.imports)
        .map_err(|error| unloadable(&vector.id, &error))?;
    let job = job(vector, &module).map_err(Failure::usage)?;
    let mut machine = machines::start(interface.architecture, emulate)?;
    let wishes = Wishes { tracing: Tracing::None, byte_bounds: false };
    let execution = execute(machine.as_mut(), &module, &vector.imports, job, wishes)?;
    let function = vector.call.as_ref().map(|call| call.function.as_str()).unwrap_or_default();
    let differences = expect::compare(&vector.expect, &execution.verdict);
    if global.json {
        let verdict = debugger::json(function, &execution);
        let result = json!({"vector": vector, "verdict": verdict, "differences": differences});
        outln!("{result}");
    } else {
        let decoded = decode(format, file);
        out!("{}", dump::text(format, &decoded, file, &vector.id, false));
        debugger::show(function, &execution);
        outln!();
        expectation(vector, &differences);
    }
    Ok(if differences.is_empty() { exit::OK } else { exit::NONCONFORMANT })
}

/// What was expected, and whether that is what came.
fn expectation(vector: &Vector, differences: &[String]) {
    let line = |label: &str, text: &str| {
        if !text.is_empty() {
            outln!("{:>10}  {text}", style::dim(label));
        }
    };
    line("why", &vector.why);
    line("twin", vector.twin.as_deref().unwrap_or_default());
    line("expected", &serde_json::to_string(&vector.expect).unwrap_or_default());
    differences.iter().for_each(|difference| line("but", difference));
    let outcome = if differences.is_empty() { style::good("pass") } else { style::bad("differs") };
    line("outcome", &outcome);
}
