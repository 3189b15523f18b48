//! Relocated machine code of x86_64 that runs.

use harness_protocol::{Argument, Call, Returned, TypeName};
use reference_loader::smf::{Error, Module};

use super::encode::*;

extern "C" fn add(first: i32, second: i32) -> i32 {
    first + second
}

/// `sum(a, b)` calls the import `add`, adds the datum `counter` and counts that up.
fn summing() -> Smf {
    let code = [
        [0x48, 0x83, 0xec, 0x08].as_slice(), // sub rsp, 8
        &[0xe8, 0, 0, 0, 0],                 // call add
        &[0x48, 0x8b, 0x0d, 0, 0, 0, 0],     // mov rcx, [rip + slot of counter]
        &[0x03, 0x01],                       // add eax, [rcx]
        &[0xff, 0x01],                       // inc dword [rcx]
        &[0x48, 0x83, 0xc4, 0x08],           // add rsp, 8
        &[0xc3],
    ]
    .concat();
    let relocations = [relocation(5, 1, PLT32, -4), relocation(12, 2, GOTPCREL, -4)];
    Smf {
        sections: vec![
            section(CODE, 16, &code),
            section(DATA, 4, &100_u32.to_le_bytes()),
            relocs(&relocations),
        ],
        symbols: vec![
            symbol("sum", FUNCTION, GLOBAL, 0, code.len() as u64),
            import("add", FUNCTION, GLOBAL),
            symbol("counter", DATUM, GLOBAL, 0, 4),
        ],
        ..Smf::default()
    }
}

fn host(name: &str) -> Option<u64> {
    (name == "add").then_some(add as *const () as u64)
}

#[expect(unsafe_code, reason = "calls the code of these tests")]
pub(crate) fn call(
    module: &Module,
    function: &str,
    args: &[i32],
    returns: TypeName,
) -> Result<Returned, Error> {
    let args = args.iter().map(|value| Argument::Int32 { value: *value }).collect();
    let call = Call { function: function.into(), args, returns };
    // SAFETY: the functions of the tests take integers, return what they are asked for here, and access no
    // memory but their module's data and their stack.
    unsafe { module.call(&call) }.map(|outcome| outcome.returned)
}

#[test]
fn code_calls_its_imports_and_changes_its_data() {
    let module = Module::load(&summing().encode(), &host).unwrap();
    let sum = || call(&module, "sum", &[2, 3], TypeName::Int32).unwrap();
    assert_eq!(sum(), Returned::Int32 { value: 105 });
    assert_eq!(sum(), Returned::Int32 { value: 106 });
}

#[test]
fn only_functions_are_called() {
    let module = Module::load(&summing().encode(), &host).unwrap();
    for name in ["counter", "add", "absent"] {
        let error = call(&module, name, &[], TypeName::Void).unwrap_err();
        assert!(matches!(error, Error::NoFunction(_)), "{name}");
    }
}
