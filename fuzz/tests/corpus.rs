//! Every file below `corpus/TARGET/` is a case of the property of that target: dropping a file in adds a test.
//!
//! Files that fuzzing found here and that nobody committed are replayed too.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use harness_fuzz::{Property, TARGETS};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = crate_folder.join("../corpus");
    let mut trials = vec![Trial::test("every_target_has_a_property_and_a_corpus", {
        let corpus = corpus.clone();
        move || targets_are_complete(crate_folder, &corpus)
    })];
    for (target, property) in TARGETS {
        let folder = corpus.join(target);
        match files(&folder) {
            Ok(files) => {
                trials.extend(files.into_iter().map(|file| replay(target, *property, file)));
            }
            Err(error) => trials.push(Trial::test(format!("{target}/"), move || Err(error.into()))),
        }
    }
    Ok(libtest_mimic::run(&Arguments::from_args(), trials).exit_code())
}

fn replay(target: &str, property: Property, file: PathBuf) -> Trial {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Trial::test(format!("{target}/{name}"), move || {
        property(&fs::read(&file)?);
        Ok(())
    })
}

/// The files of one corpus, sorted; an error when it is missing or empty, since it would test nothing.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
        files.extend(path.is_file().then_some(path));
    }
    files.sort();
    let seeded = files.iter().any(|file| named_seed(file));
    if seeded { Ok(files) } else { Err(format!("{}: holds no seed-* file", folder.display())) }
}

fn named_seed(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"seed-"))
}

/// What cargo-fuzz builds, what has a property and what has a corpus is the same set.
fn targets_are_complete(crate_folder: &Path, corpus: &Path) -> Result<(), Failed> {
    let manifest = fs::read_to_string(crate_folder.join("Cargo.toml"))?;
    let built: BTreeSet<String> = manifest
        .split("[[bin]]")
        .skip(1)
        .filter_map(|table| table.split('"').nth(1))
        .map(str::to_owned)
        .collect();
    let checked: BTreeSet<String> =
        TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect();
    let mut seeded = BTreeSet::new();
    for entry in fs::read_dir(corpus)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        seeded.extend(path.is_dir().then_some(name));
    }
    let same = !built.is_empty() && built == checked && built == seeded;
    let sets = format!("targets {built:?}, properties {checked:?}, corpora {seeded:?}");
    if same { Ok(()) } else { Err(sets.into()) }
}
