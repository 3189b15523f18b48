//! What is called in an SMF module: it says which functions there are, the caller says their types.

use harness_protocol::{Argument, Call, TypeName, oneshot};
use reference_loader::smf::symbols::{Binding, Symbol, SymbolType};
use reference_loader::smf::{self, File};
use serde_json::json;

use super::{Options, invalid, no_function, type_name};
use crate::args::Global;
use crate::failure::Failure;
use crate::output::outln;

/// What C functions return where nothing else is said.
const RETURNS: TypeName = TypeName::Int32;

/// The call that is asked for; `None` when the functions were listed instead.
pub(super) fn call(
    global: &Global,
    options: &Options,
    file: &[u8],
) -> Result<Option<Call>, Failure> {
    let parsed = smf::validate(file).map_err(|error| invalid(options, error))?;
    let symbols = symbols(&parsed);
    let Some(function) = &options.function else {
        list(global, &symbols);
        return Ok(None);
    };
    let mut functions = symbols.iter().filter(|(_, symbol)| is_function(symbol));
    if !functions.any(|(name, _)| name == function) {
        let exported =
            symbols.iter().filter(|(_, symbol)| is_function(symbol) && symbol.is_export());
        let names: Vec<&str> = exported.map(|(name, _)| name.as_str()).collect();
        return Err(no_function(options, function, &names));
    }
    Ok(Some(Call {
        function: function.clone(),
        args: options.args.iter().map(|text| argument(text)).collect::<Result<_, _>>()?,
        returns: options.returns.unwrap_or(RETURNS),
    }))
}

fn symbols(file: &File<'_>) -> Vec<(String, Symbol)> {
    let named = |symbol: Symbol| {
        let name = file.names().at(symbol.name_offset)?;
        Some((String::from_utf8_lossy(name).into_owned(), symbol))
    };
    file.symbols().iter().filter_map(named).collect()
}

fn is_function(symbol: &Symbol) -> bool {
    symbol.kind() == Some(SymbolType::Function) && !symbol.is_import()
}

/// The exported functions, and the imports that a call may need.
fn list(global: &Global, symbols: &[(String, Symbol)]) {
    let functions = symbols.iter().filter(|(_, symbol)| is_function(symbol) && symbol.is_export());
    let imports = symbols.iter().filter(|(_, symbol)| symbol.is_import());
    if global.json {
        let functions: Vec<_> = functions
            .map(|(name, symbol)| json!({"name": name, "value": symbol.value, "size": symbol.size}))
            .collect();
        let imports: Vec<_> = imports
            .map(|(name, symbol)| {
                json!({"name": name, "weak": symbol.binding() == Some(Binding::Weak)})
            })
            .collect();
        outln!("{}", json!({"functions": functions, "imports": imports}));
        return;
    }
    for (name, symbol) in functions {
        outln!("{name}: {} bytes at code image + {:#x}", symbol.size, symbol.value);
    }
    for (name, symbol) in imports {
        let weak = if symbol.binding() == Some(Binding::Weak) { " (weak)" } else { "" };
        outln!("needs {name}{weak}");
    }
}

fn argument(text: &str) -> Result<Argument, Failure> {
    let Some((kind, value)) = text.split_once(':') else {
        return Err(Failure::usage_with(
            format!("`{text}`: what is its type?"),
            "an smf module declares no types: write TYPE:VALUE, such as int32:5 or pointer:0102ff",
        ));
    };
    let kind = type_name(kind).map_err(Failure::usage)?;
    oneshot::parse(kind, value).map_err(|error| Failure::usage(error.to_string()))
}
