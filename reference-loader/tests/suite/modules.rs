//! Modules: what loading keeps of a file, and what it refuses that validation accepts.

use harness_protocol::{Argument, Stage, TypeName};
use reference_loader::{Error, Module, validate};

use crate::encode::Scp;
use crate::files::{exporting, full, host};

fn module() -> Module {
    Module::load(&exporting(&[("b", &[0xc3], &[3, 10], 0), ("a", &[0xc3], &[], 6)]).encode())
        .unwrap()
}

#[test]
fn functions_are_known_by_name() {
    let module = module();
    assert_eq!(module.functions().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((module.entry_offset("a"), module.entry_offset("c")), (Some(16), None));
    let signature = module.signature("b").unwrap();
    assert_eq!(*signature.params, [TypeName::Int32, TypeName::Pointer]);
    assert_eq!((signature.returns, signature.pure), (TypeName::Void, false));
}

#[test]
fn arguments_are_checked_against_the_declaration() {
    let module = module();
    let (int, null) = (Argument::Int32 { value: 1 }, Argument::Pointer { bytes: None });
    assert!(module.check("b", &[int.clone(), null.clone()]).is_ok());
    for args in [vec![], vec![int.clone()], vec![null, int]] {
        assert!(matches!(module.check("b", &args), Err(Error::Arguments { .. })), "{args:?}");
    }
    let unknown = module.check("c", &[]).unwrap_err();
    assert_eq!(unknown.stage(), Some(Stage::Unresolvable));
}

#[test]
fn foreign_code_is_valid_but_not_loaded() {
    for architecture in (0..3).filter(|code| *code != host()) {
        let file = Scp { architecture, ..full() }.encode();
        assert!(validate(&file).is_ok());
        let error = Module::load(&file).unwrap_err();
        assert_eq!((error.stage(), error.offset()), (Some(Stage::Unsupported), Some(20)));
        assert!(matches!(error, Error::ForeignArchitecture { .. }));
    }
}

#[test]
fn a_module_without_code_loads() {
    let module = Module::load(&Scp { architecture: host(), ..Scp::default() }.encode()).unwrap();
    assert!(module.image().addresses().is_empty());
}

#[test]
fn a_module_comes_from_a_file_too() {
    let path = std::env::temp_dir().join(format!("reference-loader-{}.scp", std::process::id()));
    std::fs::write(&path, exporting(&[("f", &[0xc3], &[], 0)]).encode()).unwrap();
    let module = Module::load_file(&path);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(module.unwrap().functions().len(), 1);
    let error = Module::load_file(&path).unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }) && error.stage().is_none());
}
