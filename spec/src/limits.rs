//! Every cap of the spec loader, with its reason.

/// Largest spec in bytes. The built-in specs are below 64 KiB; the parser's own memory is a multiple of
/// this, so the cap also bounds what a hostile spec can make it reserve.
pub const MAX_SPEC_BYTES: usize = 1 << 20;

/// Deepest nesting of YAML collections. The language itself needs eight levels; the parser recurses.
pub const MAX_YAML_DEPTH: usize = 64;

/// Most YAML nodes after aliases are expanded. A spec at [`MAX_SPEC_BYTES`] written without aliases has
/// fewer, so only alias bombs reach it.
pub const MAX_YAML_NODES: usize = 1 << 19;

/// Fewest bytes of a record, nested ones included. Records nest by name, so a few lines could otherwise say
/// one of 2^60 bytes; no format's fixed part comes near a megabyte.
pub const MAX_RECORD_BYTES: u64 = 1 << 20;

/// Widest reach of an array or bytes field with a literal length, in elements. Larger data belongs in a
/// region; the cap keeps a typo such as `bytes[4000000000]` from becoming a gigabyte of base file.
pub const MAX_FIXED_LENGTH: u64 = 1 << 16;

/// Most brackets that may be open anywhere in a text, those in quoted sentences (`[0, size)`) included. The
/// scanner slows down with each; a spec that quotes a thousand half-open ranges is not in sight.
pub const MAX_OPEN_BRACKETS: usize = 1024;
