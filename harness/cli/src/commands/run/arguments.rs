//! Arguments as people write them, with the types that the module declares or the writer says.

use harness_protocol::{Argument, TypeName, oneshot};
use harness_sandbox::module::{Function, Structure};
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as NameError, StrDeserializer};

use crate::failure::Failure;

/// What C functions return where nothing else is said.
const RETURNS: TypeName = TypeName::Int32;

/// The arguments for `function`, and the type of its result. `NAME{VALUE,…}` is a structure of that name.
pub(crate) fn arguments(
    function: &Function,
    structures: &[Structure],
    texts: &[String],
    returns: Option<TypeName>,
) -> Result<(Vec<Argument>, TypeName), Failure> {
    match &function.signature {
        Some((params, returns)) => Ok((declared(function, structures, params, texts)?, *returns)),
        None => {
            let args = texts.iter().map(|text| typed(text)).collect::<Result<_, _>>()?;
            Ok((args, returns.unwrap_or(RETURNS)))
        }
    }
}

fn declared(
    function: &Function,
    structures: &[Structure],
    params: &[TypeName],
    texts: &[String],
) -> Result<Vec<Argument>, Failure> {
    let signature = || super::list::signature(function);
    if params.len() != texts.len() {
        let (name, takes, given) = (&function.name, params.len(), texts.len());
        let message = format!("{name} takes {takes} arguments, {given} are given");
        return Err(Failure::usage_with(message, signature()));
    }
    let parse = |(type_name, text): (&TypeName, &String)| {
        if let (TypeName::StructRef | TypeName::Pointer, Some((name, values))) =
            (type_name, braced(text))
        {
            let bytes = Some(structure(structures, name, values)?.into());
            return Ok(match type_name {
                TypeName::StructRef => Argument::StructRef { bytes },
                _ => Argument::Pointer { bytes },
            });
        }
        oneshot::parse(*type_name, text)
            .map_err(|error| Failure::usage_with(error.to_string(), signature()))
    };
    params.iter().zip(texts).map(parse).collect()
}

/// Name and values of `NAME{VALUE,…}`.
fn braced(text: &str) -> Option<(&str, &str)> {
    text.strip_suffix('}')?.split_once('{')
}

/// The bytes of a structure with these values.
fn structure(structures: &[Structure], name: &str, values: &str) -> Result<Vec<u8>, Failure> {
    let Some(structure) = structures.iter().find(|known| known.name == name) else {
        let known: Vec<&str> = structures.iter().map(|known| known.name.as_str()).collect();
        let known = if known.is_empty() { "no structures".to_owned() } else { known.join(", ") };
        return Err(Failure::usage_with(
            format!("the module has no structure `{name}`"),
            format!("it has {known}"),
        ));
    };
    let texts = values.split(',').map(str::trim).filter(|text| !text.is_empty());
    let types = structure.fields.iter().map(|(_, type_name)| *type_name);
    let mut arguments = Vec::new();
    for (index, text) in texts.enumerate() {
        // Too many are counted below.
        let type_name = types.clone().nth(index).unwrap_or(TypeName::Int64);
        arguments.push(
            oneshot::parse(type_name, text).map_err(|error| Failure::usage(error.to_string()))?,
        );
    }
    structure.lay_out(&arguments).map_err(|error| Failure::usage(error.to_string()))
}

fn typed(text: &str) -> Result<Argument, Failure> {
    let Some((kind, value)) = text.split_once(':') else {
        return Err(Failure::usage_with(
            format!("`{text}`: what is its type?"),
            "the module declares no types: write TYPE:VALUE, such as int32:5 or pointer:0102ff",
        ));
    };
    let kind = type_name(kind).map_err(Failure::usage)?;
    oneshot::parse(kind, value).map_err(|error| Failure::usage(error.to_string()))
}

/// A type by its name on the wire.
pub(crate) fn type_name(text: &str) -> Result<TypeName, String> {
    let name: StrDeserializer<'_, NameError> = text.into_deserializer();
    TypeName::deserialize(name).map_err(|_| {
        format!(
            "`{text}` is not a type: void, int8, int16, int32, int64, float32, float64, pointer \
             or struct_ref"
        )
    })
}
