//! Loading an SMF module, beside what the system's dynamic linker does with an equivalent shared object.
//!
//! `cargo bench -p reference-loader --bench loading [-- PART-OF-A-NAME]`
//!
//! Both have 10,000 functions of 6 bytes under the same names of 21 bytes, all exported, and a table with the
//! address of each, so that there are 10,000 relocations by 10,000 symbols. Both start from a file that is in
//! the page cache, and both unload what they loaded, which is part of the time.
//!
//! - `dlopen` is measured with an object as `cc -shared` makes it, whose functions may be interposed: it looks
//!   up a name for each relocation. SMF has no interposition: a defined symbol is the module's own.
//! - `dlopen, symbolic` is the harder comparison: with `-Bsymbolic` the static linker has done those lookups,
//!   and what is left are 10,000 additions, while SMF still reads symbols and checks all names.
//!
//! `dlopen` checks neither bounds nor names nor hashes; SMF checks everything, on every load.
//!
//! The contenders take turns, so that whatever else the machine does hits all of them; the ratios are those
//! of the medians and of the shortest times.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW, Symbol};
use reference_loader::smf::{Module, no_imports, validate};
use tempfile::TempDir;

#[path = "../tests/suite/smf/encode.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod encode;

use encode::*;

const NAMES: usize = 10_000;

/// How often each contender runs.
const ROUNDS: usize = 500;

fn name(index: usize) -> String {
    format!("module_function_{index:05}")
}

/// `mov eax, imm32; ret` for each function, then a table of their addresses.
fn module() -> Vec<u8> {
    let mut code = Vec::with_capacity(16 * NAMES);
    for index in 0..NAMES {
        code.push(0xb8);
        code.extend((index as u32).to_le_bytes());
        code.push(0xc3);
        code.resize(16 * (index + 1), 0xcc);
    }
    let table = section(CODE, 16, &vec![0; 8 * NAMES]);
    let place = |index| (16 * NAMES + 8 * index) as u64;
    let relocations: Vec<_> =
        (0..NAMES).map(|index| relocation(place(index), index as u32, ABS64, 0)).collect();
    let symbols =
        (0..NAMES).map(|index| symbol(&name(index), FUNCTION, GLOBAL, 16 * index as u64, 6));
    Smf {
        sections: vec![section(CODE, 16, &code), table, relocs(&relocations)],
        symbols: symbols.collect(),
        ..Smf::default()
    }
    .encode()
}

/// The same in C, compiled with `option`.
fn shared_object(folder: &Path, option: &str) -> PathBuf {
    let mut source = String::new();
    for index in 0..NAMES {
        writeln!(source, "int {}(void) {{ return {index}; }}", name(index)).unwrap();
    }
    writeln!(source, "int (*table[])(void) = {{").unwrap();
    (0..NAMES).for_each(|index| writeln!(source, "{},", name(index)).unwrap());
    writeln!(source, "}};").unwrap();
    let (input, output) = (folder.join("module.c"), folder.join(format!("module{option}.so")));
    std::fs::write(&input, source).unwrap();
    let options = ["-shared", "-fPIC", "-O1", "-fno-asynchronous-unwind-tables", option];
    let compiled = Command::new("cc").args(options).arg("-o").args([&output, &input]).status();
    assert!(compiled.unwrap().success());
    output
}

#[expect(unsafe_code, reason = "dlopen runs initialisers")]
fn open(path: &Path) -> Library {
    // SAFETY: the object was compiled from the source above, which has no initialisers.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.unwrap()
}

#[expect(unsafe_code, reason = "dlsym believes the type that it is told")]
fn dlsym(library: &Library, name: &[u8]) -> usize {
    // SAFETY: nothing is done with the symbol but to look at its address.
    let symbol: Symbol<extern "C" fn() -> i32> = unsafe { library.get(name) }.unwrap();
    symbol.into_raw().addr()
}

/// Names as both sides want them; `dlsym` wants a NUL.
struct Names {
    plain: Vec<String>,
    terminated: Vec<Vec<u8>>,
}

impl Names {
    fn new() -> Self {
        let plain: Vec<_> = (0..NAMES).map(name).collect();
        let terminated = plain.iter().map(|name| format!("{name}\0").into_bytes()).collect();
        Self { plain, terminated }
    }
}

struct Files {
    _folder: TempDir,
    smf: PathBuf,
    so: PathBuf,
    /// The same once more.
    copy: PathBuf,
    symbolic: PathBuf,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let smf = folder.path().join("module.smf");
        std::fs::write(&smf, module()).unwrap();
        let so = shared_object(folder.path(), "-Wl,-z,now");
        let symbolic = shared_object(folder.path(), "-Wl,-Bsymbolic");
        let copy = folder.path().join("copy.so");
        std::fs::copy(&so, &copy).unwrap();
        Self { _folder: folder, smf, so, copy, symbolic }
    }
}

