//! SCP-FUNC-*: the functions table is consistent.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use harness_protocol::TypeName;

use super::names::Names;
use super::{Findings, NameRules};
use crate::file::File;
use crate::functions::{FLAG_PURE, Function};
use crate::header::Architecture;
use crate::rule::Rule;
use crate::type_code;

const NAME: NameRules = NameRules { bounds: Rule::FuncNameBounds, start: Rule::FuncNameStart };

pub(super) fn check(file: &File<'_>, findings: &mut Findings) {
    let strings = file.strings();
    let context = Context::of(file);
    let mut names = Names::new(strings, file.functions().len());
    for function in file.functions() {
        NAME.check(&strings, function.name_offset, function.name_at(), findings);
        // Nothing after this can matter to the verdict, and hashing on could take the square of the file:
        // tails of one long string, or one long name again and again.
        if !findings.decided_before(Rule::FuncUnique) && !names.insert(function.name_offset) {
            findings.report(Rule::FuncUnique, function.name_at());
        }
        context.check(&function, findings);
    }
}

/// What the rules of a function refer to outside its entry.
struct Context {
    code_size: u64,
    /// What an entry is a multiple of; 1 when the architecture is not known.
    align: u64,
    describes_structures: bool,
}

impl Context {
    fn of(file: &File<'_>) -> Self {
        Self {
            code_size: file.header().code_blob_size,
            align: file.header().architecture().map_or(1, Architecture::code_align),
            describes_structures: file.types().len() > 0,
        }
    }

    #[inline]
    fn check(&self, function: &Function<'_>, findings: &mut Findings) {
        let entry = function.entry_offset;
        let mut require = |holds, rule, offset| findings.require(holds, rule, offset);
        require(entry < self.code_size, Rule::FuncEntryBounds, function.entry_at());
        require(entry.is_multiple_of(self.align), Rule::FuncEntryAlign, function.entry_at());
        require(function.flags & !FLAG_PURE == 0, Rule::FuncFlags, function.flags_at());
        if !function.params.iter().all(|code| type_code::is_plain(*code)) {
            self.check_params(function, findings);
        }
        if !type_code::is_plain(function.return_type) {
            self.check_return(function, findings);
        }
    }

    fn check_params(&self, function: &Function<'_>, findings: &mut Findings) {
        for (index, code) in function.params.iter().enumerate() {
            let at = function.param_at(index);
            match type_code::name(*code) {
                None => findings.report(Rule::FuncParamCode, at),
                Some(TypeName::Void) => findings.report(Rule::FuncParamVoid, at),
                Some(TypeName::StructRef) => {
                    findings.require(self.describes_structures, Rule::FuncParamStruct, at);
                }
                Some(_) => {}
            }
        }
    }

    fn check_return(&self, function: &Function<'_>, findings: &mut Findings) {
        let at = function.return_at();
        match type_code::name(function.return_type) {
            None => findings.report(Rule::FuncReturnCode, at),
            Some(TypeName::StructRef) => {
                findings.require(self.describes_structures, Rule::FuncReturnStruct, at);
            }
            Some(_) => {}
        }
    }
}
