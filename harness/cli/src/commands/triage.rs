//! `harness triage FILE…`: sorts what goes wrong into buckets and says how bad it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use harness_protocol::exit;
use harness_sandbox::module;
use harness_triage::Severity;
use serde_json::json;

use crate::args::Global;
use crate::crash::{CallOptions, Called, Crash, crash};
use crate::execution::unloadable;
use crate::failure::{CommandResult, Failure};
use crate::output::outln;
use crate::{formats, input, machines, style};

/// Call functions of modules, sort what goes wrong into buckets, and say how bad it is
///
/// Without --call, every exported function is called that takes no arguments, or of which the module does not say
/// what it takes. Two crashes are in one bucket when the same happened, by the same instruction, on the same way
/// through the functions. Exit codes: 0 every call kept its promises, 1 some did not, 4 there was nothing to call.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The modules
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// A function and its arguments in one word, such as 'sum int32:1 int32:2' (repeatable)
    #[arg(long = "call", value_name = "FUNCTION ARG…", value_parser = called)]
    calls: Vec<Called>,
    #[command(flatten)]
    call: CallOptions,
}

fn called(text: &str) -> Result<Called, String> {
    let mut words = shell_words::split(text).map_err(|error| error.to_string())?.into_iter();
    let function = words.next().ok_or("expected a function and its arguments")?;
    Ok(Called { function, args: words.collect() })
}

/// What fell into one bucket.
struct Bucketed {
    key: String,
    severity: Severity,
    calls: Vec<(String, String)>,
}

/// What came of all calls.
#[derive(Default)]
struct Sorted {
    buckets: BTreeMap<String, Bucketed>,
    clean: usize,
    not_called: Vec<(String, String)>,
}

/// Calls and sorts.
pub(crate) fn run(global: &Global, options: &Options) -> CommandResult {
    let mut sorted = Sorted::default();
    for path in &options.files {
        sorted.file(global, options, path)?;
    }
    if global.json {
        sorted.in_json();
    } else {
        sorted.in_text();
    }
    Ok(match (sorted.buckets.is_empty(), sorted.clean) {
        (false, _) => exit::NONCONFORMANT,
        (true, 0) => exit::NOTHING_RAN,
        (true, _) => exit::OK,
    })
}

impl Sorted {
    fn file(&mut self, global: &Global, options: &Options, path: &Path) -> Result<(), Failure> {
        let file = input::read(path)?;
        let spec = formats::spec_for(global, path, &file)?;
        let format = formats::format(global, &spec)?;
        let name = input::display(path);
        let interface = match module::interface(&format, &file) {
            Ok(interface) => interface,
            Err(error) => {
                self.not_called.push((name.clone(), unloadable(&name, &error).to_string()));
                return Ok(());
            }
        };
        let mut machine = machines::start(interface.architecture, options.call.emulate)?;
        let calls =
            if options.calls.is_empty() { without(&interface) } else { options.calls.clone() };
        for call in calls {
            match crash(machine.as_mut(), &format, &file, &call, &options.call) {
                Ok(Some(crash)) => self.add(crash, &name, &call),
                Ok(None) => self.clean += 1,
                Err(error) => {
                    self.not_called.push((format!("{name} {}", call.function), error.to_string()));
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, crash: Crash, file: &str, call: &Called) {
        let mut words = vec![call.function.clone()];
        words.extend(call.args.clone());
        let Crash { bucket, severity } = crash;
        let new = Bucketed { key: bucket.key(), severity, calls: Vec::new() };
        let known = self.buckets.entry(bucket.id()).or_insert(new);
        known.calls.push((file.to_owned(), shell_words::join(words)));
    }

    /// The worst first.
    fn by_severity(&self) -> Vec<(&String, &Bucketed)> {
        let mut buckets: Vec<_> = self.buckets.iter().collect();
        buckets.sort_by_key(|(_, bucketed)| std::cmp::Reverse(bucketed.severity.level));
        buckets
    }

    fn in_text(&self) {
        for (id, bucketed) in self.by_severity() {
            let Severity { level, class, why } = &bucketed.severity;
            outln!("{} {}: {why}", style::bad(level.name()), style::name(class));
            outln!("  {} {}", style::dim(id), bucketed.key);
            for (file, call) in &bucketed.calls {
                outln!("  {file} {call}");
            }
        }
        for (what, why) in &self.not_called {
            outln!("{} {what}: {why}", style::dim("not called"));
        }
        let calls: usize = self.buckets.values().map(|bucketed| bucketed.calls.len()).sum();
        let (buckets, clean, not) = (self.buckets.len(), self.clean, self.not_called.len());
        outln!(
            "{buckets} buckets of {calls} calls, {clean} calls as they should be, {not} not called"
        );
    }

    fn in_json(&self) {
        let buckets: Vec<_> = self
            .by_severity()
            .into_iter()
            .map(|(id, bucketed)| {
                let calls = bucketed.calls.iter().map(|(file, call)| json!({"file": file, "call": call}));
                let calls: Vec<_> = calls.collect();
                json!({"id": id, "key": bucketed.key, "severity": bucketed.severity, "calls": calls})
            })
            .collect();
        let not_called: Vec<_> =
            self.not_called.iter().map(|(what, why)| json!({"what": what, "why": why})).collect();
        outln!("{}", json!({"buckets": buckets, "clean": self.clean, "not_called": not_called}));
    }
}

/// The exported functions that can be called without arguments, as far as the module says what they take.
fn without(interface: &module::Interface) -> Vec<Called> {
    let plain = interface.functions.iter().filter(|function| {
        function.exported && function.signature.as_ref().is_none_or(|(params, _)| params.is_empty())
    });
    plain.map(|function| Called { function: function.name.clone(), args: Vec::new() }).collect()
}
