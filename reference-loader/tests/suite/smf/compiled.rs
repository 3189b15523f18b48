//! Code of a C compiler, taken out of its object file and linked by this loader.

use std::process::Command;

use harness_protocol::{Returned, TypeName};
use object::elf::{
    R_X86_64_32S, R_X86_64_64, R_X86_64_GOTPCREL, R_X86_64_GOTPCRELX, R_X86_64_PC32,
    R_X86_64_PLT32, R_X86_64_REX_GOTPCRELX,
};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationFlags, SymbolSection};
use reference_loader::smf::Module;

use super::calls::call;
use super::encode::*;

const SOURCE: &str = r#"
extern int host(int);
int visible = 7;
static int hidden = 30;
static int zeros[3000];
static const int table[] = {1, 10, 100, 1000};

static __attribute__((noinline)) int pick(int i) { return table[i & 3] + zeros[i]; }
__attribute__((noinline)) int next(int i) { zeros[i]++; return ++visible; }
int all(int i) { hidden += 1; return host(pick(i)) + next(i) + hidden; }
int (*address_of_next(void))(int) { return next; }
"#;

extern "C" fn host(value: i32) -> i32 {
    2 * value
}

fn compile() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (source, object) = (folder.path().join("code.c"), folder.path().join("code.o"));
    std::fs::write(&source, SOURCE).unwrap();
    let options = ["-c", "-O2", "-fPIC", "-ffreestanding", "-fno-asynchronous-unwind-tables"];
    let status = Command::new("cc").args(options).arg("-o").args([&object, &source]).status();
    assert!(status.unwrap().success());
    std::fs::read(object).unwrap()
}

/// The object file as a module: its sections with bytes or zeros, every symbol, every relocation of code.
fn packed(elf: &[u8]) -> Smf {
    let elf = object::File::parse(elf).unwrap();
    let mut file = Smf::default();
    let (mut starts, mut relocations) = (Vec::new(), Vec::new());
    let (mut code_end, mut data_end, mut last) = (0_u64, 0_u64, 0);
    for part in elf.sections().filter(|part| part.size() > 0) {
        let kind = match part.name().unwrap() {
            name if name.starts_with(".text") => CODE,
            name if name.starts_with(".data") => DATA,
            name if name.starts_with(".rodata") => RODATA,
            name if name.starts_with(".bss") => BSS,
            _ => continue,
        };
        let alignment = part.align().max(1);
        let writable = |kind| kind == DATA || kind == BSS;
        let apart = kind != CODE && last != 0 && writable(last) != writable(kind);
        let end = if kind == CODE { &mut code_end } else { &mut data_end };
        let start = end.next_multiple_of(if apart { alignment.max(4096) } else { alignment });
        *end = start + part.size();
        last = if kind == CODE { last } else { kind };
        starts.push((part.index(), kind, start));
        let bytes = part.data().unwrap().to_vec();
        file.sections.push(Section { kind, bytes, virtual_size: part.size(), alignment });
        if kind == CODE {
            relocations.extend(part.relocations().map(|(at, entry)| (start + at, entry)));
        }
    }
    // ELF numbers its symbols from 1; symbol 0 is that of no relocation.
    file.symbols.push(symbol("", TYPE, LOCAL, 0, 0));
    for entry in elf.symbols() {
        file.symbols.push(converted(&entry, &starts));
    }
    let convert = |(offset, entry): (u64, object::Relocation)| {
        let object::RelocationTarget::Symbol(index) = entry.target() else { panic!("{entry:?}") };
        let RelocationFlags::Elf { r_type } = entry.flags() else { panic!("{entry:?}") };
        relocation(offset, index.0 as u32, kind(r_type), entry.addend())
    };
    let relocations: Vec<_> = relocations.into_iter().map(convert).collect();
    file.sections.push(relocs(&relocations));
    file
}

fn kind(elf: object::elf::RelocationType) -> u32 {
    match elf {
        R_X86_64_64 => ABS64,
        R_X86_64_PC32 => PC32,
        R_X86_64_PLT32 => PLT32,
        R_X86_64_GOTPCREL | R_X86_64_GOTPCRELX | R_X86_64_REX_GOTPCRELX => GOTPCREL,
        R_X86_64_32S => panic!("this is not position-independent"),
        other => panic!("{other:?}"),
    }
}

fn converted(
    entry: &object::Symbol<'_, '_>,
    starts: &[(object::SectionIndex, u32, u64)],
) -> Symbol {
    let name = entry.name().unwrap();
    let home = |index| starts.iter().find(|(known, ..)| *known == index);
    match entry.section() {
        SymbolSection::Section(index) if home(index).is_some() => {
            let (_, kind, start) = home(index).unwrap();
            let kind = if *kind == CODE { FUNCTION } else { DATUM };
            let binding = if entry.is_global() { GLOBAL } else { LOCAL };
            symbol(name, kind, binding, start + entry.address(), entry.size())
        }
        SymbolSection::Undefined => import(name, FUNCTION, GLOBAL),
        _ => symbol(name, TYPE, LOCAL, 0, 0),
    }
}

#[test]
fn compiled_code_runs_with_all_its_relocations() {
    let file = packed(&compile());
    let module = Module::load(&file.encode(), &|name: &str| {
        (name == "host").then_some(host as *const () as u64)
    })
    .unwrap();
    let all = |i| call(&module, "all", &[i], TypeName::Int32).unwrap();
    // 2 × (100 + 0) + 8 + 31; then the zeros hold a one, and everything else has grown by one.
    assert_eq!(all(2), Returned::Int32 { value: 239 });
    assert_eq!(all(2), Returned::Int32 { value: 2 * 101 + 9 + 32 });
    assert_eq!(all(3), Returned::Int32 { value: 2 * 1000 + 10 + 33 });
    let address = call(&module, "address_of_next", &[], TypeName::Int64).unwrap();
    let next = module.symbol("next").unwrap().cast_signed();
    assert_eq!(address, Returned::Int64 { value: next });
}
