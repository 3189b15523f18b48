//! `harness pack OBJECT -o FILE`: an ELF object becomes a module.

use std::path::PathBuf;

use harness_protocol::exit;

use crate::args::Global;
use crate::failure::{CommandResult, Failure};
use crate::module_file::{ModuleHeader, scp};
use crate::output::outln;
use crate::pack::{PackOptions, TypesFile, read_object};
use crate::{formats, input};

/// Turn an ELF object file (x86_64, ARM64 or i386) into a module
///
/// Global functions become the function table. Their types come from the debug information (compile with
/// -g) or from a YAML file beside the object. Relocations that stay inside the code are resolved; anything
/// else (imports, writable data) is an error that says what and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The object file, as `cc -c -fPIC -ffreestanding -g` makes it
    object: PathBuf,
    /// Where to write the module; `-` is standard output
    #[arg(short, long)]
    output: PathBuf,
    /// Types of functions and structures; they win over the debug information
    #[arg(long, value_name = "FILE")]
    types: Option<PathBuf>,
    /// Set a header flag: thread-safe or requires-gc (repeatable)
    #[arg(long = "flag", value_name = "NAME")]
    flags: Vec<String>,
    /// Mark a function as pure (repeatable)
    #[arg(long, value_name = "FUNCTION")]
    pure: Vec<String>,
    /// Require another module, in at least this version (repeatable)
    #[arg(long = "needs", value_name = "NAME[@MAJOR.MINOR]", value_parser = dependency)]
    dependencies: Vec<(String, u16, u16)>,
}

fn dependency(text: &str) -> Result<(String, u16, u16), String> {
    let Some((name, version)) = text.split_once('@') else { return Ok((text.to_owned(), 0, 0)) };
    let (major, minor) =
        version.split_once('.').ok_or("expected NAME@MAJOR.MINOR, such as math@1.2")?;
    let number = |text: &str| {
        text.parse::<u16>().map_err(|_| format!("`{text}` is not a version number from 0 to 65535"))
    };
    Ok((name.to_owned(), number(major)?, number(minor)?))
}

/// Packs the object.
pub(crate) fn run(global: &Global, options: &Options) -> CommandResult {
    let spec = formats::spec(global)?;
    let format = formats::format(global, &spec)?;
    if format.id != "scp" {
        return Err(Failure::usage(format!("pack makes scp modules, not {}", format.id)));
    }
    let types = options.types.as_ref().map(|path| types_file(path)).transpose()?;
    let object = input::read(&options.object)?;
    let packed = read_object(&object, &PackOptions { types })
        .map_err(|error| Failure::usage(format!("{}: {error}", input::display(&options.object))))?;
    let header = ModuleHeader {
        flags: options.flags.clone(),
        pure: options.pure.clone(),
        dependencies: options.dependencies.clone(),
    };
    let module = scp(&format, &packed, &header)?;
    input::write(&options.output, &module)?;
    if options.output.as_os_str() != input::STDIN {
        let (functions, types, code) =
            (packed.functions.len(), packed.types.len(), packed.blob.len());
        let output = options.output.display();
        if global.json {
            let names: Vec<&str> =
                packed.functions.iter().map(|function| function.name.as_str()).collect();
            let result = serde_json::json!({"file": options.output, "architecture": packed.architecture.name(), "functions": names, "types": types, "code_bytes": code, "bytes": module.len()});
            outln!("{result}");
        } else {
            let architecture = packed.architecture.name();
            outln!(
                "{output}: {architecture}, {functions} functions, {types} types, {code} bytes of code"
            );
        }
    }
    Ok(exit::OK)
}

fn types_file(path: &std::path::Path) -> Result<TypesFile, Failure> {
    let text = String::from_utf8_lossy(&input::read(path)?).into_owned();
    TypesFile::parse(&text)
        .map_err(|error| Failure::usage(format!("{}: {error}", input::display(path))))
}
