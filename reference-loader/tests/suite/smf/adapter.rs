//! Cases of SMF, as the harness sends them.

use std::collections::BTreeMap;

use harness_protocol::scenario::{Step, StepReply};
use harness_protocol::serve::Loader as _;
use harness_protocol::{Argument, Call, Case, Export, Reply, Returned, Stage, TypeName, Want};
use reference_loader::Adapter;
use reference_loader::smf::model;
use serde_json::json;

use super::encode::*;
use super::files::{full, patched};
use super::memory::{is_mapped, peek};

const FAR: u64 = 0x7000_0000_0000_0000;

fn case(want: Want, bytes: Vec<u8>) -> Case {
    let imports = BTreeMap::from([("puts".into(), FAR)]);
    Case { format: "smf".into(), want, bytes: bytes.into(), imports, ..Case::default() }
}

#[expect(unsafe_code, reason = "the adapter of these tests executes")]
fn executing() -> Adapter {
    // SAFETY: the cases below call functions that move integers and return.
    unsafe { Adapter::executing() }
}

#[test]
fn a_valid_file_comes_with_its_model() {
    let reply = Adapter::new().judge(&case(Want::Validate, full().encode()));
    assert_eq!((reply.stage, reply.images.len(), reply.exports), (Some(Stage::Valid), 0, None));
    let model = reply.model.unwrap();
    let keys: Vec<_> = model.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["header", "sections", "relocations", "symbols"]);
    assert_eq!(model["header"]["magic"], "534d4600");
    assert_eq!(
        (&model["header"]["flags"], &model["header"]["exported_count"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(
        model["sections"][0],
        json!({
            "type": 1, "flags": 0, "offset": 416, "size": 32, "virtual_size": 40,
            "alignment": 16, "name": "0".repeat(32),
        })
    );
    assert_eq!(
        model["relocations"],
        json!([[
            {"offset": 0, "symbol_index": 1, "type": 2, "addend": -4},
            {"offset": 8, "symbol_index": 4, "type": 3, "addend": -4},
            {"offset": 16, "symbol_index": 3, "type": 1, "addend": 1},
            {"offset": 32, "symbol_index": 2, "type": 4, "addend": -4},
        ]])
    );
    let symbol = &model["symbols"][3];
    let keys: Vec<_> = symbol.as_object().unwrap().keys().collect();
    let fields = ["name_offset", "name", "name_hash", "type", "binding", "visibility", "flags"];
    assert_eq!(keys, [&fields[..], &["value", "size", "type_id", "version"]].concat());
    assert_eq!((&symbol["name_offset"], &symbol["name"]), (&json!(18), &json!("counter")));
    assert_eq!(symbol["name_hash"], json!(fnv1a(b"counter")));
}

#[test]
fn a_model_that_no_frame_holds_is_left_out() {
    let many = vec![relocation(0, 0, NONE, 0); 100_000];
    let file = Smf { sections: vec![relocs(&many)], ..full() }.encode();
    let parsed = reference_loader::smf::parse(&file).unwrap();
    assert!(model(&parsed).is_none());
}

#[test]
fn a_refused_file_comes_with_rule_and_offset() {
    let reply = Adapter::new().judge(&case(Want::Load, patched(full().encode(), "64=01")));
    assert_eq!((reply.stage, reply.offset), (Some(Stage::Invalid), Some(64)));
    assert_eq!(reply.rule.as_deref(), Some("SMF-HEADER-RESERVED"));
    assert!(reply.message.unwrap().ends_with("(at offset 0x40)"));
    let nothing = Case { imports: BTreeMap::new(), ..case(Want::Load, full().encode()) };
    let reply = Adapter::new().judge(&nothing);
    assert_eq!((reply.stage, reply.offset), (Some(Stage::Unresolvable), Some(504)));
    assert_eq!(reply.rule.as_deref(), Some("SMF-IMPORT"));
}

#[test]
fn images_and_exports_are_reported_and_stay_until_the_next_case() {
    let base = 0x3456_7890_0000;
    let mut adapter = Adapter::new();
    let reply = adapter.judge(&Case { base: Some(base), ..case(Want::Load, full().encode()) });
    assert_eq!(reply.stage, Some(Stage::Loaded));
    let [code, data] = &*reply.images else { panic!("{reply:?}") };
    assert_eq!((&*code.name, code.base, code.size), ("code", base, 40));
    assert_eq!((&*data.name, data.size), ("data", 4144));
    assert_eq!(peek(data.base, 8), b"constant");
    let export = |name: &str, address| Export { name: name.into(), address };
    let exports = [export("main", base), export("table", data.base), export("Point", 7)];
    assert_eq!(reply.exports.as_deref(), Some(&exports[..]));
    assert!(adapter.describe().places);
    adapter.judge(&case(Want::Validate, vec![]));
    assert!(!is_mapped(base - 4096, base + 0x10_0000));
}

#[test]
fn an_image_without_bytes_is_left_out() {
    let file = Smf { sections: vec![section(DATA, 1, b"x")], ..Smf::default() };
    let reply = Adapter::new().judge(&case(Want::Load, file.encode()));
    let names: Vec<_> = reply.images.iter().map(|image| &*image.name).collect();
    assert_eq!((names, reply.exports), (vec!["data"], Some(vec![])));
}

#[test]
fn of_two_exports_of_one_name_the_first_is_offered() {
    let mut file = full();
    file.symbols.push(symbol("main", FUNCTION, GLOBAL, 32, 1));
    let reply = Adapter::new().judge(&case(Want::Load, file.encode()));
    let (code, exports) = (reply.images[0].base, reply.exports.unwrap());
    let main: Vec<_> = exports.iter().filter(|export| export.name == "main").collect();
    assert!(matches!(&*main, [export] if export.address == code), "{exports:?}");
}

/// A module whose function `twice` returns its argument times two.
fn twice() -> Vec<u8> {
    Smf {
        sections: vec![section(CODE, 16, &[0x8d, 0x04, 0x3f, 0xc3])], // lea eax, [rdi + rdi]
        symbols: vec![symbol("twice", FUNCTION, GLOBAL, 0, 4)],
        ..Smf::default()
    }
    .encode()
}

fn call(function: &str, argument: i32) -> Call {
    let args = vec![Argument::Int32 { value: argument }];
    Call { function: function.into(), args, returns: TypeName::Int32 }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn functions_are_called() {
    let called =
        |adapter: &mut Adapter, call| adapter.judge(&Case { call, ..case(Want::Call, twice()) });
    let reply = called(&mut executing(), Some(call("twice", 21)));
    assert_eq!(
        (reply.stage, reply.result),
        (Some(Stage::Returned), Some(Returned::Int32 { value: 42 }))
    );
    let absent = called(&mut executing(), Some(call("thrice", 21)));
    assert_eq!(absent.stage, Some(Stage::Unresolvable));
    assert!(called(&mut executing(), None).skip.is_some());
    assert!(called(&mut Adapter::new(), Some(call("twice", 21))).skip.is_some());
}

fn load(path: &str, bytes: Option<Vec<u8>>, handle: &str) -> Step {
    Step::Load { path: path.into(), bytes: bytes.map(Into::into), handle: handle.into() }
}

fn scenario(adapter: &mut Adapter, steps: Vec<Step>) -> Reply {
    adapter.judge(&Case { steps, ..case(Want::Scenario, vec![]) })
}

fn stages(steps: &[StepReply]) -> Vec<Option<Stage>> {
    steps.iter().map(|step| step.stage).collect()
}

#[cfg(target_arch = "x86_64")]
#[test]
fn scenarios_are_worked_through() {
    let mut adapter = executing();
    let reload = |bytes: &[u8]| Step::Reload {
        path: "a.smf".into(),
        bytes: Some(bytes.into()),
        handle: "new".into(),
    };
    let call = |handle: &str| Step::Call { handle: handle.into(), call: call("twice", 4) };
    let reply = scenario(
        &mut adapter,
        vec![
            load("a.smf", Some(twice()), "a"),
            load("./a.smf", None, "same"),
            Step::Resolve { symbol: "twice".into() },
            Step::Find { handle: "a".into(), symbol: "absent".into() },
            reload(b"broken"),
            reload(&twice()),
            Step::Unload { path: "./a.smf".into() },
            Step::Unload { path: "a.smf".into() },
            call("a"),
            Step::Release { handle: "a".into() },
            call("a"),
            Step::Resolve { symbol: "puts".into() },
            load("absent.smf", None, "absent"),
        ],
    );
    assert_eq!(reply.stage, Some(Stage::Returned));
    let (loaded, no) = (Some(Stage::Loaded), Some(Stage::Unresolvable));
    let wanted = [loaded, loaded, None, no, Some(Stage::Malformed), loaded, None, no];
    let wanted = [&wanted[..], &[Some(Stage::Returned), None, no, None, no]].concat();
    assert_eq!(stages(&reply.steps), wanted, "{:#?}", reply.steps);
    assert_eq!(reply.steps[0].images, reply.steps[1].images);
    assert_ne!(reply.steps[0].images, reply.steps[5].images);
    assert_eq!(reply.steps[2].address, Some(reply.steps[0].images[0].base));
    assert_eq!(reply.steps[4].rule.as_deref(), Some("SMF-HEADER-BOUNDS"));
    assert_eq!(reply.steps[8].result, Some(Returned::Int32 { value: 8 }));
    assert_eq!(reply.steps[11].address, Some(FAR), "the host's");
    let kept = &reply.steps[5].images[0];
    assert_eq!(peek(kept.base, 4), [0x8d, 0x04, 0x3f, 0xc3], "handles are kept");
}

#[test]
fn a_scenario_stays_in_its_folder() {
    for path in ["../a.smf", "/tmp/a.smf", "sub/../../a.smf"] {
        let reply = scenario(&mut Adapter::new(), vec![load(path, Some(twice()), "a")]);
        assert!(reply.skip.unwrap().contains("leads out of"), "{path}");
    }
}

#[test]
fn only_an_executing_adapter_works_steps_that_call() {
    let call = Step::Call { handle: "a".into(), call: call("twice", 4) };
    let steps = vec![load("a", Some(twice()), "a"), call];
    assert!(scenario(&mut Adapter::new(), steps.clone()).skip.is_some());
    let reply = scenario(&mut Adapter::new(), steps[..1].to_vec());
    assert_eq!(stages(&reply.steps), [Some(Stage::Loaded)]);
}
