//! From the parts of a module to a file: the draft that a packed object becomes.

mod smf;

use blobspec::Format;
use blobspec::format::{Content, Region};
use harness_codec::{Draft, Encoded, Item, RegionDraft, Verdict, decode, encode};
use harness_protocol::TypeName;

use crate::failure::Failure;
use crate::pack::{Packed, PackedFunction, PackedType};

pub(crate) use smf::{SmfHeader, smf};

/// What the header says beside what follows from the object.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModuleHeader {
    /// Names of the header flags to set.
    pub(crate) flags: Vec<String>,
    /// Functions that are marked pure.
    pub(crate) pure: Vec<String>,
    /// Names and minimum versions (major, minor) of other modules.
    pub(crate) dependencies: Vec<(String, u16, u16)>,
}

/// Writes `packed` as a file of `format`, and proves that the file is valid.
pub(crate) fn scp(
    format: &Format,
    packed: &Packed,
    header: &ModuleHeader,
) -> Result<Vec<u8>, Failure> {
    write(format, &Builder { format }.draft(packed, header)?)
}

/// Encodes a draft, and proves that the file is valid.
fn write(format: &Format, draft: &Draft) -> Result<Vec<u8>, Failure> {
    let Encoded { bytes, .. } =
        encode(format, draft).map_err(|error| Failure::usage(error.to_string()))?;
    match decode(format, &bytes).verdict {
        Verdict::Valid => Ok(bytes),
        Verdict::Rejected { rule, detail, .. } => {
            Err(Failure::usage(format!("this does not make a valid module: {rule}: {detail}")))
        }
    }
}

/// A region where it falls, with a count that follows from it.
fn region_draft(region: &Region, item: Item) -> RegionDraft {
    let count = region.count().map(|_| Item::Derived);
    RegionDraft { at: None, places: Vec::new(), count, item }
}

struct Builder<'a> {
    format: &'a Format,
}

