//! The verdict for people.

use harness_sandbox::limits::MAX_TRACE;
use harness_sandbox::{Outcome, Verdict};

use super::disassembly::Line;
use super::facts::{breach, bytes, headline, place_text, returned};
use super::trace_line;
use crate::execution::Execution;
use crate::output::outln;
use crate::style;

/// Registers in a row.
const COLUMNS: usize = 4;

/// Words of the stack that are shown.
const WORDS: usize = 8;

/// Calls of the chain that are shown.
const CALLS: usize = 16;

/// Shows what came of a call of `function`.
pub(crate) fn show(function: &str, execution: &Execution<'_>) {
    trace(execution);
    if execution.is_clean() {
        clean(function, &execution.verdict);
        return;
    }
    outln!("{}: {}", style::name(function), style::bad(&headline(execution)));
    buffers(&execution.verdict);
    let verdict = &execution.verdict;
    for broken in &verdict.breaches {
        outln!("  {} {}", style::bad("broken"), breach(broken));
    }
    if let Some(pc) = &verdict.pc {
        outln!("  {} {}", style::dim("at"), place_text(execution, pc));
    }
    outln!("  {} {}", style::dim("on"), machine(verdict));
    registers(execution);
    code(execution);
    stack(execution);
    chain(execution);
    origins(execution);
}

fn machine(verdict: &Verdict) -> String {
    let instructions = verdict.instructions.map(|count| match count {
        1 => ", 1 instruction".to_owned(),
        count => format!(", {count} instructions"),
    });
    let cpu = verdict.cpu.as_secs_f64() * 1e3;
    format!("the {} machine{}, {cpu:.1} ms", verdict.machine, instructions.unwrap_or_default())
}

fn clean(function: &str, verdict: &Verdict) {
    let Outcome::Returned { value, .. } = &verdict.outcome else { return };
    let alike = verdict.others.iter().all(|other| other.value == *value);
    match verdict.others.len() {
        0 => {}
        1.. if alike => {
            // Said on stderr: the result is the same line for one call and for many.
            let calls = verdict.others.len() + 1;
            anstream::eprintln!("{}", style::dim(&format!("{calls} calls, all alike")));
        }
        _ => {
            let first = (1..).zip(&verdict.others);
            let others = first.filter(|(_, other)| other.value != *value);
            for (call, other) in others {
                outln!("call {call}: {function} = {}", style::good(&returned(&other.value)));
            }
        }
    }
    outln!("{function} = {}", style::good(&returned(value)));
    buffers(verdict);
}

fn buffers(verdict: &Verdict) {
    let Outcome::Returned { buffers, .. } = &verdict.outcome else { return };
    for (index, buffer) in buffers.iter().enumerate() {
        outln!("buffer {index}: {}", bytes(buffer));
    }
}

fn trace(execution: &Execution<'_>) {
    for address in &execution.verdict.trace {
        outln!("{}", trace_line(&execution.module.program, *address));
    }
    if execution.verdict.trace.len() >= MAX_TRACE {
        outln!("… the trace ends here, after {MAX_TRACE} instructions; the call went on");
    }
}

/// Registers, with those that differ from the start of the call, and those that hold the address in question.
fn registers(execution: &Execution<'_>) {
    outln!("\n{}", style::dim("registers"));
    let before = execution.plan.setup.calls.first().map(|call| call.registers.named());
    let before = before.unwrap_or_default();
    let address = match &execution.verdict.outcome {
        Outcome::Trapped { address, .. } => address.as_ref().map(|place| place.address),
        _ => None,
    };
    let named = execution.verdict.registers.named();
    let width = hex_width(execution);
    for row in named.chunks(COLUMNS) {
        let cells = row.iter().map(|(name, value)| {
            let text = format!("{value:#0width$x}");
            let changed = !before.contains(&(name.clone(), *value));
            let text = match address {
                Some(address) if address == *value => style::bad(&text),
                _ if changed => style::name(&text),
                _ => style::dim(&text),
            };
            format!("{name:>6} {text}")
        });
        outln!("{}", cells.collect::<Vec<_>>().join(" "));
    }
}

/// Characters of a word of the architecture in hexadecimal digits, with 0x.
fn hex_width(execution: &Execution<'_>) -> usize {
    if execution.module.program.architecture.pointer_size() == 8 { 18 } else { 10 }
}

/// The code that stopped; where control was not in code, the code that it was called from.
fn code(execution: &Execution<'_>) {
    let (lines, mark) = super::surroundings::listing(execution);
    if lines.is_empty() {
        return;
    }
    outln!("\n{}", style::dim("code"));
    for line in &lines {
        let Line { address, bytes, text } = line;
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let plain = format!("{address:#x}  {:<30} {text}", hex.join(" "));
        if mark.marks(line) {
            outln!("{} {}", style::bad(mark.sign()), style::bad(&plain));
        } else {
            outln!("  {plain}");
        }
    }
}

fn stack(execution: &Execution<'_>) {
    let words = super::surroundings::stack(execution);
    if words.is_empty() {
        return;
    }
    outln!("\n{}", style::dim("stack"));
    for word in words.iter().take(WORDS) {
        let meaning = word.meaning.as_ref().map(|meaning| format!("  {meaning}"));
        let width = hex_width(execution);
        outln!("  {:#x}  {:#0width$x}{}", word.address, word.value, meaning.unwrap_or_default());
    }
}

fn chain(execution: &Execution<'_>) {
    let chain = &execution.verdict.chain;
    if chain.is_empty() {
        return;
    }
    outln!("\n{}", style::dim("called from (by the words on the stack)"));
    for place in chain.iter().take(CALLS) {
        outln!("  {}", place_text(execution, place));
    }
    if let Some(more) = chain.len().checked_sub(CALLS).filter(|more| *more > 0) {
        outln!("  … and {more} more");
    }
}

fn origins(execution: &Execution<'_>) {
    let origins = super::surroundings::origins(execution);
    if origins.is_empty() {
        return;
    }
    outln!("\n{}", style::dim("said by the file"));
    for origin in origins {
        outln!("  {:#06x}  {}: {}", origin.offset, style::name(&origin.field), origin.what);
    }
}
