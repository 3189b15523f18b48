//! `harness conformance`: puts implementations to the test.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use blobspec::{Readings, Spec};
use harness_protocol::{Vector, exit};
use harness_report::json::Document;
use harness_report::{Header, Stream, SummaryOptions, summary, write_atomically};
use harness_runner::judge::Strictness;
use harness_runner::{
    Deviations, Event, Implementation, ProbeOptions, RunOptions, RunReport, Target,
    run as run_vectors,
};
use sha2::{Digest as _, Sha256};

use crate::args::Global;
use crate::failure::{CommandResult, Failure};
use crate::interrupt::on_interrupt;
use crate::output::{out, outln};
use crate::progress::Progress;
use crate::selection::{Selection, frozen, suite};
use crate::{formats, style};

/// What `--impl` calls the built-in loader.
pub(crate) const BUILT_IN: &str = "built-in";

/// The hidden subcommand that serves it.
pub(crate) const SERVE_BUILT_IN: &str = "reference-loader";

/// Put implementations to the test: generated vectors, judged answers, reports
///
/// --impl is a program or a shared library, and how to talk to it is found out: `pipe:CMD`, `oneshot:CMD`
/// and `dylib:PATH` say it instead. Without --impl the built-in reference loader is tested. How to write an
/// adapter is told in harness/protocol/README.md.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Implementation to test (repeatable) [default: the built-in reference loader]
    #[arg(long = "impl", value_name = "LOADER")]
    implementations: Vec<String>,
    /// Only vectors below these spec paths, such as functions.params or header
    #[arg(value_name = "SPEC-PATH")]
    paths: Vec<String>,
    /// Take the vectors from JSON files in this folder instead of making them
    #[arg(long, value_name = "DIR")]
    vectors: Option<PathBuf>,
    /// Known failures and declared readings; everything in it must still be true
    #[arg(long, value_name = "FILE")]
    deviations: Option<PathBuf>,
    /// Rewrite the deviations file from what failed
    #[arg(long, requires = "deviations")]
    bless: bool,
    /// Time for one case, such as 500ms or 2s
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    timeout: Duration,
    /// Which vectors: those that the document demands, or also those that it recommends
    #[arg(long, default_value = "should")]
    level: LevelChoice,
    /// Recommended vectors fail the run too
    #[arg(long)]
    enforce_should: bool,
    /// A rejection must name the spec's rule and offset
    #[arg(long)]
    strict_rules: bool,
    /// Stop after this many failures
    #[arg(long, value_name = "N")]
    max_fail: Option<usize>,
    /// Stop at the first failure
    #[arg(long, conflicts_with = "max_fail")]
    fail_fast: bool,
    /// Do not run failures again alone in a fresh process
    #[arg(long)]
    no_isolate: bool,
    /// Where reports go: run.ndjson, report.json and junit.xml
    #[arg(long, value_name = "DIR", default_value = "reports/latest")]
    report_dir: PathBuf,
    /// Write no reports
    #[arg(long, conflicts_with = "report_dir")]
    no_report: bool,
    /// Only list the ids of the selected vectors
    #[arg(long)]
    list: bool,
}

/// Which vectors to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LevelChoice {
    Must,
    Should,
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) =
        text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let millis_per_unit = match unit {
        "ms" => 1.0,
        "s" | "" => 1000.0,
        "m" => 60_000.0,
        _ => return Err("expected a time such as 500ms, 2s or 1m".to_owned()),
    };
    let number: f64 =
        number.parse().map_err(|_| "expected a time such as 500ms, 2s or 1m".to_owned())?;
    Duration::try_from_secs_f64(number * millis_per_unit / 1000.0)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "a time is more than zero".to_owned())
}

