//! `harness pack OBJECT… -o FILE`: ELF objects become a module.

use std::path::{Path, PathBuf};

use blobspec::Format;
use harness_protocol::exit;
use serde_json::Value;

use crate::args::Global;
use crate::failure::{CommandResult, Failure};
use crate::module_file::{ModuleHeader, SmfHeader, scp, smf};
use crate::output::outln;
use crate::pack::smf::{Input, LinkError, Module, link};
use crate::pack::{PackOptions, Packed, TypesFile, read_object};
use crate::{formats, input};

/// Turn ELF object files into a module: one to SCP, several to SMF
///
/// The format is what --format says, else what the extension of the output means, else scp.
///
/// SCP (x86_64, ARM64 or i386): global functions become the function table. Their types come from the debug
/// information (compile with -g) or from a YAML file beside the object. Relocations that stay inside the code
/// are resolved; anything else (imports, writable data) is an error that says what and where.
///
/// SMF (x86_64): the objects are linked. Code, constants, variables and zeros are merged to one section each,
/// global names are resolved between the objects, and what none of them defines is an import. SMF relocates
/// code only: constants that hold addresses (tables of functions) are placed with the code, variables that
/// hold addresses are an error.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The object files, as `cc -c -fPIC -ffreestanding -g` makes them; SCP takes one
    #[arg(required = true, value_name = "OBJECT")]
    objects: Vec<PathBuf>,
    /// Where to write the module; `-` is standard output
    #[arg(short, long)]
    output: PathBuf,
    /// SCP: types of functions and structures; they win over the debug information
    #[arg(long, value_name = "FILE")]
    types: Option<PathBuf>,
    /// SCP: set a header flag: thread-safe or requires-gc (repeatable)
    #[arg(long = "flag", value_name = "NAME")]
    flags: Vec<String>,
    /// SCP: mark a function as pure (repeatable)
    #[arg(long, value_name = "FUNCTION")]
    pure: Vec<String>,
    /// SCP: require another module, in at least this version (repeatable)
    #[arg(long = "needs", value_name = "NAME[@MAJOR.MINOR]", value_parser = dependency)]
    dependencies: Vec<(String, u16, u16)>,
    /// SMF: the function at which the module starts; makes it executable
    #[arg(long, value_name = "FUNCTION")]
    entry: Option<String>,
    /// SMF: the module may be replaced while it is in use
    #[arg(long)]
    reloadable: bool,
    /// SMF: which state of its source the module was made from, decimal or 0x…
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    source_hash: Option<u64>,
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

/// A number of 64 bits, decimal or 0x….
pub(super) fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("`{text}` is not a number of 64 bits, decimal or 0x…"))
}

/// Packs the objects.
pub(crate) fn run(global: &Global, options: &Options) -> CommandResult {
    let spec = formats::spec_of_output(global, &options.output)?;
    let format = formats::format(global, &spec)?;
    let (module, summary) = match format.id.as_str() {
        "scp" => pack_scp(&format, options)?,
        "smf" => pack_smf(global, &format, options)?,
        other => {
            return Err(Failure::usage(format!("pack makes scp and smf modules, not {other}")));
        }
    };
    input::write(&options.output, &module)?;
    if options.output.as_os_str() != input::STDIN {
        summary.print(global, &options.output, module.len());
    }
    Ok(exit::OK)
}

/// What to say of a module that was written.
struct Summary {
    text: String,
    json: Vec<(&'static str, Value)>,
}

impl Summary {
    fn print(self, global: &Global, output: &Path, bytes: usize) {
        let Self { text, json } = self;
        if global.json {
            let mut result = serde_json::Map::new();
            result.insert("file".into(), serde_json::json!(output));
            result.extend(json.into_iter().map(|(key, value)| (key.to_owned(), value)));
            result.insert("bytes".into(), bytes.into());
            outln!("{}", Value::Object(result));
        } else {
            outln!("{}: {text}", output.display());
        }
    }
}

/// Refuses the options that mean nothing to the format that is written.
fn refuse(format: &str, options: &[(&str, bool)]) -> Result<(), Failure> {
    match options.iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(Failure::usage(format!("{option}: means nothing to {format}"))),
        None => Ok(()),
    }
}

