//! How fast files are read: the header alone, a whole file beside an ELF file with as many names, and the
//! checksum beside the bare CRC.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use object::write::{Object, StandardSegment, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, Object as _, ObjectSymbol, SectionKind, SymbolFlags,
    SymbolKind, SymbolScope,
};
use reference_loader::{Header, checksum};

#[path = "../tests/suite/encode.rs"]
mod encode;

const NAMES: usize = 10_000;

fn name(index: usize) -> String {
    format!("module_function_{index:05}")
}

fn scp() -> Vec<u8> {
    let mut file = encode::Scp { code: vec![0xc3; 16 * NAMES], ..Default::default() };
    let mut offset = 0;
    for index in 0..NAMES {
        let name = name(index);
        file.functions.push(encode::Function {
            name: offset,
            entry: 16 * index as u64,
            params: vec![3, 4, 10],
            returns: 3,
            flags: 0,
        });
        offset += name.len() as u32 + 1;
        file.strings.push(name.into_bytes());
    }
    file.encode()
}

fn elf() -> Vec<u8> {
    let mut file = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let segment = file.segment_name(StandardSegment::Text).to_vec();
    let text = file.add_section(segment, b".text".to_vec(), SectionKind::Text);
    file.append_section_data(text, &vec![0xc3; 16 * NAMES], 16);
    for index in 0..NAMES {
        file.add_symbol(Symbol {
            name: name(index).into_bytes(),
            value: 16 * index as u64,
            size: 16,
            kind: SymbolKind::Text,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Section(text),
            flags: SymbolFlags::None,
        });
    }
    file.write().unwrap()
}

/// Reads every symbol's name, as text; returns how many there are.
fn elf_names(bytes: &[u8]) -> usize {
    let file = object::File::parse(bytes).unwrap();
    file.symbols().filter(|symbol| !black_box(symbol.name().unwrap()).is_empty()).count()
}

fn header(c: &mut Criterion) {
    let file = scp();
    c.bench_function("header/parse", |b| b.iter(|| Header::parse(black_box(&file)).unwrap()));
}

fn whole(c: &mut Criterion) {
    let (scp, elf) = (scp(), elf());
    assert_eq!(elf_names(&elf), NAMES);
    let mut group = c.benchmark_group("names-10000");
    group.throughput(Throughput::Elements(NAMES as u64));
    group.bench_function("scp-parse", |b| {
        b.iter(|| reference_loader::parse(black_box(&scp)).unwrap().functions().len());
    });
    group.bench_function("scp-parse-validate", |b| {
        b.iter(|| reference_loader::validate(black_box(&scp)).unwrap().functions().len());
    });
    group.bench_function("elf-object", |b| b.iter(|| elf_names(black_box(&elf))));
    group.finish();
}

fn checksums(c: &mut Criterion) {
    let file = scp();
    let mut group = c.benchmark_group("checksum");
    group.throughput(Throughput::Bytes(file.len() as u64));
    group.bench_function("of-file", |b| b.iter(|| checksum::of(black_box(&file))));
    group.bench_function("crc32fast", |b| b.iter(|| crc32fast::hash(black_box(&file))));
    group.finish();
}

criterion_group!(benches, header, whole, checksums);
criterion_main!(benches);
