//! Signatures from the debug information of an object that was compiled with `-g`.
//!
//! A function is found by its address: the debug sections are relocated as if the packed sections lay at
//! their places in the blob, so that a function's address is its entry. Types are reduced to those of SCP;
//! one that has no counterpart is an error of the function that uses it, if that function is asked for.

mod sections;
mod structures;
mod types;

use std::collections::BTreeMap;

use gimli::{AttributeValue, EndianSlice, LittleEndian, UnitOffset};
use harness_protocol::TypeName;

use super::elf::Object;
use super::layout::Layout;
use super::{PackError, PackedType, Signature};
use structures::Structures;

type Reader<'data> = EndianSlice<'data, LittleEndian>;
type Dwarf<'data> = gimli::Dwarf<Reader<'data>>;
type Unit<'a, 'data> = gimli::UnitRef<'a, Reader<'data>>;
type Entry<'data> = gimli::DebuggingInformationEntry<Reader<'data>>;

/// Longest chain of references from one entry to another. Real ones have fewer than ten links; a damaged
/// file can hold a circle.
const MAX_CHAIN: usize = 64;

/// What the debug information says about the wanted functions.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    /// By entry in the blob.
    pub(super) functions: BTreeMap<u64, Signature>,
    /// The structures that they refer to.
    pub(super) types: Vec<PackedType>,
}

/// Why a type cannot be said in SCP.
#[derive(Debug, thiserror::Error)]
enum TypeFault {
    #[error("is {0} passed by value: pass its address")]
    ByValue(String),
    #[error("is of type {0}, which SCP 0.1 does not have")]
    NoCounterpart(String),
    #[error("takes a variable number of arguments, which SCP 0.1 cannot describe")]
    Variadic,
    #[error("points to {structure}, whose field `{field}` {reason}")]
    Field { structure: String, field: String, reason: String },
    #[error(
        "points to {0}, which has more than 255 fields when structures and arrays are spread out"
    )]
    TooManyFields(String),
    #[error("has a type in another unit of the debug information (compile without -flto)")]
    OtherUnit,
    #[error(transparent)]
    Whole(#[from] Box<PackError>),
}

impl From<gimli::Error> for TypeFault {
    fn from(error: gimli::Error) -> Self {
        Self::Whole(Box::new(error.into()))
    }
}

/// Reads the signatures of the functions that lie at the entries of `wanted`, given with their names.
/// What the debug information does not know is left out.
pub(super) fn signatures(
    object: &Object<'_>,
    layout: &Layout,
    wanted: &BTreeMap<u64, &str>,
) -> Result<Signatures, PackError> {
    if wanted.is_empty() {
        return Ok(Signatures::default());
    }
    let sections = gimli::DwarfSections::load(|id| sections::relocated(object, layout, id.name()))?;
    let dwarf: Dwarf<'_> = sections.borrow(|bytes| EndianSlice::new(bytes, LittleEndian));
    let mut functions = BTreeMap::new();
    let mut structures = Structures::default();
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        let unit = dwarf.unit(header)?;
        let unit = unit.unit_ref(&dwarf);
        structures.enter_unit();
        read_unit(unit, wanted, &mut structures, &mut functions)?;
    }
    Ok(Signatures { functions, types: structures.into_types() })
}

fn read_unit(
    unit: Unit<'_, '_>,
    wanted: &BTreeMap<u64, &str>,
    structures: &mut Structures,
    functions: &mut BTreeMap<u64, Signature>,
) -> Result<(), PackError> {
    let mut entries = unit.entries();
    while let Some(entry) = entries.next_dfs()? {
        if entry.tag() != gimli::DW_TAG_subprogram || entry.attr(gimli::DW_AT_declaration).is_some()
        {
            continue;
        }
        for start in starts(unit, entry)? {
            if let Some(name) = wanted.get(&start) {
                let signature = read_function(unit, entry, structures)
                    .map_err(|(place, fault)| complain(name, place, fault))?;
                functions.insert(start, signature);
            }
        }
    }
    Ok(())
}

/// Where the pieces of a function start: it is in several when the compiler has moved its cold part away.
/// (`die_ranges` of gimli 0.34 adds start and size unchecked, which a damaged file can make overflow.)
fn starts<'data>(unit: Unit<'_, 'data>, entry: &Entry<'data>) -> gimli::Result<Vec<u64>> {
    if let Some(low) = entry.attr_value(gimli::DW_AT_low_pc) {
        return Ok(unit.attr_address(low)?.into_iter().collect());
    }
    let Some(value) = entry.attr_value(gimli::DW_AT_ranges) else { return Ok(Vec::new()) };
    let Some(mut ranges) = unit.attr_ranges(value)? else { return Ok(Vec::new()) };
    let mut starts = Vec::new();
    while let Some(range) = ranges.next()? {
        starts.push(range.begin);
    }
    Ok(starts)
}