/// Runs every implementation; one that cannot start does not stop the others.
pub(crate) fn run(global: &Global, options: &Options) -> CommandResult {
    let specs = formats::all(global)?;
    let selection = Selection {
        paths: &options.paths,
        globs: &global.filters,
        only_must: options.level == LevelChoice::Must,
    };
    let mut suites =
        Suites { specs: &specs, folder: options.vectors.as_deref(), made: HashMap::new() };
    if options.list {
        let spec = formats::spec(global)?;
        return list(global, &selection.apply(suites.vectors(&spec, &formats::readings(global))?)?);
    }
    let session = Session { global, options, selection, stop: on_interrupt()? };
    let built_in = [BUILT_IN.to_owned()];
    let texts =
        if options.implementations.is_empty() { &built_in[..] } else { &options.implementations };
    let mut codes = Vec::new();
    let mut documents = Vec::new();
    let mut folders = HashMap::new();
    for text in texts {
        if session.stop.load(Ordering::Relaxed) {
            codes.push(exit::NOTHING_RAN); // interrupted: the rest is not tried
            break;
        }
        let tested =
            session.implementation(text, &mut suites, (texts.len() > 1).then_some(&mut folders));
        match tested {
            Ok((code, document)) => {
                codes.push(code);
                documents.push(document);
            }
            Err(failure) if texts.len() > 1 => {
                failure.print(global);
                codes.push(failure.code);
            }
            Err(failure) => return Err(failure),
        }
    }
    if global.json {
        outln!("{}", serde_json::to_string(&documents).map_err(Failure::bug)?);
    }
    Ok(worst(&codes))
}

/// The code of several runs: the one that needs attention first.
fn worst(codes: &[u8]) -> u8 {
    let order = [
        exit::HARNESS_BUG,
        exit::USAGE,
        exit::IMPLEMENTATION,
        exit::NONCONFORMANT,
        exit::DEVIATIONS_STALE,
        exit::NOTHING_RAN,
    ];
    order.into_iter().find(|code| codes.contains(code)).unwrap_or(exit::OK)
}

fn list(global: &Global, vectors: &[Vector]) -> CommandResult {
    if global.json {
        let ids: Vec<&str> = vectors.iter().map(|vector| vector.id.as_str()).collect();
        outln!("{}", serde_json::json!(ids));
    } else {
        for vector in vectors {
            outln!("{}", vector.id);
        }
    }
    Ok(if vectors.is_empty() { exit::NOTHING_RAN } else { exit::OK })
}

/// Suites by format and readings: made once, used for every implementation that reads the document so.
struct Suites<'a> {
    /// The format that was named, or all that may be meant.
    specs: &'a [Spec],
    folder: Option<&'a Path>,
    made: HashMap<(String, Readings), Vec<Vector>>,
}

impl<'a> Suites<'a> {
    /// The format to test an implementation by: the first of those that it says it reads, else the first.
    fn spec(&self, implementation: &Implementation) -> Result<&'a Spec, Failure> {
        if let Some(folder) = self.folder {
            let vectors = frozen(folder)?;
            let first = vectors.first().and_then(|vector| vector.id.split('/').next());
            let of_vectors =
                self.specs.iter().find(|spec| Some(spec.format().id.as_str()) == first);
            if let Some(spec) = of_vectors.or(self.specs.first()) {
                return Ok(spec);
            }
        }
        let reads =
            |spec: &&Spec| implementation.describe.formats.iter().any(|f| *f == spec.format().id);
        let mut known = self.specs.iter().filter(reads);
        let chosen = known.next().or(self.specs.first());
        if let (Some(chosen), Some(other)) = (chosen, known.next()) {
            let (chosen, other) = (&chosen.format().id, &other.format().id);
            anstream::eprintln!(
                "testing {chosen}; --format {other} tests {other}, which it reads too"
            );
        }
        chosen.ok_or_else(|| Failure::bug("there is no built-in format"))
    }

    /// The vectors for a loader of these readings. Frozen ones carry the answers of other readings with them.
    fn vectors(&mut self, spec: &Spec, readings: &Readings) -> Result<Vec<Vector>, Failure> {
        if let Some(folder) = self.folder {
            return frozen(folder);
        }
        let differs =
            |(id, name): &(&String, &String)| spec.default_reading(id) != Some(name.as_str());
        let other: Readings =
            readings.iter().filter(differs).map(|(id, name)| (id.clone(), name.clone())).collect();
        let key = (spec.format().id.clone(), other);
        if !self.made.contains_key(&key) {
            let vectors = suite(spec, &key.1)?.vectors;
            self.made.insert(key.clone(), vectors);
        }
        Ok(self.made.get(&key).cloned().unwrap_or_default())
    }
}

/// What is the same for all implementations of one call.
struct Session<'a> {
    global: &'a Global,
    options: &'a Options,
    selection: Selection<'a>,
    stop: Arc<AtomicBool>,
}

