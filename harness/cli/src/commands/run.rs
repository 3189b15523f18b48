//! `harness run FILE FUNCTION ARG…`: calls a function in a sandbox and shows what came of it.

mod arguments;
mod list;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use blobspec::Format;
use clap::ValueEnum as _;
use harness_protocol::{Argument, TypeName, exit};
use harness_sandbox::module::{self, Function, Interface, Module};
use harness_sandbox::{Architecture, Budget, Calls, Convention, Job, Tracing};

use crate::args::Global;
use crate::execution::{Wishes, default_base, execute, unloadable};
use crate::failure::{CommandResult, Failure};
use crate::output::outln;
use crate::{debugger, formats, input, machines};
pub(crate) use arguments::{arguments, type_name};

/// Call a function of a module in a sandbox and show what comes of it
///
/// Integers are written in decimal or 0x…, floats in decimal or as 0x… bits, buffers as hexadecimal bytes,
/// "text" (with the quotes) or null; NAME{VALUE,…} is a structure of the module's types table, with the values of its
/// fields. An SCP module declares the types of its functions, so that values are
/// enough: run m.scp add -5 3. An SMF module does not: run m.smf add int64:-5 int64:3 --returns int64. Without a
/// function, the functions that there are are listed. A function that is marked pure is called twice. Exit code
/// 0: every call returned and kept its promises; 1: it did not.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The module; `-` is standard input
    file: PathBuf,
    /// The function
    function: Option<String>,
    /// Its arguments; where the format declares no types, as TYPE:VALUE
    #[arg(allow_negative_numbers = true)]
    args: Vec<String>,
    /// Type of the result, where the format declares none [default: int32]
    #[arg(long, value_name = "TYPE", value_parser = type_name)]
    returns: Option<TypeName>,
    /// The address that an import is given, decimal or 0x… (repeatable)
    #[arg(long = "import", value_name = "NAME=ADDRESS", value_parser = import)]
    imports: Vec<(String, u64)>,
    /// Calling convention [default: the one that the module says]
    #[arg(long, value_name = "NAME")]
    convention: Option<ConventionName>,
    /// Where the lowest image lies, decimal or 0x…
    #[arg(long, value_name = "ADDRESS", value_parser = super::pack::number)]
    base: Option<u64>,
    /// Longest time for the call in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Use the emulator although the processor here could run the code; bounds then hold to the byte
    #[arg(long)]
    emulate: bool,
    /// Most instructions, exactly; only the emulator counts them
    #[arg(long, value_name = "INSTRUCTIONS", value_parser = clap::value_parser!(u64).range(1..))]
    budget: Option<u64>,
    /// Show every instruction that ran
    #[arg(long)]
    trace: bool,
    /// Call from so many threads at once; for modules that say they are thread-safe
    #[arg(long, value_name = "N", conflicts_with = "trace", value_parser = threads)]
    threads: Option<usize>,
}

/// The calling conventions by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ConventionName {
    /// System V: C on x86_64 Linux
    #[value(alias = "system-v")]
    Sysv,
    /// C on x86_64 Windows
    Win64,
    /// C on ARM64
    Aapcs64,
    /// C on x86_32
    Cdecl,
    /// x86_32, the callee removes the arguments
    Stdcall,
}

impl ConventionName {
    /// Whose code is called so.
    fn architecture(self) -> Architecture {
        match self {
            Self::Sysv | Self::Win64 => Architecture::X86_64,
            Self::Aapcs64 => Architecture::Arm64,
            Self::Cdecl | Self::Stdcall => Architecture::X86_32,
        }
    }

    /// As the command line has it.
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl From<ConventionName> for Convention {
    fn from(name: ConventionName) -> Self {
        match name {
            ConventionName::Sysv => Self::SystemV,
            ConventionName::Win64 => Self::Win64,
            ConventionName::Aapcs64 => Self::Aapcs64,
            ConventionName::Cdecl => Self::Cdecl,
            ConventionName::Stdcall => Self::Stdcall,
        }
    }
}

/// `NAME=ADDRESS`.
pub(crate) fn import(text: &str) -> Result<(String, u64), String> {
    let (name, address) =
        text.split_once('=').ok_or("expected NAME=ADDRESS, such as host_log=0x7f0000001000")?;
    Ok((name.to_owned(), super::pack::number(address)?))
}

fn threads(text: &str) -> Result<usize, String> {
    let most = harness_sandbox::limits::MAX_THREADS;
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("expected a number of threads from 1 to {most}"))
}

