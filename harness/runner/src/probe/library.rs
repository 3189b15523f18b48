//! What an ELF file gives away about itself without being run.

use std::fs;
use std::path::Path;

use object::{Object, ObjectKind, ObjectSymbol};

/// The function that makes a shared object a loader.
const DESCRIBE: &str = "blob_describe";

/// Functions that only a program built with a sanitizer defines or imports.
const SANITIZERS: [&str; 4] = ["__asan_init", "__hwasan_init", "__msan_init", "__tsan_init"];

/// Largest file that is read to look for symbols; a larger program is run without looking.
const MAX_READ: u64 = 256 << 20;

/// Whether `path` is a shared object that exports `blob_describe`; the error says why it cannot be told.
pub(super) fn exports_describe(path: &Path) -> Result<bool, String> {
    let bytes = read(path)?;
    let file = object::File::parse(&*bytes).map_err(|error| format!("is no library: {error}"))?;
    if file.kind() != ObjectKind::Dynamic {
        return Err("is no shared object".into());
    }
    let mut symbols = file.dynamic_symbols();
    Ok(symbols.any(|symbol| symbol.is_definition() && symbol.name() == Ok(DESCRIBE)))
}

/// Whether `path` was built with a sanitizer that reserves terabytes of shadow memory.
pub(super) fn is_sanitized(path: &Path) -> bool {
    let Ok(bytes) = read(path) else { return false };
    let Ok(file) = object::File::parse(&*bytes) else { return false };
    let known = |name: &str| SANITIZERS.contains(&name);
    file.dynamic_symbols().chain(file.symbols()).any(|symbol| symbol.name().is_ok_and(known))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MAX_READ {
        return Err(format!("is longer than {MAX_READ} bytes"));
    }
    fs::read(path).map_err(|error| error.to_string())
}
