//! Every cap of the fuzz targets, with its reason.

/// Largest image that is compared byte by byte, in bytes. A file of 300 bytes can ask for an image of a
/// gigabyte; filling it would take the time of a hundred thousand other files.
pub const MAX_COMPARED_IMAGE: u64 = 64 << 10;

/// Sections, symbols and relocations that are drawn for one module, each: more of them show nothing new, and
/// the time goes into making them.
pub const MAX_DRAWN: usize = 24;

/// Bytes that a drawn section has in the file.
pub const MAX_DRAWN_BYTES: usize = 96;

/// Steps that are worked with one registry. Each may map a module.
pub const MAX_STEPS: usize = 48;

/// Bytes of an input that are executed. Longer code shows nothing that a page of it does not.
pub const MAX_EXECUTED: usize = 4096;

/// Time on the processor of executed input: enough for a hundred thousand instructions, and endless loops are
/// common.
pub const EXECUTED_CPU: std::time::Duration = std::time::Duration::from_millis(5);
