//! Loading an SMF module, beside what the system's dynamic linker does with an equivalent shared object.
//!
//! Both have 10,000 functions under the same names and a table with the address of each. `dlopen` is measured
//! with an object that may be interposed, as `cc -shared` makes it, and with one whose own definitions are
//! bound (`-Bsymbolic`), which spares it a lookup for each relocation. Both sides start from a file that
//! is in the page cache, look every function up, and unload.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW, Symbol};
use reference_loader::smf::{Module, no_imports, validate};
use tempfile::TempDir;

#[path = "../tests/suite/smf/encode.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod encode;

use encode::*;

const NAMES: usize = 10_000;

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
    symbolic: PathBuf,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let smf = folder.path().join("module.smf");
        std::fs::write(&smf, module()).unwrap();
        let so = shared_object(folder.path(), "-Wl,-z,now");
        let symbolic = shared_object(folder.path(), "-Wl,-Bsymbolic");
        Self { _folder: folder, smf, so, symbolic }
    }
}

fn loading(c: &mut Criterion) {
    let (files, names) = (Files::new(), Names::new());
    let mut group = c.benchmark_group("load-10000");
    group.throughput(Throughput::Elements(NAMES as u64)).sample_size(30);
    let load = || Module::load_file(&files.smf, &no_imports).unwrap();
    group.bench_function("smf", |b| b.iter(load));
    group.bench_function("smf-and-look-up", |b| {
        b.iter(|| {
            let module = load();
            for name in &names.plain {
                black_box(module.symbol(name).unwrap());
            }
        });
    });
    for (label, path) in [("dlopen", &files.so), ("dlopen-symbolic", &files.symbolic)] {
        group.bench_function(label, |b| b.iter(|| open(path)));
        group.bench_function(format!("{label}-and-dlsym"), |b| {
            b.iter(|| {
                let library = open(path);
                for name in &names.terminated {
                    black_box(dlsym(&library, name));
                }
            });
        });
    }
    group.finish();
}

/// What a load consists of.
fn parts(c: &mut Criterion) {
    let bytes = module();
    let mut group = c.benchmark_group("parts-10000");
    group.throughput(Throughput::Elements(NAMES as u64)).sample_size(30);
    group.bench_function("validate", |b| b.iter(|| validate(black_box(&bytes)).unwrap().symbols()));
    group.bench_function("load-from-memory", |b| {
        b.iter(|| Module::load(black_box(&bytes), &no_imports).unwrap());
    });
    group.finish();
}

fn lookup(c: &mut Criterion) {
    let (files, names) = (Files::new(), Names::new());
    let module = Module::load_file(&files.smf, &no_imports).unwrap();
    let library = open(&files.so);
    // In an order that no cache foresees.
    let order: Vec<usize> = (0..NAMES).map(|index| index * 7919 % NAMES).collect();
    let mut group = c.benchmark_group("lookup-10000");
    group.throughput(Throughput::Elements(NAMES as u64)).sample_size(50);
    group.bench_function("smf", |b| {
        b.iter(|| {
            for index in &order {
                black_box(module.symbol(&names.plain[*index]));
            }
        });
    });
    group.bench_function("dlsym", |b| {
        b.iter(|| {
            for index in &order {
                black_box(dlsym(&library, &names.terminated[*index]));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, loading, parts, lookup);
criterion_main!(benches);
