//! A verdict as a debugger shows it: what happened, registers, code, stack, calls, and which field of the file
//! led there.

mod disassembly;
mod facts;
mod json;
mod signals;
mod surroundings;
mod text;

pub(crate) use disassembly::trace_line;
pub(crate) use json::json;
pub(crate) use text::show;