/// Calls the function; without one, lists those that there are.
pub(crate) fn run(global: &Global, options: &Options) -> CommandResult {
    let file = input::read(&options.file)?;
    let spec = formats::spec_for(global, &options.file, &file)?;
    let format = formats::format(global, &spec)?;
    let name = input::display(&options.file);
    let interface = module::interface(&format, &file).map_err(|error| unloadable(&name, &error))?;
    let Some(wanted) = &options.function else {
        list::list(global, &format, &name, &interface);
        return Ok(exit::OK);
    };
    let function =
        interface.function(wanted).ok_or_else(|| no_function(&name, wanted, &interface))?;
    refuse_what_has_no_place(&format, options, &interface, function)?;
    let values = arguments(function, &interface.structures, &options.args, options.returns)?;
    let imports: BTreeMap<String, u64> = options.imports.iter().cloned().collect();
    let base = options.base.unwrap_or_else(|| default_base(interface.architecture));
    let module =
        module::load(&format, &file, base, &imports).map_err(|error| unloadable(&name, &error))?;
    if let Some(convention) = options.convention {
        refuse_convention(convention, interface.architecture)?;
    }
    let job = job(options, &module, wanted, values)?;
    let mut machine = machines::start(interface.architecture, options.emulate)?;
    if options.budget.is_some() && machine.name() != "emulated" {
        return Err(Failure::usage_with(
            "only the emulator counts instructions: --budget has no place here",
            "add --emulate, or say how many seconds with --timeout",
        ));
    }
    let tracing = if options.trace { Tracing::Instructions } else { Tracing::None };
    let wishes = Wishes { tracing, byte_bounds: machine.name() == "emulated" };
    let execution = execute(machine.as_mut(), &module, &imports, job, wishes)?;
    if global.json {
        outln!("{}", debugger::json(wanted, &execution));
    } else {
        debugger::show(wanted, &execution);
    }
    Ok(if execution.is_clean() { exit::OK } else { exit::NONCONFORMANT })
}

/// Options that mean nothing for this module.
fn refuse_what_has_no_place(
    format: &Format,
    options: &Options,
    interface: &Interface,
    function: &Function,
) -> Result<(), Failure> {
    if options.returns.is_some() && function.signature.is_some() {
        return Err(Failure::usage(format!(
            "an {} module declares the types of its functions: --returns has no place here",
            format.id
        )));
    }
    if !options.imports.is_empty() && format.linking.is_none() {
        return Err(Failure::usage(format!(
            "an {} module has no imports: --import has no place here",
            format.id
        )));
    }
    if options.threads.is_some() && !interface.thread_safe {
        return Err(Failure::usage_with(
            "the module does not say that it may be called from several threads: --threads has no place here",
            "`harness pack --flag thread-safe` makes one that says so, where the format has this flag",
        ));
    }
    Ok(())
}

/// A calling convention of another architecture.
fn refuse_convention(
    convention: ConventionName,
    architecture: Architecture,
) -> Result<(), Failure> {
    let own = convention.architecture();
    if own == architecture {
        return Ok(());
    }
    let all = ConventionName::value_variants().iter();
    let fit = all.filter(|name| name.architecture() == architecture).map(|name| name.name());
    Err(Failure::usage_with(
        format!(
            "{} is not a calling convention of {architecture}, but of {own}",
            convention.name()
        ),
        format!("{architecture} has: {}", fit.collect::<Vec<_>>().join(", ")),
    ))
}

fn job(
    options: &Options,
    module: &Module,
    wanted: &str,
    (args, returns): (Vec<Argument>, TypeName),
) -> Result<Job, Failure> {
    let function =
        module.function(wanted).ok_or_else(|| Failure::bug("a listed function is not loaded"))?;
    let time = Duration::from_secs(options.timeout);
    let calls = match options.threads {
        Some(threads) => Calls::AtOnce(threads),
        None if function.pure => Calls::Pure,
        None => Calls::Once,
    };
    Ok(Job {
        entry: function.address,
        convention: options.convention.map_or(function.convention, Convention::from),
        args,
        returns,
        calls,
        budget: Budget { cpu: time, wall: time, instructions: options.budget },
    })
}

/// A function that the module does not have, and those that it has.
pub(crate) fn no_function(file: &str, function: &str, interface: &Interface) -> Failure {
    let exported = interface.functions.iter().filter(|function| function.exported);
    let names: Vec<&str> = exported.map(|function| function.name.as_str()).collect();
    Failure::usage_with(
        format!("{file}: has no function `{function}`"),
        format!("it has: {}", names.join(", ")),
    )
}
