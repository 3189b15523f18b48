//! `harness run FILE FUNCTION ARG…`: calls a function in a child process.

mod child;
mod scp;
mod smf;

use std::path::PathBuf;
use std::time::Duration;

use harness_protocol::{Case, HexBytes, Returned, Stage, TypeName, Want, exit};
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as NameError, StrDeserializer};

use crate::args::Global;
use crate::failure::{CommandResult, Failure};
use crate::output::outln;
use crate::{formats, input, style};
use child::{Answer, in_child};

/// Call a function of a module in a child process and show what it returns
///
/// Integers are written in decimal or 0x…, floats in decimal or as 0x… bits, buffers as hexadecimal bytes,
/// "text" (with the quotes) or null. An SCP module declares the types of its functions, so that values are
/// enough: run m.scp add -5 3. An SMF module does not: run m.smf add int64:-5 int64:3 --returns int64. Without a
/// function, the functions that there are are listed.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The module; `-` is standard input
    file: PathBuf,
    /// The function
    function: Option<String>,
    /// Its arguments; for SMF with their types, as TYPE:VALUE
    #[arg(allow_negative_numbers = true)]
    args: Vec<String>,
    /// SMF: type of the result [default: int32]
    #[arg(long, value_name = "TYPE", value_parser = type_name)]
    returns: Option<TypeName>,
    /// SMF: the address that an import is given, decimal or 0x… (repeatable)
    #[arg(long = "import", value_name = "NAME=ADDRESS", value_parser = import)]
    imports: Vec<(String, u64)>,
    /// Longest time for the call in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u64,
}

/// A type by its name on the wire.
fn type_name(text: &str) -> Result<TypeName, String> {
    let name: StrDeserializer<'_, NameError> = text.into_deserializer();
    TypeName::deserialize(name).map_err(|_| {
        format!(
            "`{text}` is not a type: void, int8, int16, int32, int64, float32, float64, pointer \
             or struct_ref"
        )
    })
}

fn import(text: &str) -> Result<(String, u64), String> {
    let (name, address) =
        text.split_once('=').ok_or("expected NAME=ADDRESS, such as host_log=0x7f0000001000")?;
    Ok((name.to_owned(), super::pack::number(address)?))
}

/// Calls the function; without one, lists those that there are.
pub(crate) fn run(global: &Global, options: &Options) -> CommandResult {
    if global.spec.is_some() {
        return Err(Failure::usage("run calls functions of the built-in formats scp and smf only"));
    }
    if !global.choices.is_empty() {
        return Err(Failure::usage(
            "run follows the default reading of every choice; --choice has no place here",
        ));
    }
    let file = input::read(&options.file)?;
    let format = formats::spec_for(global, &options.file, &file)?.format().id.clone();
    let call = match format.as_str() {
        "scp" => scp::call(global, options, &file)?,
        "smf" => smf::call(global, options, &file)?,
        other => return Err(Failure::usage(format!("run knows scp and smf modules, not {other}"))),
    };
    let Some(call) = call else { return Ok(exit::OK) };
    let function = call.function.clone();
    let case = Case {
        seq: 1,
        format,
        want: Want::Call,
        bytes: file.into(),
        call: Some(call),
        imports: options.imports.iter().cloned().collect(),
        ..Case::default()
    };
    let answer = in_child(case, Duration::from_secs(options.timeout.max(1)))?;
    show(global, &function, &answer)
}

/// A module that cannot be called.
fn invalid(options: &Options, error: impl std::fmt::Display) -> Failure {
    let name = input::display(&options.file);
    Failure::new(exit::NONCONFORMANT, format!("{name}: {error}"), None)
}

/// A function that the module does not have, and those that it has.
fn no_function(options: &Options, function: &str, names: &[&str]) -> Failure {
    Failure::usage_with(
        format!("{}: has no function `{function}`", input::display(&options.file)),
        format!("it has: {}", names.join(", ")),
    )
}

fn show(global: &Global, function: &str, answer: &Answer) -> CommandResult {
    match answer {
        Answer::Reply(reply) if reply.stage == Some(Stage::Returned) => {
            if global.json {
                outln!(
                    "{}",
                    serde_json::json!({"stage": "returned", "result": reply.result, "buffers": reply.buffers})
                );
            } else {
                let result = reply.result.as_ref().map(returned).unwrap_or_default();
                outln!("{function} = {}", style::good(&result));
                for (index, buffer) in reply.buffers.iter().enumerate() {
                    outln!("buffer {index}: {}", bytes(buffer));
                }
            }
            Ok(exit::OK)
        }
        Answer::Reply(reply) => {
            let why =
                reply.message.as_deref().or(reply.skip.as_deref()).unwrap_or("no reason given");
            let stage = reply.stage.map_or("skipped", Stage::name);
            Err(Failure::new(exit::NONCONFORMANT, format!("{function}: {stage}: {why}"), None))
        }
        Answer::Died(status) => {
            let message = format!("{function}: the child process died: {status}");
            Err(Failure::new(exit::NONCONFORMANT, message, None))
        }
        Answer::Nonsense => {
            let message = format!(
                "{function}: the child process stopped answering: the called code interfered with it"
            );
            Err(Failure::new(exit::NONCONFORMANT, message, None))
        }
        Answer::Late(timeout) => {
            let message = format!("{function}: did not return within {} s", timeout.as_secs());
            Err(Failure::new(
                exit::NONCONFORMANT,
                message,
                Some("give it more time with --timeout".to_owned()),
            ))
        }
    }
}

fn returned(value: &Returned) -> String {
    match value {
        Returned::Void => "(nothing)".to_owned(),
        Returned::Int8 { value } => value.to_string(),
        Returned::Int16 { value } => value.to_string(),
        Returned::Int32 { value } => value.to_string(),
        Returned::Int64 { value } => value.to_string(),
        Returned::Float32 { bits } => format!("{:?}", f32::from_bits(*bits)),
        Returned::Float64 { bits } => format!("{:?}", f64::from_bits(*bits)),
        Returned::Pointer(address) | Returned::StructRef(address) => match address {
            harness_protocol::value::Address::Null => "null".to_owned(),
            harness_protocol::value::Address::Buffer { index, offset } => {
                format!("buffer {index} + {offset:#x}")
            }
            harness_protocol::value::Address::Image { offset } => format!("image + {offset:#x}"),
            harness_protocol::value::Address::Other { address } => format!("{address:#x}"),
        },
    }
}

/// A buffer as hexadecimal bytes, and as text where it is text.
fn bytes(buffer: &HexBytes) -> String {
    let hex: String = buffer.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = std::str::from_utf8(&buffer.0).ok().map(|text| text.trim_end_matches('\0'));
    match text.filter(|text| !text.is_empty() && !text.chars().any(char::is_control)) {
        Some(text) => format!("{hex}  {text:?}"),
        None => hex,
    }
}
