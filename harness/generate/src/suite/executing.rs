//! Vectors whose code is called.

use blobspec::Format;
use harness_codec::{Site, Verdict, decode, encode};
use harness_protocol::{Call, Expect, Needs, Stage, Vector, Want};

use super::modules::BASES;
use super::{Maker, needs};
use crate::base::{Shape, profiles};
use crate::execute::signatures::Signatures;
use crate::execute::snippets::Code;
use crate::execute::{Case, cases, scenes};
use crate::linking;
use crate::scene;

impl Maker<'_> {
    /// Every case on every architecture that has its code, with the module at two bases far apart.
    pub(super) fn executing(&mut self) {
        let signatures = Signatures::of(self.format);
        let stage = scene::Stage::of(self.format);
        for (architecture, codes) in profiles(self.format) {
            for case in cases() {
                if case.alone.is_some_and(|(only, _)| only != architecture) {
                    continue;
                }
                let Some(code) = Code::of(&architecture, case.snippet) else { continue };
                let file = match (&signatures, &stage) {
                    // Files of formats that link do not say that a function has no effects.
                    (_, Some(_)) if case.pure => None,
                    (_, Some(stage)) => self.linked_file(stage, &case, &codes, &code),
                    (Some(signatures), None) if case.links.is_empty() => {
                        signatures.file(&case, &codes, &code.bytes, code.entry)
                    }
                    _ => None,
                };
                let Some(file) = file else { continue };
                self.execute(&architecture, &case, &code, &file);
            }
        }
    }

    fn execute(&mut self, architecture: &str, case: &Case, code: &Code, file: &[u8]) {
        let Some(expect) = self.executed(case, code, file) else { return };
        let decoded = decode(self.format, file);
        let needs =
            Needs { containment: case.containment, ..needs(self.format, &decoded, &expect) };
        for (place, base_address) in BASES {
            let id = self.id(&["execute", &case.name, architecture, place]);
            let group = case.name.split('/').next().unwrap_or_default();
            self.ids.insert(id.clone(), id.clone());
            self.groups.push(format!("execute-{group}"));
            self.vectors.push(Vector {
                id,
                base: architecture.to_owned(),
                edit: edit(case),
                want: Want::Call,
                bytes: file.to_vec().into(),
                call: Some(Call {
                    function: case.snippet.to_owned(),
                    args: case.args.clone(),
                    returns: case.returns,
                }),
                imports: case.imports.clone(),
                base_address: Some(base_address),
                expect: expect.clone(),
                needs: needs.clone(),
                disassembly: code.snippet.disassembly.clone(),
                why: case.why.to_owned(),
                ..Vector::default()
            });
        }
    }

    /// What is right for this file; `None` when it would not be loaded as the case means it.
    fn executed(&self, case: &Case, code: &Code, file: &[u8]) -> Option<Expect> {
        let decoded = decode(self.format, file);
        let loaded = linking::expectation(self.format, file, &decoded, &case.imports)?;
        if !loaded.accepts() {
            return None;
        }
        let mut expect = case.expect_at(code.entry);
        let refusals = loaded.stages.iter().filter(|stage| !stage.accepts());
        expect.stages.extend(refusals);
        if !scenes::leads_where_it_says(case, code, &loaded) {
            return None;
        }
        Some(expect)
    }

    fn linked_file(
        &self,
        stage: &scene::Stage<'_>,
        case: &Case,
        codes: &[(Site, u64)],
        code: &Code,
    ) -> Option<Vec<u8>> {
        let scene = scenes::scene(stage, case, code)?;
        let shape = Shape { elements: 3, codes: codes.to_vec(), code: true, ..Shape::default() };
        let file = encode(self.format, &stage.draft(&scene, &shape)).ok()?.bytes;
        (decode(self.format, &file).verdict == Verdict::Valid).then_some(file)
    }
}

fn edit(case: &Case) -> String {
    let words = case.name.replace(['/', '-'], " ");
    match case.alone {
        Some((_, why)) => format!("{words} (no twin: {why})"),
        None => words,
    }
}

/// What another reading makes of a call: a rejection, or a module that differs so that nothing is said of the call.
/// `None` where nothing changes.
pub(super) fn under_reading(default: &Format, other: &Format, vector: &Vector) -> Option<Expect> {
    let under = |format: &Format| {
        let decoded = decode(format, &vector.bytes.0);
        linking::expectation(format, &vector.bytes.0, &decoded, &vector.imports)
    };
    let (ours, theirs) = (under(default)?, under(other)?);
    if !theirs.accepts() {
        return Some(theirs);
    }
    let anything = [Stage::Returned, Stage::Trap, Stage::Exhausted];
    let stages = anything.into_iter().chain(theirs.stages.iter().copied().filter(|s| !s.accepts()));
    (ours.images != theirs.images).then(|| Expect { stages: stages.collect(), ..Expect::default() })
}
