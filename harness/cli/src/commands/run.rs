//! `harness run FILE FUNCTION ARG…`: calls a function in a child process.

use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use harness_protocol::{
    Argument, Call, Case, FromLoader, HexBytes, Reply, Returned, Stage, ToLoader, TypeName, Want,
    exit, frame, oneshot,
};

use super::conformance::SERVE_BUILT_IN;
use crate::args::Global;
use crate::failure::{CommandResult, Failure};
use crate::output::outln;
use crate::{input, style};

/// Call a function of a module in a child process and show what it returns
///
/// Arguments are written as the function's declared types ask: integers in decimal or 0x…, floats in
/// decimal or as 0x… bits, buffers as hexadecimal bytes, "text" (with the quotes) or null.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The module; `-` is standard input
    file: PathBuf,
    /// The function
    function: Option<String>,
    /// Its arguments
    #[arg(allow_negative_numbers = true)]
    args: Vec<String>,
    /// Longest time for the call in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u64,
}

/// Calls the function; without one, lists those that there are.
pub(crate) fn run(global: &Global, options: &Options) -> CommandResult {
    if global.spec.is_some() || global.format.as_deref().is_some_and(|format| format != "scp") {
        return Err(Failure::usage("run calls functions of scp modules only"));
    }
    if !global.choices.is_empty() {
        return Err(Failure::usage(
            "run follows the default reading of every choice; --choice has no place here",
        ));
    }
    let file = input::read(&options.file)?;
    let name = input::display(&options.file);
    let parsed = reference_loader::validate(&file)
        .map_err(|error| Failure::new(exit::NONCONFORMANT, format!("{name}: {error}"), None))?;
    let functions = signatures(&parsed);
    let Some(function) = &options.function else {
        list(global, &functions);
        return Ok(exit::OK);
    };
    let Some(signature) = functions.iter().find(|signature| signature.name == *function) else {
        let names: Vec<&str> = functions.iter().map(|signature| signature.name.as_str()).collect();
        return Err(Failure::usage_with(
            format!("{name}: has no function `{function}`"),
            format!("it has: {}", names.join(", ")),
        ));
    };
    let call = Call {
        function: function.clone(),
        args: arguments(signature, &options.args)?,
        returns: signature.returns,
    };
    let case = Case {
        seq: 1,
        format: "scp".into(),
        want: Want::Call,
        bytes: file.into(),
        call: Some(call),
        ..Case::default()
    };
    let answer = in_child(case, Duration::from_secs(options.timeout.max(1)))?;
    show(global, signature, &answer)
}

/// What the function table says about a function.
struct Function {
    name: String,
    params: Vec<TypeName>,
    returns: TypeName,
}

impl std::fmt::Display for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let params: Vec<&str> = self.params.iter().map(|param| param.name()).collect();
        write!(f, "{}({}) -> {}", self.name, params.join(", "), self.returns)
    }
}

fn signatures(file: &reference_loader::File<'_>) -> Vec<Function> {
    let named = |code: &u8| reference_loader::type_code::name(*code);
    let functions = file.functions().filter_map(|function| {
        let name = file.strings().at(function.name_offset)?;
        Some(Function {
            name: String::from_utf8_lossy(name).into_owned(),
            params: function.params.iter().filter_map(named).collect(),
            returns: named(&function.return_type)?,
        })
    });
    functions.collect()
}

fn list(global: &Global, functions: &[Function]) {
    if global.json {
        let all: Vec<_> = functions
            .iter()
            .map(|f| serde_json::json!({"name": f.name, "params": f.params, "returns": f.returns}))
            .collect();
        outln!("{}", serde_json::Value::Array(all));
    } else {
        functions.iter().for_each(|function| outln!("{function}"));
    }
}

