//! Files with one function to call, of formats whose files say signatures as SCP's do.
//!
//! Such a format is known by the names of its regions and fields; for one that has other names there are no such
//! files.

use blobspec::Format;
use blobspec::format::{Content, Element, Field, FieldType, Meaning, Record};
use harness_codec::{Item, Site, Verdict, decode, encode, satisfy};
use harness_protocol::{Argument, TypeName};

use super::memory::{FIELDS, STRUCTURE};
use super::{CODE, Case};
use crate::base::{Builder, Shape};

/// Where functions, structures and code stand in a format.
#[derive(Clone, Copy)]
pub(crate) struct Signatures<'f> {
    format: &'f Format,
    functions: usize,
    types: usize,
    code: usize,
}

impl<'f> Signatures<'f> {
    /// `None` for a format that says no signatures, or in other words.
    pub(crate) fn of(format: &'f Format) -> Option<Self> {
        let region = |name| format.regions.iter().position(|region| region.name == name);
        let (functions, types, code) = (region("functions")?, region("types")?, region(CODE)?);
        let found = Self { format, functions, types, code };
        let fields = ["name_offset", "entry_offset", "params", "return_type", "flags"];
        let has = |name| found.position(functions, name).is_some();
        let is_code = matches!(format.regions[code].content, Content::Bytes(_));
        (is_code && fields.into_iter().all(has)).then_some(found)
    }

    /// The file whose first function is `elsewhere`, at the start of the code, and whose second is the tested one.
    pub(crate) fn file(
        &self,
        case: &Case,
        codes: &[(Site, u64)],
        code: &[u8],
        entry: u64,
    ) -> Option<Vec<u8>> {
        let shape = Shape { codes: codes.to_vec(), ..Shape::default() };
        let builder = Builder { format: self.format, shape: &shape };
        let mut draft = builder.draft();
        for (site, code) in codes {
            *draft.get_mut(site)? = Item::Number(*code);
        }
        let elsewhere = Function {
            name: "elsewhere",
            params: Vec::new(),
            returns: TypeName::Void,
            entry: 0,
            pure: false,
        };
        let params = case.args.iter().map(Argument::type_name).collect();
        let tested =
            Function { name: case.snippet, params, returns: case.returns, entry, pure: case.pure };
        let has_structure =
            tested.params.contains(&TypeName::StructRef) || tested.returns == TypeName::StructRef;
        let functions = [elsewhere, tested]
            .iter()
            .map(|f| self.function(&builder, f))
            .collect::<Option<_>>()?;
        draft.regions[self.functions].item = Item::List(functions);
        if has_structure {
            draft.regions[self.types].item = Item::List(vec![self.structure(&builder)?]);
        }
        draft.regions[self.code].item = Item::Bytes(code.to_vec());
        for rule in self.format.rules.iter().filter(|rule| rule.active) {
            satisfy(self.format, rule, &mut draft);
        }
        let file = encode(self.format, &draft).ok()?.bytes;
        (decode(self.format, &file).verdict == Verdict::Valid).then_some(file)
    }

    fn function(&self, builder: &Builder<'_>, function: &Function<'_>) -> Option<Item> {
        let code = |name| self.type_code(name);
        let params: Option<Vec<Item>> = function.params.iter().map(|name| code(*name)).collect();
        let flags = if function.pure { self.flag("flags", "pure")? } else { 0 };
        self.record(
            builder,
            self.functions,
            &[
                ("name_offset", Item::Name(function.name.to_owned())),
                ("entry_offset", Item::Number(function.entry)),
                ("params", Item::List(params?)),
                ("return_type", code(function.returns)?),
                ("flags", Item::Number(flags)),
            ],
        )
    }

    /// The structure that snippets know.
    fn structure(&self, builder: &Builder<'_>) -> Option<Item> {
        let field = |(offset, name): (u64, &str)| {
            Some(Item::Record(vec![Item::Number(offset), self.code_named(name)?]))
        };
        let fields: Option<Vec<Item>> = FIELDS.into_iter().map(field).collect();
        self.record(
            builder,
            self.types,
            &[
                ("id", Item::Number(1)),
                ("name_offset", Item::Name("Record".to_owned())),
                ("size", Item::Number(STRUCTURE)),
                ("fields", Item::List(fields?)),
            ],
        )
    }

    /// A record of `region` with these fields; whatever else it has follows from the spec.
    fn record(
        &self,
        builder: &Builder<'_>,
        region: usize,
        fields: &[(&str, Item)],
    ) -> Option<Item> {
        let spec = &self.format.regions[region];
        let mut item = builder.record(spec.record()?, spec, 0);
        for (name, value) in fields {
            let position = self.position(region, name)?;
            *item.children_mut()?.get_mut(position)? = value.clone();
        }
        Some(item)
    }

    fn fields_of(&self, region: usize) -> Option<&'f Record> {
        self.format.records.get(self.format.regions[region].record()?)
    }

    fn position(&self, region: usize, name: &str) -> Option<usize> {
        self.fields_of(region)?.fields.iter().position(|field| field.name == name)
    }

    fn field(&self, name: &str) -> Option<&'f Field> {
        self.fields_of(self.functions)?.fields.get(self.position(self.functions, name)?)
    }

    fn type_code(&self, name: TypeName) -> Option<Item> {
        self.code_named(&name.to_string())
    }

    /// The code that the format has for the type of this name.
    fn code_named(&self, name: &str) -> Option<Item> {
        let FieldType::Array { element: Element::Scalar(scalar), .. } =
            self.field("params")?.field_type
        else {
            return None;
        };
        let Meaning::Enum(index) = scalar.meaning else { return None };
        let value = self.format.enums[index].values.iter().find(|value| value.name == name)?;
        Some(Item::Number(value.code))
    }

    fn flag(&self, field: &str, name: &str) -> Option<u64> {
        let Meaning::Flags(index) = self.field(field)?.field_type.scalar()?.meaning else {
            return None;
        };
        let (_, bit) = self.format.flags[index].bits.iter().find(|(bit, _)| bit == name)?;
        1_u64.checked_shl(*bit)
    }
}

struct Function<'a> {
    name: &'a str,
    params: Vec<TypeName>,
    returns: TypeName,
    entry: u64,
    pure: bool,
}
