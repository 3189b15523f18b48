//! Modules of formats that link: the code of a case with what its relocations lead to.

use harness_protocol::Expect;
use harness_protocol::linked::Sum;

use super::linked::{CONSTANT, VARIABLE, symbols};
use super::snippets::Code;
use super::{CODE, Case, DATA};
use crate::scene::{Binding, Kind, Relocation, Scene, Section, Stage, Symbol, section};

/// Bytes of each section of data; the variables lie in the middle.
const SECTION: usize = 16;

/// Where a symbol must lie for the case to mean what it says: image and offset.
fn place(case: &Case, code: &Code, name: &str) -> Option<(&'static str, u64)> {
    let functions = code_with_functions(case, code)?.1;
    let of_code = functions.into_iter().find(|(known, _)| *known == name).map(|(_, at)| (CODE, at));
    let of_data = || symbols::DATA.iter().find(|(known, ..)| *known == name);
    of_code.or_else(|| of_data().map(|(_, at, _)| (DATA, *at)))
}

/// Names of functions and their offsets in the code.
type Functions = Vec<(&'static str, u64)>;

/// The code and, if the case has relocations, the functions that they lead to.
fn code_with_functions(case: &Case, code: &Code) -> Option<(Vec<u8>, Functions)> {
    let mut whole = code.clone();
    let mut functions = Vec::new();
    for name in symbols::FUNCTIONS.into_iter().filter(|_| !case.links.is_empty()) {
        functions.push((name, whole.append(name)?));
    }
    Some((whole.bytes, functions))
}

/// The module of a case. `None` where the format lacks a relocation that it uses.
pub(crate) fn scene(stage: &Stage<'_>, case: &Case, code: &Code) -> Option<Scene> {
    let (bytes, functions) = code_with_functions(case, code)?;
    let mut made = vec![
        symbol(stage, "elsewhere", Binding::Exported, 0),
        symbol(stage, case.snippet, Binding::Exported, code.entry),
    ];
    let mut sections = vec![section(Kind::Image(stage.code(), 0), bytes)];
    if !case.links.is_empty() {
        made.extend(
            functions.into_iter().map(|(name, at)| symbol(stage, name, Binding::Local, at)),
        );
        sections.extend(data(stage)?);
        made.extend(variables(stage)?);
        made.push(symbol(stage, symbols::HOST, Binding::Imported, 0));
        made.push(symbol(stage, symbols::NOBODY, Binding::WeaklyImported, 0));
        let relocations = relocations(stage, case, code, &made)?;
        sections.push(Section { relocations, ..section(Kind::Relocations, Vec::new()) });
    }
    Some(Scene { sections, symbols: made })
}

fn symbol(stage: &Stage<'_>, name: &str, binding: Binding, value: u64) -> Symbol {
    Symbol { name: name.to_owned(), image: Some(stage.code()), which: 0, binding, value }
}

/// Writable data, zeros and constants, in this order whatever the order of their codes.
fn data(stage: &Stage<'_>) -> Option<Vec<Section>> {
    let image = stage.data()?;
    let holding = |value: i32| {
        let mut bytes = vec![0x5a; SECTION];
        bytes.splice(4..8, value.to_le_bytes());
        bytes
    };
    let codes = stage.codes(image);
    let zeros = codes.iter().position(|code| !stage.has_bytes(*code))?;
    let mut full = (0..codes.len()).filter(|which| *which != zeros);
    let of = |which, bytes| section(Kind::Image(image, which), bytes);
    let writable = of(full.next()?, holding(VARIABLE));
    let zeros = Section { virtual_size: Some(SECTION as u64), ..of(zeros, Vec::new()) };
    Some(vec![writable, zeros, of(full.next()?, holding(CONSTANT))])
}

fn variables(stage: &Stage<'_>) -> Option<Vec<Symbol>> {
    let image = Some(stage.data()?);
    let variable = |(name, at, constant): (&str, u64, bool)| Symbol {
        image,
        which: usize::from(constant),
        ..symbol(stage, name, Binding::Exported, at)
    };
    Some(symbols::DATA.map(variable).into())
}

fn relocations(
    stage: &Stage<'_>,
    case: &Case,
    code: &Code,
    known: &[Symbol],
) -> Option<Vec<Relocation>> {
    let relocation = |link: &super::Link| {
        let kind = stage.format.relocations.iter().position(|kind| kind.name == link.relocation)?;
        let symbol = known.iter().position(|symbol| symbol.name == link.symbol)? as u64;
        let place = code.entry + code.snippet.marks.get(link.place)?;
        Some(Relocation { kind, place, symbol, addend: link.addend })
    };
    case.links.iter().map(relocation).collect()
}

/// Whether the relocations of the loaded module lead to what the case means: another reading of the format may say
/// that the same symbols lie elsewhere.
pub(crate) fn leads_where_it_says(case: &Case, code: &Code, loaded: &Expect) -> bool {
    let patches =
        loaded.images.iter().filter(|image| image.name == CODE).flat_map(|image| &image.patches);
    let mut patches: Vec<_> = patches.collect();
    patches.sort_by_key(|patch| patch.at);
    let meant = |link: &super::Link| match place(case, code, link.symbol) {
        Some((image, offset)) => Sum::in_image(image, offset),
        None => Sum::number(case.imports.get(link.symbol).copied().unwrap_or(0)),
    };
    patches.len() == case.links.len()
        && patches.iter().zip(&case.links).all(|(patch, link)| patch.symbol == meant(link))
}
