//! `harness dump FILE`: an annotated hexdump.

use std::fmt::Write as _;
use std::path::PathBuf;

use blobspec::Format;
use harness_codec::{Decoded, Verdict, Violation, decode};
use serde_json::{Value, json};

use super::validate::violation_json;
use crate::annotate::{Stretch, stretches};
use crate::args::Global;
use crate::failure::CommandResult;
use crate::output::{out, outln};
use crate::{formats, input, style};

/// Show a file byte by byte: every byte with the field that owns it, violations in place
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The file; `-` is standard input
    file: PathBuf,
    /// Show long stretches of bytes in full
    #[arg(short, long)]
    all: bool,
}

/// Bytes in one line.
const LINE: usize = 16;

/// Lines of one stretch that are shown without `--all`: the first ones and the last.
const LINES_SHOWN: usize = 4;

/// Dumps the file. Exits with 0 whether or not the file is valid: `validate` judges.
pub(crate) fn run(global: &Global, options: &Options) -> CommandResult {
    let file = input::read(&options.file)?;
    let format = formats::format(global, &formats::spec_for(global, &options.file, &file)?)?;
    let decoded = decode(&format, &file);
    if global.json {
        outln!("{}", as_json(&format, &decoded, &file));
    } else {
        let name = input::display(&options.file);
        out!("{}", text(&format, &decoded, &file, &name, options.all));
    }
    Ok(harness_protocol::exit::OK)
}

/// The dump as text.
pub(crate) fn text(
    format: &Format,
    decoded: &Decoded,
    file: &[u8],
    name: &str,
    all: bool,
) -> String {
    let mut out = String::new();
    let verdict = match &decoded.verdict {
        Verdict::Valid => style::good("valid"),
        Verdict::Rejected { stage, .. } => style::bad(stage.name()),
    };
    let _ = writeln!(
        out,
        "{name}: {} {}, {} bytes, {verdict}",
        format.title,
        format.version,
        file.len()
    );
    let mut pending: Vec<&Violation> = decoded.violations.iter().collect();
    pending.sort_by_key(|violation| violation.offset);
    let mut pending = pending.into_iter().peekable();
    for stretch in stretches(format, decoded, file) {
        lines(&mut out, &stretch, file, all);
        while let Some(violation) =
            pending.next_if(|violation| violation.offset < stretch.range.end as u64)
        {
            mark(&mut out, format, violation);
        }
    }
    pending.for_each(|violation| mark(&mut out, format, violation));
    out
}

fn mark(out: &mut String, format: &Format, violation: &Violation) {
    let rule = &format.rules[violation.rule];
    let text =
        format!("^ {} ({}) at {:#x}: {}", rule.id, rule.stage, violation.offset, violation.detail);
    let _ = writeln!(out, "          {}", style::bad(&text));
}

fn lines(out: &mut String, stretch: &Stretch, file: &[u8], all: bool) {
    let bytes = file.get(stretch.range.clone()).unwrap_or_default();
    let count = bytes.len().div_ceil(LINE);
    for (index, line) in bytes.chunks(LINE).enumerate() {
        let hidden = !all && count > LINES_SHOWN && (LINES_SHOWN - 1..count - 1).contains(&index);
        if hidden {
            if index == LINES_SHOWN - 1 {
                let bytes = (count - LINES_SHOWN) * LINE;
                let _ = writeln!(
                    out,
                    "{}",
                    style::dim(&format!("          … {bytes} more bytes (--all shows them)"))
                );
            }
            continue;
        }
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let owner = if index == 0 {
            format!("{} = {}", style::name(&stretch.path), printable(&stretch.text))
        } else {
            ascii(line)
        };
        let at = format!("{:08x}", stretch.range.start + index * LINE);
        let _ = writeln!(out, "{}  {:<47}  {owner}", style::dim(&at), hex.join(" "));
    }
}

/// Text from a file, made harmless for a terminal and cut to a line.
fn printable(text: &str) -> String {
    const WIDTH: usize = 72;
    let mut shown: String =
        text.chars().take(WIDTH).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().count() > WIDTH {
        shown.push('…');
    }
    shown
}

fn ascii(line: &[u8]) -> String {
    let text: String = line
        .iter()
        .map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' })
        .collect();
    style::dim(&text)
}

fn as_json(format: &Format, decoded: &Decoded, file: &[u8]) -> Value {
    let fields: Vec<Value> = stretches(format, decoded, file)
        .into_iter()
        .map(|stretch| {
            let bytes = file.get(stretch.range.clone()).unwrap_or_default();
            let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
            json!({"offset": stretch.range.start, "size": stretch.range.len(), "path": stretch.path, "text": stretch.text, "bytes": hex})
        })
        .collect();
    let violations: Vec<Value> =
        decoded.violations.iter().map(|violation| violation_json(format, violation)).collect();
    json!({"format": format.id, "size": file.len(), "fields": fields, "violations": violations})
}
