//! The verdict for programs: the same facts as in the text, addresses as `"0x…"`.

use harness_sandbox::limits::MAX_TRACE;
use harness_sandbox::verdict::Breach;
use harness_sandbox::{Outcome, Place, Resource, SystemCallAbi};
use serde_json::{Map, Value, json};

use super::facts::{breach, headline};
use super::signals;
use super::surroundings::{listing, origins, stack};
use super::trace_line;
use crate::execution::Execution;

/// Everything about a call of `function`.
pub(crate) fn json(function: &str, execution: &Execution<'_>) -> Value {
    let verdict = &execution.verdict;
    let mut all = Map::new();
    all.insert("function".into(), function.into());
    all.insert("machine".into(), verdict.machine.into());
    all.insert("stage".into(), verdict.outcome.stage().name().into());
    all.insert("summary".into(), headline(execution).into());
    all.extend(outcome(&verdict.outcome));
    if !verdict.others.is_empty() {
        let others = verdict.others.iter();
        let others = others.map(|o| json!({"result": o.value, "buffers": o.buffers}));
        all.insert("other_calls".into(), others.collect());
    }
    all.insert("breaches".into(), verdict.breaches.iter().map(breach_json).collect());
    all.insert("cpu_microseconds".into(), json!(verdict.cpu.as_micros()));
    all.insert("instructions".into(), json!(verdict.instructions));
    let registers = verdict.registers.named().into_iter();
    let registers: Map<_, _> = registers.map(|(name, value)| (name, hex(value))).collect();
    all.insert("registers".into(), registers.into());
    if !execution.is_clean() {
        all.extend(debugger(execution));
    }
    if !verdict.trace.is_empty() {
        let program = &execution.module.program;
        let lines = verdict
            .trace
            .iter()
            .map(|at| json!({"address": hex(*at), "text": trace_line(program, *at)}));
        all.insert("trace".into(), lines.collect());
        all.insert("trace_cut".into(), (verdict.trace.len() >= MAX_TRACE).into());
    }
    all.into()
}

fn hex(number: u64) -> Value {
    format!("{number:#x}").into()
}

fn outcome(outcome: &Outcome) -> Map<String, Value> {
    let value = match outcome {
        Outcome::Returned { value, buffers } => json!({"result": value, "buffers": buffers}),
        Outcome::Trapped { cause, access, address, signal } => json!({"trap": {
            "cause": cause,
            "access": access,
            "address": address.as_ref().map(|place| hex(place.address)),
            "place": address.as_ref().map(place),
            "signal": signal.map(|(number, code)| json!({
                "number": number,
                "name": signals::signal(number),
                "code": code,
                "code_name": signals::code(number, code),
            })),
        }}),
        Outcome::Forbidden(call) => json!({"system_call": {
            "abi": match call.abi {
                SystemCallAbi::X86_64 => "x86_64",
                SystemCallAbi::I386 => "i386",
                SystemCallAbi::Arm64 => "arm64",
            },
            "number": call.number,
            "name": signals::system_call(call),
            "arguments": call.arguments.map(hex),
        }}),
        Outcome::Exhausted(resource) => json!({"exhausted": match resource {
            Resource::Cpu => "cpu",
            Resource::Wall => "wall",
            Resource::Instructions => "instructions",
        }}),
        Outcome::Killed(signal) => json!({"killed": signals::signal(*signal)}),
    };
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn place(place: &Place) -> Value {
    json!({
        "region": place.region.as_ref().map(|(name, _)| name),
        "offset": place.region.as_ref().map(|(_, offset)| offset),
        "inside": place.inside,
        "past_end": place.past,
        "symbol": place.symbol.as_ref().map(|(name, _)| name),
        "symbol_offset": place.symbol.as_ref().map(|(_, offset)| offset),
        "text": place.to_string(),
    })
}

fn breach_json(broken: &Breach) -> Value {
    let kind = match broken {
        Breach::Register { .. } => "register",
        Breach::StackPointer { .. } => "stack-pointer",
        Breach::DirectionFlag => "direction-flag",
        Breach::FloatControl { .. } => "float-control",
        Breach::CallerStack { .. } => "caller-stack",
        Breach::BesideBuffer { .. } => "beside-buffer",
        Breach::NotRepeatable { .. } => "not-repeatable",
        Breach::Impure { .. } => "impure",
    };
    json!({"kind": kind, "text": breach(broken)})
}

/// What a debugger shows.
fn debugger(execution: &Execution<'_>) -> Map<String, Value> {
    let verdict = &execution.verdict;
    let (lines, mark) = listing(execution);
    let code = lines.iter().map(|line| {
        let bytes: String = line.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({"address": hex(line.address), "bytes": bytes, "text": line.text, "marked": mark.marks(line)})
    });
    let stack = stack(execution).into_iter();
    let stack = stack.map(|word| json!({"address": hex(word.address), "value": hex(word.value), "meaning": word.meaning}));
    let chain =
        verdict.chain.iter().map(|at| json!({"address": hex(at.address), "place": place(at)}));
    let origins = origins(execution).into_iter();
    let origins = origins.map(|o| json!({"field": o.field, "offset": o.offset, "what": o.what}));
    Map::from_iter([
        (
            "pc".to_owned(),
            json!(
                verdict
                    .pc
                    .as_ref()
                    .map(|pc| json!({"address": hex(pc.address), "place": place(pc)}))
            ),
        ),
        ("code".to_owned(), code.collect()),
        ("stack".to_owned(), stack.collect()),
        ("chain".to_owned(), chain.collect()),
        ("origins".to_owned(), origins.collect()),
    ])
}
