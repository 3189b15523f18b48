//! The frozen table of snippets is what the assemblers make of their sources.
//!
//! `BLESS=1 cargo test -p harness-generate --test snippets` writes it anew. It needs `gcc` and binutils for both
//! architectures (Debian: `gcc`, `gcc-aarch64-linux-gnu`); everything else reads the table alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use rstest::rstest;
use serde_json::{Value, json};

/// Name, prefix of the tools, options of the disassembler.
const ARCHITECTURES: [(&str, &str, &[&str]); 2] =
    [("x86_64", "", &["-M", "intel"]), ("arm64", "aarch64-linux-gnu-", &[])];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/execute")
}

#[test]
fn the_table_is_what_the_assemblers_make_of_the_sources() {
    let path = folder().join("snippets.json");
    let made = table();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let frozen = std::fs::read_to_string(&path).unwrap();
    assert!(frozen == made, "{} is stale: BLESS=1 writes it anew", path.display());
}

#[rstest]
#[case("x86_64", "arm64")]
#[case("arm64", "x86_64")]
fn most_snippets_have_a_twin(#[case] one: &str, #[case] other: &str) {
    let names = |architecture: &str| {
        let table: Value =
            serde_json::from_str(&std::fs::read_to_string(folder().join("snippets.json")).unwrap())
                .unwrap();
        let snippets = table[architecture].as_object().unwrap().keys().cloned();
        snippets.collect::<BTreeSet<String>>()
    };
    let alone: Vec<String> = names(one).difference(&names(other)).cloned().collect();
    let own = |name: &&String| {
        let about = ["clobber_", "system_call_", "keep_", "misaligned", "privileged"];
        !about.iter().any(|prefix| name.starts_with(prefix))
    };
    assert_eq!(alone.iter().find(own), None);
}

/// One snippet a line, so that a change shows as the snippets that changed.
fn table() -> String {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let parts = ARCHITECTURES.map(|(architecture, prefix, options)| {
        let object = scratch.join(format!("{architecture}.o"));
        let source = folder().join(format!("{architecture}.s"));
        let gcc = format!("{prefix}gcc");
        run(Command::new(gcc).arg("-c").arg(source).arg("-o").arg(&object));
        let lines: Vec<String> = snippets(&object, &format!("{prefix}objdump"), options)
            .into_iter()
            .map(|(name, snippet)| format!("{}:{snippet}", json!(name)))
            .collect();
        format!("{}:{{\n{}\n}}", json!(architecture), lines.join(",\n"))
    });
    format!("{{{}}}\n", parts.join(","))
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).expect("tools speak ASCII")
}

fn snippets(path: &Path, objdump: &str, options: &[&str]) -> BTreeMap<String, Value> {
    let file = std::fs::read(path).expect("it was just written");
    let object = object::File::parse(&*file).expect("an object file");
    let text = |section: &object::Section<'_, '_>| {
        section.name().expect("sections have names").strip_prefix(".text.").map(str::to_owned)
    };
    let mut made = BTreeMap::new();
    let instructions = disassembled(path, objdump, options);
    for section in object.sections() {
        let Some(name) = text(&section) else { continue };
        assert_eq!(section.relocations().count(), 0, "{name} is not bytes alone");
        let bytes = section.data().expect("sections have bytes");
        let marks = marks(&object, &name);
        let end = marks.get("data").copied().unwrap_or(bytes.len() as u64);
        let mut disassembly: Vec<String> = instructions[&name]
            .iter()
            .filter(|(offset, _)| *offset < end)
            .map(|(offset, instruction)| format!("{offset:x}: {instruction}"))
            .collect();
        if end < bytes.len() as u64 {
            disassembly.push(format!("{end:x}: {} bytes of data", bytes.len() as u64 - end));
        }
        let mut snippet = json!({"bytes": hex(bytes), "disassembly": disassembly});
        if !marks.is_empty() {
            snippet["marks"] = json!(marks);
        }
        made.insert(name, snippet);
    }
    made
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Absolute symbols `name.mark`.
fn marks(object: &object::File<'_>, name: &str) -> BTreeMap<String, u64> {
    let of = |symbol: object::Symbol<'_, '_>| {
        let mark = symbol.name().ok()?.strip_prefix(name)?.strip_prefix('.')?.to_owned();
        (symbol.section() == object::SymbolSection::Absolute).then_some((mark, symbol.address()))
    };
    object.symbols().filter_map(of).collect()
}

/// The instructions of each section with their offsets, without what the disassembler guesses about addresses.
fn disassembled(
    path: &Path,
    objdump: &str,
    options: &[&str],
) -> BTreeMap<String, Vec<(u64, String)>> {
    let text =
        run(Command::new(objdump).args(["-d", "-z", "--no-show-raw-insn"]).args(options).arg(path));
    let mut sections: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        if let Some(section) = line.strip_prefix("Disassembly of section .text.") {
            section.trim_end_matches(':').clone_into(&mut name);
            sections.entry(name.clone()).or_default();
        } else if let Some((offset, instruction)) = line.split_once(":\t") {
            let offset = u64::from_str_radix(offset.trim(), 16).expect("an offset");
            // Comments, and names of symbols that happen to have that address.
            let code = instruction.split("//").next().unwrap_or_default();
            let code = code.split(" # ").next().unwrap_or_default();
            let code = code.split('<').next().unwrap_or_default();
            let words: Vec<&str> = code.split_whitespace().collect();
            sections.entry(name.clone()).or_default().push((offset, words.join(" ")));
        }
    }
    sections
}