impl Builder<'_> {
    fn draft(&self, packed: &Packed, header: &ModuleHeader) -> Result<Draft, Failure> {
        if let Some(name) =
            header.pure.iter().find(|name| !packed.functions.iter().any(|f| f.name == **name))
        {
            return Err(Failure::usage(format!("--pure {name}: the object has no such function")));
        }
        let list = |items: Result<Vec<Item>, Failure>| items.map(Item::List);
        let mut regions = Vec::new();
        for region in &self.format.regions {
            let item = match region.name.as_str() {
                "header" => self.header(packed, header)?,
                "functions" => {
                    list(packed.functions.iter().map(|f| self.function(f, header)).collect())?
                }
                "types" => list(
                    packed.types.iter().zip(1..).map(|(t, id)| self.structure(t, id)).collect(),
                )?,
                "dependencies" => {
                    list(header.dependencies.iter().map(|d| self.dependency(d)).collect())?
                }
                "code" => Item::Bytes(packed.blob.clone()),
                _ if matches!(region.content, Content::Bytes(_)) => Item::Bytes(Vec::new()),
                _ => Item::List(Vec::new()),
            };
            regions.push(region_draft(region, item));
        }
        Ok(Draft { regions, gaps: Vec::new(), cut: None, trailing: Vec::new(), truncate: None })
    }

    fn header(&self, packed: &Packed, header: &ModuleHeader) -> Result<Item, Failure> {
        let magic = self.constant("header", "magic")?;
        let flags = header
            .flags
            .iter()
            .try_fold(0, |flags, name| Ok::<_, Failure>(flags | self.flag("HeaderFlags", name)?))?;
        self.record(
            "Header",
            &[
                ("magic", magic),
                ("version_major", Item::Number(0)),
                ("version_minor", Item::Number(1)),
                ("architecture", self.code("Architecture", packed.architecture.name())?),
                ("calling_convention", self.code("CallingConvention", "system")?),
                ("flags", Item::Number(flags)),
                ("reserved", Item::Bytes(vec![0; 4])),
            ],
        )
    }

    fn function(&self, function: &PackedFunction, header: &ModuleHeader) -> Result<Item, Failure> {
        let params =
            function.params.iter().map(|param| self.type_code(*param)).collect::<Result<_, _>>()?;
        let pure = if header.pure.contains(&function.name) {
            self.flag("FunctionFlags", "pure")?
        } else {
            0
        };
        self.record(
            "Function",
            &[
                ("name_offset", Item::Name(function.name.clone())),
                ("entry_offset", Item::Number(function.entry)),
                ("params", Item::List(params)),
                ("return_type", self.type_code(function.returns)?),
                ("flags", Item::Number(pure)),
            ],
        )
    }

    fn structure(&self, structure: &PackedType, id: u64) -> Result<Item, Failure> {
        let field = |(offset, type_name): &(u32, TypeName)| {
            let type_code = self.type_code(*type_name)?;
            self.record(
                "TypeField",
                &[("offset", Item::Number(u64::from(*offset))), ("type_code", type_code)],
            )
        };
        self.record(
            "Type",
            &[
                ("id", Item::Number(id)),
                ("name_offset", Item::Name(structure.name.clone())),
                ("size", Item::Number(u64::from(structure.size))),
                (
                    "fields",
                    Item::List(structure.fields.iter().map(field).collect::<Result<_, _>>()?),
                ),
            ],
        )
    }

    fn dependency(&self, (name, major, minor): &(String, u16, u16)) -> Result<Item, Failure> {
        let version = u64::from(*major) << 16 | u64::from(*minor);
        let fields = [
            ("name_offset", Item::Name(name.clone())),
            ("required_version", Item::Number(version)),
        ];
        self.record("Dependency", &fields)
    }

    /// A record from named values; what is not named is derived.
    fn record(&self, name: &str, values: &[(&str, Item)]) -> Result<Item, Failure> {
        let record = self.format.records.iter().find(|record| record.name == name);
        let record = record.ok_or_else(|| missing("record", name))?;
        let value = |field: &blobspec::format::Field| {
            values
                .iter()
                .find(|(name, _)| *name == field.name)
                .map_or(Item::Derived, |(_, item)| item.clone())
        };
        Ok(Item::Record(record.fields.iter().map(value).collect()))
    }

    fn code(&self, name: &str, value: &str) -> Result<Item, Failure> {
        let found = self.format.enums.iter().find(|e| e.name == name);
        let found = found.and_then(|e| e.values.iter().find(|known| known.name == value));
        found.map(|found| Item::Number(found.code)).ok_or_else(|| missing("enum value", value))
    }

    fn type_code(&self, type_name: TypeName) -> Result<Item, Failure> {
        self.code("TypeCode", type_name.name())
    }

    fn flag(&self, set: &str, name: &str) -> Result<u64, Failure> {
        let found = self.format.flags.iter().find(|known| known.name == set);
        let bits = found.map(|set| set.bits.as_slice()).unwrap_or_default();
        let bit = bits.iter().find(|(known, _)| known.replace('_', "-") == name.replace('_', "-"));
        bit.map(|(_, bit)| 1 << bit).ok_or_else(|| {
            let known: Vec<String> = bits.iter().map(|(name, _)| name.replace('_', "-")).collect();
            Failure::usage_with(
                format!("there is no flag `{name}`"),
                format!("known: {}", known.join(", ")),
            )
        })
    }

    /// The value that the rules give to a constant field of the header, under the readings in force.
    fn constant(&self, region: &str, field: &str) -> Result<Item, Failure> {
        let path = format!("{region}.{field}");
        self.format
            .rules
            .iter()
            .find_map(|rule| match &rule.check {
                blobspec::format::Check::Const { target, value }
                    if self.format.path_of(target) == path =>
                {
                    match value {
                        blobspec::format::Constant::Bytes(bytes) => {
                            Some(Item::Bytes(bytes.clone()))
                        }
                        blobspec::format::Constant::Number(number) => Some(Item::Number(*number)),
                    }
                }
                _ => None,
            })
            .ok_or_else(|| missing("constant", &path))
    }
}

fn missing(what: &str, name: &str) -> Failure {
    Failure::bug(format!("the built-in spec has no {what} `{name}`"))
}
