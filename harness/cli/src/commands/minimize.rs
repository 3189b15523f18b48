//! `harness minimize FILE FUNCTION ARG… -o OUT`: the smallest module that goes wrong in the same way.

use std::path::PathBuf;

use blobspec::Format;
use harness_protocol::exit;
use harness_sandbox::Machine;
use harness_sandbox::module::{self, ModuleError};
use harness_triage::limits::MAX_TRIES;
use harness_triage::{MinimizeError, minimize};
use serde_json::json;

use crate::args::Global;
use crate::crash::{CallOptions, Called, crash};
use crate::failure::{CommandResult, Failure};
use crate::output::outln;
use crate::{formats, input, machines, style};

/// Make a module smaller while a call of it goes wrong in the same way
///
/// What shrinks is what the file means, not its bytes: functions, strings, sections, fields and code go as long as
/// the call falls into the same bucket; sizes, offsets and checksums follow. Of a file that breaks a rule, what
/// stays is the first rule that it breaks; no function is needed then.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The module
    file: PathBuf,
    /// The function
    function: Option<String>,
    /// Its arguments, as for run
    #[arg(allow_negative_numbers = true)]
    args: Vec<String>,
    /// Where the smaller module goes
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Most files to try
    #[arg(long, value_name = "N", default_value_t = MAX_TRIES)]
    tries: usize,
    #[command(flatten)]
    call: CallOptions,
}

/// Shrinks the module; 1 when there is nothing wrong with it.
pub(crate) fn run(global: &Global, options: &Options) -> CommandResult {
    let file = input::read(&options.file)?;
    let spec = formats::spec_for(global, &options.file, &file)?;
    let format = formats::format(global, &spec)?;
    let mut wrong = Wrong::new(options, &format, &file)?;
    let name = input::display(&options.file);
    let kept = wrong.of(&file)?.ok_or_else(|| {
        let message = format!("{name}: nothing goes wrong that could be kept");
        Failure::new(exit::NONCONFORMANT, message, None)
    })?;
    let interesting = |bytes: &[u8]| wrong.of(bytes).ok().flatten().as_ref() == Some(&kept);
    let smaller = minimize(&format, &file, options.tries, interesting).map_err(|error| {
        let code = match error {
            MinimizeError::NoModel => exit::NONCONFORMANT,
            _ => exit::HARNESS_BUG,
        };
        Failure::new(code, format!("{name}: {error}"), None)
    })?;
    input::write(&options.output, &smaller.bytes)?;
    let (before, after) = (file.len(), smaller.bytes.len());
    if global.json {
        let removed = smaller.removed.iter().map(|it| json!({"place": it.place, "what": it.what}));
        let removed: Vec<_> = removed.collect();
        outln!(
            "{}",
            json!({"kept": kept, "before": before, "after": after, "tries": smaller.tries,
                   "finished": smaller.finished, "removed": removed})
        );
    } else {
        for removal in &smaller.removed {
            outln!("{} {}", style::name(&removal.place), removal.what);
        }
        outln!("{} {kept}", style::dim("kept"));
        let end = if smaller.finished { "" } else { "; the cap on tries ended it" };
        let tries = smaller.tries;
        let output = options.output.display();
        outln!("{output}: {after} bytes instead of {before}, {tries} files tried{end}");
    }
    Ok(exit::OK)
}

/// What goes wrong with a file, in a line that is the same for the same fault.
struct Wrong<'a> {
    format: &'a Format,
    options: &'a Options,
    /// What to call, and on what; nothing for a file that breaks a rule.
    call: Option<(Called, Box<dyn Machine>)>,
}

impl<'a> Wrong<'a> {
    fn new(options: &'a Options, format: &'a Format, file: &[u8]) -> Result<Self, Failure> {
        let call = match module::interface(format, file) {
            Err(ModuleError::Rejected { .. }) => None,
            Err(error) => return Err(Failure::usage(error.to_string())),
            Ok(interface) => {
                let function = options.function.clone().ok_or_else(|| {
                    Failure::usage("the module breaks no rule: which function goes wrong?")
                })?;
                let machine = machines::start(interface.architecture, options.call.emulate)?;
                Some((Called { function, args: options.args.clone() }, machine))
            }
        };
        Ok(Self { format, options, call })
    }

    fn of(&mut self, file: &[u8]) -> Result<Option<String>, Failure> {
        match &mut self.call {
            Some((called, machine)) => {
                let crash = crash(machine.as_mut(), self.format, file, called, &self.options.call)?;
                Ok(crash.map(|crash| crash.bucket.key()))
            }
            None => Ok(match module::interface(self.format, file) {
                Err(ModuleError::Rejected { rule, .. }) => Some(format!("breaks {rule}")),
                _ => None,
            }),
        }
    }
}
