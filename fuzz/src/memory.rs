//! What this process looks like from outside: read from `/proc`, not through the loader.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Held while modules are mapped. Tests run in several threads of one process, and whoever counts mappings
/// must be the only one that makes any.
pub type Loading = MutexGuard<'static, ()>;

/// Waits until nobody else in this process maps modules.
pub fn loading() -> Loading {
    static LOADING: Mutex<()> = Mutex::new(());
    LOADING.lock().unwrap_or_else(PoisonError::into_inner) // a property that does not hold panics
}

/// `length` bytes of this process from `address` on.
///
/// # Panics
/// When they are not mapped.
#[must_use]
pub fn read(address: u64, length: usize) -> Vec<u8> {
    static MEMORY: LazyLock<File> = LazyLock::new(|| match File::open("/proc/self/mem") {
        Ok(file) => file,
        Err(error) => panic!("/proc/self/mem: {error}"),
    });
    let mut bytes = vec![0; length];
    match MEMORY.read_exact_at(&mut bytes, address) {
        Ok(()) => bytes,
        Err(error) => panic!("{length} bytes at {address:#x} are not mapped: {error}"),
    }
}

/// How many mappings of this process are executable. A loaded module with code has at least one.
///
/// # Panics
/// When the system does not say.
#[must_use]
pub fn executable_mappings() -> usize {
    let maps = match fs::read_to_string("/proc/self/maps") {
        Ok(maps) => maps,
        Err(error) => panic!("/proc/self/maps: {error}"),
    };
    let permissions = maps.lines().filter_map(|line| line.split(' ').nth(1));
    permissions.filter(|permissions| permissions.contains('x')).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_it_is() {
        let bytes = *b"something to be found";
        let address = u64::try_from(bytes.as_ptr().expose_provenance()).unwrap();
        assert_eq!(read(address, bytes.len()), bytes);
    }

    #[test]
    fn what_is_not_mapped_is_noticed() {
        assert!(std::panic::catch_unwind(|| read(1, 8)).is_err());
    }

    #[test]
    fn this_program_is_executable() {
        assert!(executable_mappings() > 0);
    }
}