type Contender<'a> = (&'static str, Box<dyn FnMut() + 'a>);

/// Loads, and unloads; looks all `names` up in between.
fn smf<'a>(path: &'a Path, names: &'a [String]) -> Box<dyn FnMut() + 'a> {
    Box::new(move || {
        let module = Module::load_file(path, &no_imports).unwrap();
        names.iter().for_each(|name| _ = black_box(module.symbol(name).unwrap()));
    })
}

/// As [`smf`].
fn system<'a>(path: &'a Path, names: &'a [Vec<u8>]) -> Box<dyn FnMut() + 'a> {
    Box::new(move || {
        let library = open(path);
        names.iter().for_each(|name| _ = black_box(dlsym(&library, name)));
    })
}

/// Order of lookup that no cache foresees.
fn scattered() -> impl Iterator<Item = usize> {
    (0..NAMES).map(|index| index * 7919 % NAMES)
}

/// Median and minimum of each contender's times, in turns.
fn race(contenders: &mut [Contender<'_>]) -> Vec<(Duration, Duration)> {
    let mut times = vec![Vec::with_capacity(ROUNDS); contenders.len()];
    for _ in 0..ROUNDS {
        for ((_, run), times) in contenders.iter_mut().zip(&mut times) {
            let start = Instant::now();
            run();
            times.push(start.elapsed());
        }
    }
    let summary = |mut times: Vec<Duration>| {
        times.sort_unstable();
        (times[times.len() / 2], times[0])
    };
    times.into_iter().map(summary).collect()
}

/// What is divided by what.
const RATIOS: [(&str, &str); 6] = [
    ("load", "dlopen + dlsym"),
    ("load + look up", "dlopen + dlsym"),
    ("load", "dlopen"),
    ("load + look up", "dlopen + dlsym, symbolic"),
    ("load", "dlopen, symbolic"),
    ("look up", "dlsym"),
];

fn report(names: &[&str], times: &[(Duration, Duration)]) {
    println!("{:<56} {:>9} {:>9}", "", "median", "shortest");
    for (name, (median, shortest)) in names.iter().zip(times) {
        let micros = |time: &Duration| time.as_secs_f64() * 1e6;
        println!("{name:<56} {:>6.0} µs {:>6.0} µs", micros(median), micros(shortest));
    }
    let of = |wanted: &str| times.get(names.iter().position(|name| *name == wanted)?);
    for (ours, theirs) in RATIOS {
        let (Some(a), Some(b)) = (of(ours), of(theirs)) else { continue };
        let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
        let ratios = (ratio(a.0, b.0), ratio(a.1, b.1));
        println!("{:<56} {:>9.2} {:>9.2}", format!("({ours}) / ({theirs})"), ratios.0, ratios.1);
    }
}

fn main() {
    let (files, names, bytes) = (Files::new(), Names::new(), module());
    let module = Module::load_file(&files.smf, &no_imports).unwrap();
    // A second copy: `dlopen` of what is open already only counts.
    let library = open(&files.copy);
    let look_up = |at: usize| _ = black_box(module.symbol(&names.plain[at]));
    let look_up_there = |at: usize| _ = black_box(dlsym(&library, &names.terminated[at]));
    let mut contenders: Vec<Contender<'_>> = vec![
        ("validate", Box::new(|| _ = black_box(validate(&bytes).unwrap()))),
        ("load from memory", Box::new(|| drop(Module::load(&bytes, &no_imports).unwrap()))),
        ("load", smf(&files.smf, &[])),
        ("load + look up", smf(&files.smf, &names.plain)),
        ("dlopen", system(&files.so, &[])),
        ("dlopen + dlsym", system(&files.so, &names.terminated)),
        ("dlopen, symbolic", system(&files.symbolic, &[])),
        ("dlopen + dlsym, symbolic", system(&files.symbolic, &names.terminated)),
        ("look up", Box::new(|| scattered().for_each(look_up))),
        ("dlsym", Box::new(|| scattered().for_each(look_up_there))),
    ];
    // `cargo bench` adds an option of its own.
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    contenders.retain(|(name, _)| wanted.as_ref().is_none_or(|wanted| name.contains(wanted)));
    let times = race(&mut contenders);
    let names: Vec<_> = contenders.iter().map(|(name, _)| *name).collect();
    report(&names, &times);
}
