//! `harness generate`: writes everything that follows from the specs, or compares it with what is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use blobspec::Spec;
use harness_generate::{files, fuzzing};
use harness_protocol::exit;
use serde_json::json;

use crate::args::Global;
use crate::failure::{CommandResult, Failure};
use crate::output::outln;
use crate::{formats, input, selection, style};

/// Write the vectors under conformance/, fuzzing seeds, dictionaries and the editors' schema
///
/// With --spec, only the vectors of that format are made.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Folder that holds conformance/, corpus/, fuzz/ and spec/
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Write nothing; fail when what is there differs
    #[arg(long)]
    check: bool,
}

/// Path below the folder → content.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Generates or checks.
pub(crate) fn run(global: &Global, options: &Options) -> CommandResult {
    let mut wanted = Files::new();
    let mut vectors = 0;
    for spec in formats::all(global)? {
        let id = &spec.format().id;
        if global.spec.is_some() && blobspec::BUILTIN.iter().any(|(name, _)| name == id) {
            let message = format!(
                "`{id}` is the id of a built-in format, whose vectors would be overwritten"
            );
            return Err(Failure::usage_with(message, "give your format another `id`"));
        }
        let built_in = global.spec.is_none() && global.variant.is_none();
        let (files, made) = follows(&spec, built_in)?;
        wanted.extend(files);
        vectors += made;
    }
    let present = present(&options.out, &wanted)?;
    let stale: Vec<PathBuf> =
        present.keys().filter(|path| !wanted.contains_key(*path)).cloned().collect();
    let changed: Vec<PathBuf> = wanted
        .iter()
        .filter(|(path, content)| present.get(*path) != Some(content))
        .map(|(path, _)| path.clone())
        .collect();
    if options.check {
        return check(global, &options.out, &stale, &changed);
    }
    for path in &changed {
        input::write(&options.out.join(path), &wanted[path])?;
    }
    for path in &stale {
        let path = options.out.join(path);
        std::fs::remove_file(&path)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    }
    if global.json {
        outln!(
            "{}",
            json!({"vectors": vectors, "files": wanted.len(), "written": changed, "removed": stale})
        );
    } else {
        outln!(
            "{vectors} vectors in {} files: {} written, {} removed",
            wanted.len(),
            changed.len(),
            stale.len()
        );
    }
    Ok(exit::OK)
}

/// Everything that belongs there, and the number of vectors in it.
fn follows(spec: &Spec, built_in: bool) -> Result<(Files, usize), Failure> {
    let suite = selection::suite(spec, &blobspec::Readings::new())?;
    let format = spec.format();
    let folder = Path::new("conformance").join(&format.id);
    let vectors =
        files::files(&suite).into_iter().map(|(name, text)| (folder.join(name), text.into_bytes()));
    let mut wanted: Files = vectors.collect();
    if built_in {
        let dictionary = Path::new("fuzz").join("dict").join(format!("{}.dict", format.id));
        wanted.insert(dictionary, fuzzing::dictionary(format).into_bytes());
        let schema = Path::new("spec").join("formats").join("blobspec.schema.json");
        wanted.insert(schema, blobspec::schema::json().into_bytes());
        for (target, seeds) in fuzzing::seeds(&suite) {
            let folder = Path::new("corpus").join(target);
            wanted.extend(seeds.into_iter().map(|(name, bytes)| (folder.join(name), bytes)));
        }
    }
    Ok((wanted, suite.vectors.len()))
}

/// What lies where generated files go: the folders that hold only generated files are read whole, so that
/// files which are no longer made are noticed; of the corpora only the seeds are generated.
fn present(out: &Path, wanted: &Files) -> Result<Files, Failure> {
    let mut present = Files::new();
    let folders: std::collections::BTreeSet<&Path> =
        wanted.keys().filter_map(|path| path.parent()).collect();
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(out.join(folder)) else { continue };
        for name in entries.flatten().map(|entry| entry.file_name()) {
            let path = folder.join(&name);
            let ours = wanted.contains_key(&path) || generated(folder, &name.to_string_lossy());
            if ours && out.join(&path).is_file() {
                let bytes = input::read(&out.join(&path))?;
                present.insert(path, bytes);
            }
        }
    }
    Ok(present)
}

/// Whether a file of that name in that folder can only have been generated.
fn generated(folder: &Path, name: &str) -> bool {
    let in_folder = |prefix: &str| folder.starts_with(prefix);
    (in_folder("conformance") && name.ends_with(".json"))
        || (in_folder("corpus") && name.starts_with("seed-"))
}

fn check(global: &Global, out: &Path, stale: &[PathBuf], changed: &[PathBuf]) -> CommandResult {
    let (missing, differing): (Vec<&PathBuf>, Vec<&PathBuf>) =
        changed.iter().partition(|path| !out.join(path).exists());
    let clean = stale.is_empty() && changed.is_empty();
    if global.json {
        outln!(
            "{}",
            json!({"clean": clean, "missing": missing, "differing": differing, "stale": stale})
        );
    } else {
        let kinds = [
            ("missing", missing),
            ("differs", differing),
            ("no longer made", stale.iter().collect()),
        ];
        for (what, paths) in kinds {
            for path in paths {
                outln!("{}: {}", style::bad(what), path.display());
            }
        }
        if clean {
            outln!("{}: what is there is what follows from the specs", style::good("current"));
        } else {
            anstream::eprintln!("run `harness generate` and look at the difference");
        }
    }
    Ok(if clean { exit::OK } else { exit::NONCONFORMANT })
}
