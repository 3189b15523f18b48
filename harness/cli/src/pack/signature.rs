//! The types of every exported function: from the types file where it names the function, else from DWARF.

use std::collections::{BTreeMap, BTreeSet};

use harness_protocol::TypeName;
use serde::Deserialize;

use super::elf::{Export, Object};
use super::layout::Layout;
use super::{PackError, PackedFunction, PackedType, TypesFile, dwarf};

/// What a function takes and gives.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Types of the parameters.
    #[serde(default)]
    pub params: Vec<TypeName>,
    /// Type of the result.
    pub returns: TypeName,
}

/// Functions with their types, and the structures these refer to.
pub(super) struct Typed {
    pub(super) functions: Vec<PackedFunction>,
    pub(super) types: Vec<PackedType>,
}

/// Gives every export its types.
pub(super) fn assign(
    object: &Object<'_>,
    layout: &Layout,
    exports: Vec<Export>,
    file: Option<&TypesFile>,
) -> Result<Typed, PackError> {
    let nothing = TypesFile::default();
    let file = file.unwrap_or(&nothing);
    refuse_unknown_names(&exports, file)?;
    let wanted: BTreeMap<u64, &str> = exports
        .iter()
        .filter(|export| !file.functions.contains_key(&export.name))
        .map(|export| (export.entry, export.name.as_str()))
        .collect();
    let debug = dwarf::signatures(object, layout, &wanted)?;
    let types = merge(file.structures(object.architecture)?, debug.types);
    let mut functions = Vec::new();
    for Export { entry, name } in exports {
        let known = file.functions.get(&name).or_else(|| debug.functions.get(&entry));
        let signature = known.ok_or_else(|| PackError::NoTypes(name.clone()))?;
        check(&name, signature, &types)?;
        let Signature { params, returns } = signature.clone();
        functions.push(PackedFunction { name, entry, params, returns });
    }
    Ok(Typed { functions, types })
}

/// A name that fits nothing is a mistyped one.
fn refuse_unknown_names(exports: &[Export], file: &TypesFile) -> Result<(), PackError> {
    let names: BTreeSet<&str> = exports.iter().map(|export| export.name.as_str()).collect();
    match file.functions.keys().find(|name| !names.contains(name.as_str())) {
        Some(name) => Err(PackError::UnknownFunction(name.clone())),
        None => Ok(()),
    }
}

/// The structures of both sources by name; those of the file replace those of DWARF.
fn merge(file: Vec<PackedType>, debug: Vec<PackedType>) -> Vec<PackedType> {
    let by_name: BTreeMap<String, PackedType> = debug
        .into_iter()
        .chain(file)
        .map(|structure| (structure.name.clone(), structure))
        .collect();
    by_name.into_values().collect()
}

/// What SCP demands of a signature, wherever it comes from.
fn check(name: &str, signature: &Signature, types: &[PackedType]) -> Result<(), PackError> {
    let place = || format!("function `{name}`");
    if signature.params.len() > usize::from(u8::MAX) {
        return Err(PackError::TooMany { place: place(), count: signature.params.len() });
    }
    if let Some(number) = signature.params.iter().position(|param| *param == TypeName::Void) {
        let place = format!("{}, parameter {}", place(), number + 1);
        return Err(PackError::Void { place, type_name: TypeName::Void });
    }
    let mut used = signature.params.iter().chain([&signature.returns]);
    if types.is_empty() && used.any(|type_name| *type_name == TypeName::StructRef) {
        return Err(PackError::NoStructures(name.into()));
    }
    Ok(())
}