impl Session<'_> {
    /// Tests one implementation: exit code and report.
    fn implementation(
        &self,
        text: &str,
        suites: &mut Suites<'_>,
        folders: Option<&mut HashMap<String, usize>>,
    ) -> Result<(u8, Document), Failure> {
        let implementation = find(text, &self.stop)?;
        let deviations = self.deviations()?;
        let spec = suites.spec(&implementation)?;
        let readings = readings(spec, &implementation, deviations.as_ref(), self.global);
        let vectors = self.selection.apply(suites.vectors(spec, &readings)?)?;
        if vectors.is_empty() {
            let help = "`harness conformance --list` shows the ids that there are".to_owned();
            return Err(Failure::new(exit::NOTHING_RAN, "no vector is selected", Some(help)));
        }
        let options = self.run_options(text, spec, readings, deviations);
        let folder = self.folder(&implementation, folders);
        let header = Header::new(
            &implementation,
            &digest(&vectors),
            env!("CARGO_PKG_VERSION"),
            vectors.len(),
        );
        let report = self.drive(&implementation, &vectors, &options, &header, folder.as_deref())?;
        let document = Document::new(&header, &report);
        if let Some(folder) = &folder {
            write_atomically(
                folder,
                "report.json",
                document.to_json().map_err(Failure::bug)?.as_bytes(),
            )
            .map_err(|error| unwritable(&error))?;
            let xml = harness_report::junit::xml(&report).map_err(Failure::bug)?;
            write_atomically(folder, "junit.xml", xml.as_bytes())
                .map_err(|error| unwritable(&error))?;
        }
        self.show(&report, folder.as_deref());
        self.bless(&options, &report)?;
        Ok((if self.options.bless { exit::OK } else { report.exit_code() }, document))
    }

    fn deviations(&self) -> Result<Option<Deviations>, Failure> {
        let Some(path) = &self.options.deviations else { return Ok(None) };
        if self.options.bless && !path.exists() {
            return Ok(None);
        }
        Deviations::load(path).map(Some).map_err(|error| Failure::usage(error.to_string()))
    }

    fn run_options(
        &self,
        text: &str,
        spec: &Spec,
        readings: Readings,
        deviations: Option<Deviations>,
    ) -> RunOptions {
        let options = self.options;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        RunOptions {
            format: Some(spec.format().id.clone()),
            jobs: self.global.jobs.map_or(cores, usize::from),
            deadline: options.timeout,
            isolate: !options.no_isolate,
            choices: readings,
            deviations,
            today: Some(jiff::Zoned::now().date()),
            strictness: Strictness { rules: options.strict_rules || text == BUILT_IN },
            enforce_should: options.enforce_should,
            partial: !self.selection.is_everything(),
            max_failures: if options.fail_fast { Some(1) } else { options.max_fail },
            harness_version: env!("CARGO_PKG_VERSION").to_owned(),
            stop: Some(Arc::clone(&self.stop)),
            ..RunOptions::default()
        }
    }

    /// Where reports go; one folder an implementation where several are tested, numbered where they share a
    /// name (two builds of one loader, say).
    fn folder(
        &self,
        implementation: &Implementation,
        taken: Option<&mut HashMap<String, usize>>,
    ) -> Option<PathBuf> {
        let base = (!self.options.no_report).then(|| self.options.report_dir.clone())?;
        let Some(taken) = taken else { return Some(base) };
        let plain = |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_';
        let name = implementation.describe.name.replace(plain, "-");
        let number = taken.entry(name.clone()).and_modify(|number| *number += 1).or_insert(1);
        Some(base.join(if *number == 1 { name } else { format!("{name}-{number}") }))
    }

    /// Runs the vectors; results are streamed to `run.ndjson` as they come.
    fn drive(
        &self,
        implementation: &Implementation,
        vectors: &[Vector],
        options: &RunOptions,
        header: &Header,
        folder: Option<&Path>,
    ) -> Result<RunReport, Failure> {
        let stream = folder.map(|folder| begin_stream(folder, header)).transpose()?;
        let progress = Progress::new(self.global, &implementation.describe.name);
        let sink = |event: Event<'_>| {
            if let (Event::CaseDone { result, .. }, Some(stream)) = (event, &stream) {
                stream.case(result);
            }
            progress.event(event);
        };
        let report = run_vectors(implementation, vectors, options, &sink);
        progress.finish();
        let report =
            report.map_err(|error| Failure::new(error.exit_code(), error.to_string(), None))?;
        if let Some(stream) = stream {
            stream.end(&report).map_err(|error| unwritable(&error))?;
        }
        Ok(report)
    }

    fn show(&self, report: &RunReport, folder: Option<&Path>) {
        if self.global.json {
            return;
        }
        let connection = &report.connection;
        let name = format!("{} {}", report.describe.name, report.describe.version);
        let name = style::name(name.trim_end());
        outln!("{name} ({connection})");
        let color = style::colors(&std::io::stdout());
        let target = Some(self.words(report));
        out!("{}", summary(report, &SummaryOptions { color, target }));
        if let Some(folder) = folder {
            anstream::eprintln!("{}", style::dim(&format!("reports: {}", folder.display())));
        }
    }

    /// What a replay needs on its command line to ask the same question of the same implementation.
    fn words(&self, report: &RunReport) -> String {
        let mut words = Vec::new();
        if report.target != BUILT_IN {
            words.extend(["--impl".to_owned(), report.target.clone()]);
        }
        if let (Some(format), Some(_)) = (&self.global.format, &self.global.variant) {
            words.extend(["--format".to_owned(), format.clone()]);
        }
        if let Some(variant) = &self.global.variant {
            words.extend(["--variant".to_owned(), variant.clone()]);
        }
        if let Some(spec) = &self.global.spec {
            words.extend(["--spec".to_owned(), spec.display().to_string()]);
        }
        let choices = report.choices.iter().map(|(id, reading)| format!("{id}={reading}"));
        words.extend(choices.flat_map(|choice| ["--choice".to_owned(), choice]));
        shell_words::join(words)
    }

    fn bless(&self, options: &RunOptions, report: &RunReport) -> Result<(), Failure> {
        let (Some(path), true) = (&self.options.deviations, self.options.bless) else {
            return Ok(());
        };
        let blessed = Deviations::blessed(options.deviations.as_ref(), report);
        blessed.save(path).map_err(|error| Failure::usage(error.to_string()))?;
        anstream::eprintln!("wrote {} entries to {}", blessed.deviations.len(), path.display());
        Ok(())
    }
}

