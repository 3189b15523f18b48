//! Threads that call a module while another reloads it. Used by the tests and by the example `reload_storm`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, Weak};
use std::thread;

use reference_loader::smf::{Module, ModuleRegistry};

use super::encode::*;

/// What came of a storm.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Calls that returned.
    pub(crate) calls: u64,
    /// Calls whose two values were of two versions, or of an older version than the call before.
    pub(crate) torn: u64,
    /// Versions that are still mapped in the end.
    pub(crate) left_mapped: usize,
}

/// A module whose function `pair` returns `version` twice, read from two places of its data.
fn versioned(version: u32) -> Smf {
    let code = [
        [0x8b, 0x05, 0, 0, 0, 0].as_slice(), // mov eax, [rip + first]
        &[0x8b, 0x0d, 0, 0, 0, 0],           // mov ecx, [rip + second]
        &[0x48, 0xc1, 0xe1, 0x20],           // shl rcx, 32
        &[0x48, 0x09, 0xc8],                 // or rax, rcx
        &[0xc3],
    ]
    .concat();
    Smf {
        flags: 2,
        sections: vec![
            section(CODE, 16, &code),
            section(RODATA, 4, &version.to_le_bytes()),
            section(DATA, 4, &version.to_le_bytes()),
            relocs(&[relocation(2, 1, PC32, -4), relocation(8, 2, PC32, -4)]),
        ],
        symbols: vec![
            symbol("pair", FUNCTION, GLOBAL, 0, code.len() as u64),
            symbol("first", CONSTANT, LOCAL, 0, 4),
            symbol("second", DATUM, LOCAL, 4096, 4),
        ],
        ..Smf::default()
    }
}

#[expect(unsafe_code, reason = "calls the code above")]
fn pair(module: &Module) -> (u32, u32) {
    let address = module.function("pair").unwrap();
    // SAFETY: `pair` is a function of the C convention that takes nothing and returns 64 bits.
    let function = unsafe { std::mem::transmute::<*const _, extern "C" fn() -> u64>(address) };
    let both = function();
    (both as u32, (both >> 32) as u32)
}

/// Lets `callers` threads call while this one reloads `reloads` times.
pub(crate) fn run(callers: usize, reloads: u32) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("storm.smf");
    let write = |version| std::fs::write(&path, versioned(version).encode()).unwrap();
    write(0);
    let registry = ModuleRegistry::new();
    let versions: Mutex<Vec<Weak<Module>>> = Mutex::default();
    let keep = |module: Arc<Module>| versions.lock().unwrap().push(Arc::downgrade(&module));
    keep(registry.load(&path).unwrap());
    let (calls, torn) = (AtomicU64::new(0), AtomicU64::new(0));
    let (done, start) = (AtomicBool::new(false), Barrier::new(callers + 1));
    let caller = || {
        start.wait();
        let mut last = 0;
        loop {
            let ends = done.load(Ordering::Acquire);
            let module = registry.module(&path).unwrap();
            for _ in 0..8 {
                let (first, second) = pair(&module);
                calls.fetch_add(1, Ordering::Relaxed);
                torn.fetch_add(u64::from(first != second || first < last), Ordering::Relaxed);
                last = first;
            }
            if ends {
                assert_eq!(last, reloads, "the last version is called in the end");
                break;
            }
        }
    };
    thread::scope(|scope| {
        let callers: Vec<_> = (0..callers).map(|_| scope.spawn(caller)).collect();
        start.wait();
        for version in 1..=reloads {
            write(version);
            keep(registry.reload(&path).unwrap());
        }
        done.store(true, Ordering::Release);
        callers.into_iter().for_each(|caller| caller.join().unwrap());
    });
    drop(registry.unload(&path).unwrap());
    let versions = versions.into_inner().unwrap();
    let left_mapped = versions.iter().filter(|version| version.strong_count() > 0).count();
    Outcome { calls: calls.into_inner(), torn: torn.into_inner(), left_mapped }
}
