//! Functions from a table of functions, as SCP has it: name, offset in the one image of code, types, flags.

use harness_protocol::TypeName;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as NameError, StrDeserializer};

use super::place::Placement;
use super::reading::{Entry, Reading};
use super::{Function, Interface, Module, ModuleError, Origin, Structure};
use crate::limits::MAX_BUFFER;
use crate::{Architecture, Convention, Program, Symbol};

/// The region with one record a structure.
const TYPES: &str = "types";
/// The region with one record a function.
const FUNCTIONS: &str = "functions";
/// Its field that says where a function starts.
const ENTRY: &str = "entry_offset";
/// The field of functions and of the header with the bits that are set.
const FLAGS: &str = "flags";

pub(super) fn load(
    reading: &Reading<'_>,
    architecture: Architecture,
    placement: &Placement,
) -> Result<Module, ModuleError> {
    let interface = interface(reading, architecture, &placement.bases)?;
    let mut origins = placement.origins(reading);
    origins.extend(entries(reading, &interface.functions, placement));
    let symbols = interface.functions.iter();
    let symbols =
        symbols.map(|function| Symbol { name: function.name.clone(), address: function.address });
    let symbols = symbols.collect();
    let segments = placement.segments(reading.file)?;
    Ok(Module {
        program: Program { architecture, segments, symbols },
        functions: interface.functions,
        origins,
        thread_safe: interface.thread_safe,
    })
}

pub(super) fn interface(
    reading: &Reading<'_>,
    architecture: Architecture,
    bases: &[u64],
) -> Result<Interface, ModuleError> {
    let code = reading.format.images.iter().position(|image| image.permissions == "rx");
    let base = code.and_then(|code| bases.get(code));
    let (Some((_, records)), Some(base)) = (reading.table(FUNCTIONS), base) else {
        let id = &reading.format.id;
        return Err(ModuleError::Unsupported(format!("{id} has no functions that can be called")));
    };
    let convention = convention(reading, architecture);
    let function = |record: &Entry<'_>| {
        let address = base.wrapping_add(record.number(ENTRY)?);
        let params = record.codes("params")?;
        let params = params.into_iter().map(type_name).collect::<Option<Vec<_>>>()?;
        Some(Function {
            name: reading.text(*record, "name_offset")?,
            address,
            size: None,
            exported: true,
            signature: Some((params, type_name(record.code("return_type")?)?)),
            convention,
            pure: record.flag(FLAGS, "pure"),
        })
    };
    let functions = records.iter().map(function).collect::<Option<Vec<_>>>();
    Ok(Interface {
        architecture,
        functions: functions.ok_or_else(|| {
            ModuleError::Unsupported("a function has a type that cannot be passed".to_owned())
        })?,
        imports: Vec::new(),
        thread_safe: reading.header().is_some_and(|header| header.flag(FLAGS, "thread_safe")),
        structures: structures(reading),
    })
}

/// What the table of types says; a structure with a field that cannot be written is left out.
fn structures(reading: &Reading<'_>) -> Vec<Structure> {
    let records = reading.table(TYPES).map(|(_, records)| records).unwrap_or_default();
    let field = |entry: Entry<'_>| {
        let offset = usize::try_from(entry.number("offset")?).ok()?;
        Some((offset, type_name(entry.code("type_code")?)?))
    };
    let structure = |record: &Entry<'_>| {
        Some(Structure {
            name: reading.text(*record, "name_offset")?,
            size: usize::try_from(record.number("size")?)
                .ok()
                .filter(|size| *size <= MAX_BUFFER)?,
            fields: record.entries("fields")?.into_iter().map(field).collect::<Option<_>>()?,
        })
    };
    records.iter().filter_map(structure).collect()
}

/// `stdcall` means something on 32-bit x86 only; elsewhere every name is the platform's C convention.
fn convention(reading: &Reading<'_>, architecture: Architecture) -> Convention {
    let name = reading.header().and_then(|header| header.code("calling_convention"));
    match (architecture, name) {
        (Architecture::X86_32, Some("stdcall")) => Convention::Stdcall,
        _ => Convention::c(architecture),
    }
}

fn type_name(name: &str) -> Option<TypeName> {
    let name: StrDeserializer<'_, NameError> = name.into_deserializer();
    TypeName::deserialize(name).ok()
}

/// The field that says where each function starts; a function reaches to the next or to the end of its image.
fn entries(reading: &Reading<'_>, functions: &[Function], placement: &Placement) -> Vec<Origin> {
    let Some((region, records)) = reading.table(FUNCTIONS) else { return Vec::new() };
    let ends = placement.images.iter().zip(&placement.bases);
    let mut borders: Vec<u64> = ends.map(|(image, base)| base.wrapping_add(image.size)).collect();
    borders.extend(functions.iter().map(|function| function.address));
    borders.sort_unstable();
    let origin = |(index, (function, record)): (usize, (&Function, &Entry<'_>))| {
        let (position, _, node) = record.field(ENTRY)?;
        let end = borders.get(borders.partition_point(|at| *at <= function.address))?;
        Some(Origin {
            address: function.address,
            size: end - function.address,
            field: reading.path(region, vec![index, position]),
            offset: node.span.offset(),
            what: format!("function {}", function.name),
            symbol: None,
        })
    };
    functions.iter().zip(&records).enumerate().filter_map(origin).collect()
}