fn arguments(signature: &Function, texts: &[String]) -> Result<Vec<Argument>, Failure> {
    if signature.params.len() != texts.len() {
        let message = format!(
            "{} takes {} arguments, {} are given",
            signature.name,
            signature.params.len(),
            texts.len()
        );
        return Err(Failure::usage_with(message, signature.to_string()));
    }
    let parse = |(type_name, text): (&TypeName, &String)| {
        oneshot::parse(*type_name, text)
            .map_err(|error| Failure::usage_with(error.to_string(), signature.to_string()))
    };
    signature.params.iter().zip(texts).map(parse).collect()
}

/// How a call ended.
enum Answer {
    Reply(Box<Reply>),
    Died(ExitStatus),
    Nonsense,
    Late(Duration),
}

/// Has the built-in loader answer `case` in a process of its own.
fn in_child(case: Case, timeout: Duration) -> Result<Answer, Failure> {
    let program =
        std::env::current_exe().map_err(|error| Failure::bug(format!("own path: {error}")))?;
    let mut child = Command::new(program)
        .arg(SERVE_BUILT_IN)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| {
            Failure::new(
                exit::IMPLEMENTATION,
                format!("the child process cannot be started: {error}"),
                None,
            )
        })?;
    let (Some(mut to), Some(mut from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Failure::bug("a piped child has no pipes"));
    };
    let (sender, receiver) = mpsc::channel();
    // Writing may block until the child reads, reading until it answers: neither may outlast the deadline.
    std::thread::spawn(move || {
        let written = frame::write(&mut to, &ToLoader::Case(case));
        let reply = written.and_then(|()| frame::read::<FromLoader>(&mut from));
        let _ = sender.send(reply); // nobody listens any more when the deadline has passed
    });
    match receiver.recv_timeout(timeout) {
        Ok(Ok(Some(FromLoader::Result(reply)))) => {
            end(&mut child);
            Ok(Answer::Reply(Box::new(reply)))
        }
        Ok(_) => {
            // No answer: it has died, or something else came out of its stdout.
            let ended = ended_soon(&mut child);
            end(&mut child);
            Ok(ended.map_or(Answer::Nonsense, Answer::Died))
        }
        Err(_) => {
            end(&mut child);
            Ok(Answer::Late(timeout))
        }
    }
}

/// How long a process may take from closing its pipes to being gone. The kernel does the one before the
/// other; what is still there after this has only closed its stdout.
const GONE: Duration = Duration::from_secs(1);

/// How the process ended, if it does within [`GONE`].
fn ended_soon(child: &mut Child) -> Option<ExitStatus> {
    let start = Instant::now();
    loop {
        let ended = child.try_wait().ok().flatten();
        if ended.is_some() || start.elapsed() > GONE {
            return ended;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn end(child: &mut Child) {
    // It may be gone already, which is what is wanted.
    let _ = child.kill();
    let _ = child.wait();
}

fn show(global: &Global, signature: &Function, answer: &Answer) -> CommandResult {
    match answer {
        Answer::Reply(reply) if reply.stage == Some(Stage::Returned) => {
            if global.json {
                outln!(
                    "{}",
                    serde_json::json!({"stage": "returned", "result": reply.result, "buffers": reply.buffers})
                );
            } else {
                let result = reply.result.as_ref().map(returned).unwrap_or_default();
                outln!("{} = {}", signature.name, style::good(&result));
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
            Err(Failure::new(
                exit::NONCONFORMANT,
                format!("{}: {stage}: {why}", signature.name),
                None,
            ))
        }
        Answer::Died(status) => {
            let message = format!("{}: the child process died: {status}", signature.name);
            Err(Failure::new(exit::NONCONFORMANT, message, None))
        }
        Answer::Nonsense => {
            let message = format!(
                "{}: the child process stopped answering: the called code interfered with it",
                signature.name
            );
            Err(Failure::new(exit::NONCONFORMANT, message, None))
        }
        Answer::Late(timeout) => {
            let message =
                format!("{}: did not return within {} s", signature.name, timeout.as_secs());
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