fn begin_stream(folder: &Path, header: &Header) -> Result<Stream<BufWriter<File>>, Failure> {
    let path = folder.join("run.ndjson");
    let file = std::fs::create_dir_all(folder).and_then(|()| File::create(&path));
    let file = file.map_err(|error| {
        Failure::usage(format!("{}: cannot be written: {error}", path.display()))
    })?;
    Stream::begin(BufWriter::new(file), header).map_err(|error| unwritable(&error))
}

fn unwritable(error: &harness_report::ReportError) -> Failure {
    Failure::usage(error.to_string())
}

/// The implementation that `text` names.
pub(crate) fn find(text: &str, stop: &Arc<AtomicBool>) -> Result<Implementation, Failure> {
    let program =
        std::env::current_exe().map_err(|error| Failure::bug(format!("own path: {error}")))?;
    let options = ProbeOptions {
        host_command: vec![program.clone().into_os_string(), OsString::from("dylib-host")],
        harness_version: env!("CARGO_PKG_VERSION").to_owned(),
        stop: Some(Arc::clone(stop)),
        ..ProbeOptions::default()
    };
    let command = if text == BUILT_IN && !Path::new(text).exists() {
        format!("pipe:'{}' {SERVE_BUILT_IN}", program.display())
    } else {
        text.to_owned()
    };
    let mut implementation = Target::parse(&command, &options).map_err(|error| {
        Failure::new(exit::IMPLEMENTATION, format!("--impl {text}: {error}"), None)
    })?;
    text.clone_into(&mut implementation.text);
    Ok(implementation)
}

/// The readings that hold for an implementation: its own, those of its deviations file, those of the user.
fn readings(
    spec: &Spec,
    implementation: &Implementation,
    deviations: Option<&Deviations>,
    global: &Global,
) -> Readings {
    let mut readings = implementation.describe.choices.clone();
    readings.extend(deviations.iter().flat_map(|file| file.choices.clone()));
    // A loader of several formats declares choices of all of them.
    let prefix = format!("{}.", spec.format().id);
    readings.retain(|id, _| id.starts_with(&prefix));
    readings.extend(formats::readings(global));
    readings
}

/// Identifies the vectors of a run.
fn digest(vectors: &[Vector]) -> String {
    let mut hasher = Sha256::new();
    for vector in vectors {
        hasher.update(serde_json::to_vec(vector).unwrap_or_default());
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
        for bad in ["", "0s", "-1s", "2h", "s", "1e300m", "NaN"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_worst_code_wins() {
        assert_eq!(worst(&[0, 5, 1]), 1);
        assert_eq!(worst(&[1, 3]), 3);
        assert_eq!(worst(&[0, 0]), 0);
    }
}