fn complain(function: &str, place: String, fault: TypeFault) -> PackError {
    match fault {
        TypeFault::Whole(error) => *error,
        fault => PackError::Type { function: function.into(), place, reason: fault.to_string() },
    }
}

/// A fault and the part of the signature that it is in.
type PlacedFault = (String, TypeFault);

fn read_function<'data>(
    unit: Unit<'_, 'data>,
    entry: &Entry<'data>,
    structures: &mut Structures,
) -> Result<Signature, PlacedFault> {
    let whole = |fault: TypeFault| ("it".to_owned(), fault);
    // An inlined function's own copy refers to the entry that has its types.
    let abstract_entry = match reference(entry, gimli::DW_AT_abstract_origin).map_err(whole)? {
        Some(offset) => Some(unit.entry(offset).map_err(|error| whole(error.into()))?),
        None => None,
    };
    let described = abstract_entry.as_ref().unwrap_or(entry);
    let returns = match type_of(unit, described).map_err(whole)? {
        Some(offset) => types::resolve(unit, offset, structures),
        None => Ok(TypeName::Void),
    };
    let returns = returns.map_err(|fault| ("the result".to_owned(), fault))?;
    let params = parameters(unit, described.offset(), structures)?;
    Ok(Signature { params, returns })
}

fn parameters(
    unit: Unit<'_, '_>,
    function: UnitOffset,
    structures: &mut Structures,
) -> Result<Vec<TypeName>, PlacedFault> {
    let whole = |fault: TypeFault| ("it".to_owned(), fault);
    let mut params = Vec::new();
    for child in children(unit, function).map_err(whole)? {
        if child.tag() == gimli::DW_TAG_unspecified_parameters {
            return Err(whole(TypeFault::Variadic));
        }
        if child.tag() != gimli::DW_TAG_formal_parameter {
            continue;
        }
        let place = |fault| (format!("parameter {}", params.len() + 1), fault);
        let Some(offset) = type_of(unit, &child).map_err(place)? else {
            return Err(place(TypeFault::NoCounterpart("none".into())));
        };
        let type_name = types::resolve(unit, offset, structures).map_err(place)?;
        params.push(type_name);
    }
    Ok(params)
}

/// The entries directly below the one at `parent`.
fn children<'data>(
    unit: Unit<'_, 'data>,
    parent: UnitOffset,
) -> Result<Vec<Entry<'data>>, TypeFault> {
    let mut tree = unit.entries_tree(Some(parent))?;
    let mut nodes = tree.root()?.children();
    let mut found = Vec::new();
    while let Some(node) = nodes.next()? {
        found.push(node.entry().clone());
    }
    Ok(found)
}

/// The entry's type, looked for in what it refers to as well; `None` is void.
fn type_of<'data>(
    unit: Unit<'_, 'data>,
    entry: &Entry<'data>,
) -> Result<Option<UnitOffset>, TypeFault> {
    let mut entry = entry.clone();
    for _ in 0..MAX_CHAIN {
        if let Some(offset) = reference(&entry, gimli::DW_AT_type)? {
            return Ok(Some(offset));
        }
        let origin = reference(&entry, gimli::DW_AT_abstract_origin)?;
        match origin
            .map_or_else(|| reference(&entry, gimli::DW_AT_specification), |o| Ok(Some(o)))?
        {
            Some(offset) => entry = unit.entry(offset)?,
            None => return Ok(None),
        }
    }
    Err(TypeFault::NoCounterpart("one that is defined by itself".into()))
}

/// The entry that an attribute refers to.
fn reference(entry: &Entry<'_>, attribute: gimli::DwAt) -> Result<Option<UnitOffset>, TypeFault> {
    match entry.attr_value(attribute) {
        None => Ok(None),
        Some(AttributeValue::UnitRef(offset)) => Ok(Some(offset)),
        Some(_) => Err(TypeFault::OtherUnit),
    }
}

/// The entry's own name.
fn name_of<'data>(
    unit: Unit<'_, 'data>,
    entry: &Entry<'data>,
) -> Result<Option<String>, TypeFault> {
    let Some(value) = entry.attr_value(gimli::DW_AT_name) else { return Ok(None) };
    Ok(Some(unit.attr_string(value)?.to_string_lossy().into_owned()))
}