fn pack_scp(format: &Format, options: &Options) -> Result<(Vec<u8>, Summary), Failure> {
    refuse(
        "scp",
        &[
            ("--entry", options.entry.is_some()),
            ("--reloadable", options.reloadable),
            ("--source-hash", options.source_hash.is_some()),
        ],
    )?;
    let [path] = options.objects.as_slice() else {
        return Err(Failure::usage_with(
            format!("an scp module is made of one object, {} are given", options.objects.len()),
            "link them before (`ld -r a.o b.o -o ab.o`), or make an smf module: --format smf",
        ));
    };
    let types = options.types.as_ref().map(|path| types_file(path)).transpose()?;
    let object = input::read(path)?;
    let packed = read_object(&object, &PackOptions { types })
        .map_err(|error| Failure::usage(format!("{}: {error}", input::display(path))))?;
    let header = ModuleHeader {
        flags: options.flags.clone(),
        pure: options.pure.clone(),
        dependencies: options.dependencies.clone(),
    };
    Ok((scp(format, &packed, &header)?, scp_summary(&packed)))
}

fn scp_summary(packed: &Packed) -> Summary {
    let (functions, types, code) = (packed.functions.len(), packed.types.len(), packed.blob.len());
    let architecture = packed.architecture.name();
    let names: Vec<&str> = packed.functions.iter().map(|function| function.name.as_str()).collect();
    Summary {
        text: format!("{architecture}, {functions} functions, {types} types, {code} bytes of code"),
        json: vec![
            ("architecture", architecture.into()),
            ("functions", names.into()),
            ("types", types.into()),
            ("code_bytes", code.into()),
        ],
    }
}

fn pack_smf(
    global: &Global,
    format: &Format,
    options: &Options,
) -> Result<(Vec<u8>, Summary), Failure> {
    // Under any other reading a symbol of data leads into the code, without breaking a rule.
    if global.choices.iter().any(|(id, reading)| id == "smf.symbol-section" && reading != "by-type")
    {
        return Err(Failure::usage(
            "pack makes modules whose data symbols lie in the data image: smf.symbol-section=by-type",
        ));
    }
    refuse(
        "smf",
        &[
            ("--types", options.types.is_some()),
            ("--flag", !options.flags.is_empty()),
            ("--pure", !options.pure.is_empty()),
            ("--needs", !options.dependencies.is_empty()),
        ],
    )?;
    let names: Vec<String> = options.objects.iter().map(|path| input::display(path)).collect();
    let files =
        options.objects.iter().map(|path| input::read(path)).collect::<Result<Vec<_>, _>>()?;
    let inputs: Vec<Input<'_>> =
        names.iter().zip(&files).map(|(name, bytes)| Input { name, bytes }).collect();
    let module = link(&inputs, options.entry.as_deref()).map_err(|error| link_failure(&error))?;
    let header = SmfHeader {
        reloadable: options.reloadable,
        source_hash: options.source_hash.unwrap_or_default(),
    };
    Ok((smf(format, &module, header)?, smf_summary(&module)))
}

fn link_failure(error: &LinkError) -> Failure {
    match error.hint() {
        Some(hint) => Failure::usage_with(error.to_string(), hint),
        None => Failure::usage(error.to_string()),
    }
}

fn smf_summary(module: &Module) -> Summary {
    let (exports, imports): (Vec<&str>, Vec<&str>) =
        (module.exports().collect(), module.imports().collect());
    let relocations = module.relocations.len();
    let sizes: Vec<String> = module
        .sections
        .iter()
        .map(|section| format!("{} {}", section.name, section.virtual_size))
        .collect();
    let mut text = format!(
        "x86_64, {} bytes; {} exports, {relocations} relocations",
        sizes.join(" + "),
        exports.len(),
    );
    if !imports.is_empty() {
        text += &format!("\n  imports: {}", imports.join(", "));
    }
    for (object, section) in &module.moved {
        text += &format!("\n  {object}: {section} holds addresses and is placed with the code");
    }
    let sections: serde_json::Map<String, Value> = module
        .sections
        .iter()
        .map(|section| (section.name.to_owned(), section.virtual_size.into()))
        .collect();
    let moved: Vec<Value> = module
        .moved
        .iter()
        .map(|(object, section)| serde_json::json!({"object": object, "section": section}))
        .collect();
    Summary {
        text,
        json: vec![
            ("architecture", "x86_64".into()),
            ("sections", sections.into()),
            ("exports", exports.into()),
            ("imports", imports.into()),
            ("relocations", relocations.into()),
            ("placed_with_code", moved.into()),
        ],
    }
}

fn types_file(path: &Path) -> Result<TypesFile, Failure> {
    let text = String::from_utf8_lossy(&input::read(path)?).into_owned();
    TypesFile::parse(&text)
        .map_err(|error| Failure::usage(format!("{}: {error}", input::display(path))))
}
