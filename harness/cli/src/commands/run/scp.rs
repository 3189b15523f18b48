//! What is called in an SCP module: the function table says the types.

use harness_protocol::{Argument, Call, TypeName, oneshot};

use super::{Options, invalid, no_function};
use crate::args::Global;
use crate::failure::Failure;
use crate::output::outln;

/// The call that is asked for; `None` when the functions were listed instead.
pub(super) fn call(
    global: &Global,
    options: &Options,
    file: &[u8],
) -> Result<Option<Call>, Failure> {
    if options.returns.is_some() || !options.imports.is_empty() {
        return Err(Failure::usage(
            "an scp module declares its types and has no imports: --returns and --import are for smf",
        ));
    }
    let parsed = reference_loader::validate(file).map_err(|error| invalid(options, error))?;
    let functions = signatures(&parsed);
    let Some(function) = &options.function else {
        list(global, &functions);
        return Ok(None);
    };
    let Some(signature) = functions.iter().find(|signature| signature.name == *function) else {
        let names: Vec<&str> = functions.iter().map(|signature| signature.name.as_str()).collect();
        return Err(no_function(options, function, &names));
    };
    Ok(Some(Call {
        function: function.clone(),
        args: arguments(signature, &options.args)?,
        returns: signature.returns,
    }))
}

/// What the function table says about a function.
struct Function {
    name: String,
    params: Vec<TypeName>,
    returns: TypeName,
}

impl std::fmt::Display for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let params: Vec<&str> = self.params.iter().map(|param| param.name()).collect();
        write!(f, "{}({}) -> {}", self.name, params.join(", "), self.returns)
    }
}

fn signatures(file: &reference_loader::File<'_>) -> Vec<Function> {
    let named = |code: &u8| reference_loader::type_code::name(*code);
    let functions = file.functions().filter_map(|function| {
        let name = file.strings().at(function.name_offset)?;
        Some(Function {
            name: String::from_utf8_lossy(name).into_owned(),
            params: function.params.iter().filter_map(named).collect(),
            returns: named(&function.return_type)?,
        })
    });
    functions.collect()
}

fn list(global: &Global, functions: &[Function]) {
    if global.json {
        let all: Vec<_> = functions
            .iter()
            .map(|f| serde_json::json!({"name": f.name, "params": f.params, "returns": f.returns}))
            .collect();
        outln!("{}", serde_json::Value::Array(all));
    } else {
        functions.iter().for_each(|function| outln!("{function}"));
    }
}

fn arguments(signature: &Function, texts: &[String]) -> Result<Vec<Argument>, Failure> {
    if signature.params.len() != texts.len() {
        let message = format!(
            "{} takes {} arguments, {} are given",
            signature.name,
            signature.params.len(),
            texts.len()
        );
        return Err(Failure::usage_with(message, signature.to_string()));
    }
    let parse = |(type_name, text): (&TypeName, &String)| {
        oneshot::parse(*type_name, text)
            .map_err(|error| Failure::usage_with(error.to_string(), signature.to_string()))
    };
    signature.params.iter().zip(texts).map(parse).collect()
}
