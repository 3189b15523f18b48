//! `harness cross-check`: every call that the vectors make, on the processor and in the emulator.

mod agreement;
mod case;

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use harness_protocol::{Vector, Want, exit};
use serde_json::json;

use crate::args::Global;
use crate::failure::{CommandResult, Failure};
use crate::interrupt::on_interrupt;
use crate::output::outln;
use crate::progress::Progress;
use crate::selection::{Selection, frozen, suite};
use crate::{formats, style};
pub(crate) use case::job;
use case::{Case, Machines, Outcome};

/// Run the calls of the vectors on the processor and in the emulator, and hold them against each other
///
/// Each vector that calls a function is run at two bases on every machine that can run its code. Results, final
/// memory, faults and broken promises must be those that the vector expects, and the same on both machines; a
/// difference between machines is shown with the first instruction where they part. Vectors that no machine here
/// can run are counted and named. Exit codes: 0 all agree, 1 something differs, 4 nothing ran or the run was interrupted.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only vectors below these spec paths
    #[arg(value_name = "SPEC-PATH")]
    paths: Vec<String>,
    /// Take the vectors from JSON files in this folder instead of making them
    #[arg(long, value_name = "DIR")]
    vectors: Option<PathBuf>,
    /// On which machines
    #[arg(long, default_value = "both")]
    machine: MachineChoice,
}

/// Which machines to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum MachineChoice {
    /// The processor
    Native,
    /// The emulator
    Emulated,
    /// Each where it is there
    Both,
}

/// What came of all vectors.
#[derive(Default)]
struct Summary {
    /// Vectors that agree, by the machines that they ran on.
    agreed: std::collections::BTreeMap<String, usize>,
    skipped: Vec<(String, String)>,
    differing: Vec<(String, Vec<String>)>,
    /// Vectors that were not tried, since the run was interrupted.
    untried: usize,
}

/// Runs the selected vectors.
pub(crate) fn run(global: &Global, options: &Options) -> CommandResult {
    let stop = on_interrupt()?;
    let cases = cases(global, options)?;
    if cases.is_empty() {
        anstream::eprintln!("no vector that calls a function is selected");
        return Ok(exit::NOTHING_RAN);
    }
    let mut machines = Machines::start(
        options.machine != MachineChoice::Emulated,
        options.machine != MachineChoice::Native,
    )?;
    let progress = Progress::new(global, "cross-check");
    progress.start(cases.len());
    let mut summary = Summary::default();
    for (done, (format, vector)) in (1..).zip(&cases) {
        let outcome = Case { format, vector }.run(&mut machines);
        // Ctrl-C on a terminal also reaches the machines: what they said last may be that they were ended.
        if stop.load(Ordering::Relaxed) {
            summary.untried = cases.len() - (done - 1);
            break;
        }
        match outcome {
            Outcome::Agreed(on) => *summary.agreed.entry(on).or_default() += 1,
            Outcome::Skipped(why) => summary.skipped.push((vector.id.clone(), why)),
            Outcome::Differs(how) => summary.differing.push((vector.id.clone(), how)),
        }
        progress.done(done, cases.len(), summary.differing.len());
    }
    progress.finish();
    if global.json {
        in_json(&summary);
    } else {
        in_text(&summary, cases.len());
    }
    Ok(summary.code())
}

/// The vectors that call a function, with their format.
fn cases(global: &Global, options: &Options) -> Result<Vec<(blobspec::Format, Vector)>, Failure> {
    let selection = Selection { paths: &options.paths, globs: &global.filters, only_must: false };
    let readings = formats::readings(global);
    let mut cases = Vec::new();
    for spec in formats::all(global)? {
        let id = spec.format().id.clone();
        let vectors = match &options.vectors {
            Some(folder) => frozen(folder)?.into_iter().filter(|vector| of(vector, &id)).collect(),
            None => {
                // A choice belongs to one format; the others are read as ever.
                let own =
                    readings.iter().filter(|(choice, _)| choice.starts_with(&format!("{id}.")));
                suite(&spec, &own.map(|(k, v)| (k.clone(), v.clone())).collect())?.vectors
            }
        };
        let format = spec.format();
        let calls =
            selection.apply(vectors)?.into_iter().filter(|vector| vector.want == Want::Call);
        cases.extend(calls.map(|vector| (format.clone(), vector)));
    }
    Ok(cases)
}

/// Whether a vector is one of this format.
fn of(vector: &Vector, format: &str) -> bool {
    vector.id.split('/').next() == Some(format)
}

impl Summary {
    fn code(&self) -> u8 {
        if !self.differing.is_empty() {
            exit::NONCONFORMANT
        } else if self.agreed.is_empty() || self.untried > 0 {
            exit::NOTHING_RAN
        } else {
            exit::OK
        }
    }
}

fn in_text(summary: &Summary, total: usize) {
    for (id, differences) in &summary.differing {
        outln!("{} {id}", style::bad("differs"));
        differences.iter().for_each(|difference| outln!("  {difference}"));
    }
    for (id, why) in &summary.skipped {
        outln!("{} {id}: {why}", style::dim("skipped"));
    }
    let mut parts: Vec<String> =
        summary.agreed.iter().map(|(on, count)| format!("{count} agree ({on})")).collect();
    parts.push(format!("{} differ", summary.differing.len()));
    parts.push(format!("{} skipped", summary.skipped.len()));
    if summary.untried > 0 {
        parts.push(format!("{} not tried: interrupted", summary.untried));
    }
    let line = format!("{total} vectors at two bases: {}", parts.join(", "));
    let good = summary.code() == exit::OK;
    outln!("{}", if good { style::good(&line) } else { style::bad(&line) });
}

fn in_json(summary: &Summary) {
    let skipped: Vec<_> =
        summary.skipped.iter().map(|(id, why)| json!({"id": id, "why": why})).collect();
    let differing: Vec<_> =
        summary.differing.iter().map(|(id, how)| json!({"id": id, "differences": how})).collect();
    outln!(
        "{}",
        json!({"agreed": summary.agreed, "skipped": skipped, "differing": differing, "untried": summary.untried})
    );
}
