//! The functions of a module, and what they need.

use blobspec::Format;
use harness_sandbox::module::{Function, Interface};
use serde_json::json;

use crate::args::Global;
use crate::output::outln;

/// Lists what others may call, and the imports that a call may need.
pub(super) fn list(global: &Global, format: &Format, file: &str, interface: &Interface) {
    if global.json {
        outln!("{}", in_json(format, interface));
        return;
    }
    if !interface.functions.iter().any(|function| function.exported) {
        let names: Vec<&str> = interface.functions.iter().map(|it| it.name.as_str()).collect();
        let others = if names.is_empty() {
            "and has no others".to_owned()
        } else {
            format!("but these can be called here too: {}", names.join(", "))
        };
        anstream::eprintln!("{file} exports no function, {others}");
    }
    for function in interface.functions.iter().filter(|function| function.exported) {
        outln!("{}", signature(function));
    }
    for import in &interface.imports {
        outln!("needs {}{}", import.name, if import.weak { " (weak)" } else { "" });
    }
}

/// A function with its types, or with its place where the module declares none.
pub(super) fn signature(function: &Function) -> String {
    let name = &function.name;
    match &function.signature {
        Some((params, returns)) => {
            let params: Vec<&str> = params.iter().map(|param| param.name()).collect();
            format!("{name}({}) -> {returns}", params.join(", "))
        }
        None => {
            let size = function.size.unwrap_or(0);
            format!("{name}: {size} bytes at code image + {:#x}", function.address)
        }
    }
}

/// A list of functions where the format does not link and declares types, else an object with functions and imports.
fn in_json(format: &Format, interface: &Interface) -> serde_json::Value {
    let exported = interface.functions.iter().filter(|function| function.exported);
    if format.linking.is_none() {
        let typed = exported.filter_map(|function| {
            let (params, returns) = function.signature.as_ref()?;
            Some(json!({"name": function.name, "params": params, "returns": returns}))
        });
        return typed.collect();
    }
    let functions: Vec<_> =
        exported.map(|f| json!({"name": f.name, "value": f.address, "size": f.size})).collect();
    let imports: Vec<_> = interface
        .imports
        .iter()
        .map(|import| json!({"name": import.name, "weak": import.weak}))
        .collect();
    json!({"functions": functions, "imports": imports})
}
