//! Why an object cannot be packed.

use harness_protocol::TypeName;

use super::relocate::RelocationError;

/// Why an object cannot be packed. Every message says what to do about it where something can be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The bytes are no object file, or a damaged one.
    #[error("the object file cannot be read: {0}")]
    Object(#[from] object::read::Error),
    /// An ELF file of another kind.
    #[error("this is {0}, not a relocatable ELF object: pack the .o file that `cc -c` writes")]
    NotRelocatable(&'static str),
    /// Code of a machine that the format, or the packer for it, does not know.
    #[error("code for {machine} cannot be packed: {known}")]
    Machine {
        /// The object's machine.
        machine: String,
        /// Which machines there are instead.
        known: &'static str,
    },
    /// A section wants more alignment than a page has.
    #[error(
        "section {section} wants to be aligned to {align} bytes: an image is aligned to {} only",
        super::layout::PAGE
    )]
    Alignment {
        /// The section.
        section: String,
        /// What it asks for, in bytes.
        align: u64,
    },
    /// Code that is to run before or after everything else.
    #[error(
        "section {0} lists functions to run when the module is loaded or unloaded: a module has no such \
         thing, call them explicitly"
    )]
    Constructors(String),
    /// A section of code that changes while it runs.
    #[error("section {0} is writable and executable: an image never is")]
    WritableCode(String),
    /// Nothing to call.
    #[error("the object defines no global function (static and hidden ones are not exported)")]
    NoFunctions,
    /// The name of a symbol is not text.
    #[error("the name of a symbol is not UTF-8: {0:?}")]
    Name(String),
    /// A symbol lies outside its section.
    #[error("function `{0}` starts outside its section: the object file is damaged")]
    Entry(String),
    /// The function is chosen when it is first used.
    #[error(
        "function `{0}` is an indirect function (ifunc): a module has no dynamic linker for it"
    )]
    IndirectFunction(String),
    /// A relocation that cannot be resolved inside the blob.
    #[error(transparent)]
    Relocation(#[from] RelocationError),
    /// The debug information is damaged, or of a form that is not read.
    #[error("the debug information cannot be read: {0}")]
    Dwarf(#[from] gimli::Error),
    /// A section of debug information cannot be read as it is.
    #[error("debug section {section} cannot be read: {reason} (compile with -gz=none)")]
    DebugSection {
        /// The section.
        section: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no source of types for a function.
    #[error(
        "the types of function `{0}` are unknown: compile with -g, or give them in the types file\n  \
         functions:\n    {0}: {{params: [int32, pointer], returns: int32}}"
    )]
    NoTypes(String),
    /// The debug information names types that SCP cannot say.
    #[error("function `{function}`: {place} {reason}")]
    Type {
        /// The function.
        function: String,
        /// `the result`, `parameter 2`, or `it` for the function as a whole.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The types file is not of its form.
    #[error("the types file cannot be read: {0}")]
    TypesFile(#[from] serde_yaml::Error),
    /// The types file speaks of a function that is not there.
    #[error("the types file names function `{0}`, which is no global function of the object")]
    UnknownFunction(String),
    /// A type stands where it cannot.
    #[error("{place} cannot be of type {type_name}: it is a return type only")]
    Void {
        /// Where.
        place: String,
        /// The type.
        type_name: TypeName,
    },
    /// More parameters or fields than a count of one byte can say.
    #[error("{place} has {count} entries: 255 is the limit")]
    TooMany {
        /// Function or structure.
        place: String,
        /// How many there are.
        count: usize,
    },
    /// A field that does not fit.
    #[error("structure `{structure}`: the field at offset {offset} ends after its {size} bytes")]
    Field {
        /// The structure.
        structure: String,
        /// The field's offset in bytes.
        offset: u32,
        /// The structure's size in bytes.
        size: u32,
    },
    /// Structures are referred to, but none is described.
    #[error(
        "function `{0}` uses struct_ref, but no structure is known: describe one in the types file\n  \
         types:\n    Point: {{size: 8, fields: [{{offset: 0, type: int32}}, {{offset: 4, type: int32}}]}}"
    )]
    NoStructures(String),
    /// Two structures of one name differ.
    #[error(
        "two different structures are called `{0}`: give their functions' types in the types file"
    )]
    AmbiguousStructure(String),
}
