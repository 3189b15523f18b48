//! The way from a file that crashes to the smallest file that crashes likewise, with real runs.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::collections::BTreeMap;

use blobspec::Format;
use harness_codec::{Item, Site, decode, encode, model_json};
use harness_generate::base::bases;
use harness_protocol::TypeName;
use harness_sandbox::native::Native;
use harness_sandbox::{Budget, Calls, Job, Machine as _, job, module, verdict};
use harness_triage::limits::MAX_TRIES;
use harness_triage::{Level, Severity, bucket, minimize, severity};

const BASE: u64 = 0x3000_0000_0000;

/// Calls the function of that name, and says what bucket that ends in and how bad it is.
fn crash(
    native: &mut Native,
    format: &Format,
    file: &[u8],
    name: &str,
) -> Option<(String, Severity)> {
    let module = module::load(format, file, BASE, &BTreeMap::new()).ok()?;
    let function = module.functions.iter().find(|function| function.name == name)?;
    let job = Job {
        entry: function.address,
        convention: function.convention,
        args: Vec::new(),
        returns: TypeName::Void,
        calls: Calls::Once,
        budget: Budget { cpu: std::time::Duration::from_millis(100), ..Budget::default() },
    };
    let plan = job::plan(&module.program, job).ok()?;
    let report = native.run(&plan.setup).expect("the machine runs");
    let verdict = verdict::read(&module.program, &plan, report, native.name());
    let severity = severity(&module.program, &verdict)?;
    Some((bucket(&module.program, &verdict)?.key(), severity))
}

/// An SCP file of three functions, the last of which writes to null from a function that it calls.
fn crashing(format: &Format) -> Vec<u8> {
    let bases = bases(format).expect("bases");
    let rich = bases.into_iter().find(|base| base.name == "rich-x86_64").expect("a rich base");
    let mut draft = rich.draft;
    let mut code = vec![0x90; 0x80];
    code[0x40..0x45].copy_from_slice(&[0x53, 0x53, 0x53, 0x31, 0xc9]); // push rbx ×3; xor ecx, ecx
    code[0x45..0x4a].copy_from_slice(&[0xe8, 0x16, 0, 0, 0]); // call 0x60
    code[0x4a..0x4e].copy_from_slice(&[0x5b, 0x5b, 0x5b, 0xc3]); // pop rbx ×3; ret
    code[0x60..0x66].copy_from_slice(&[0x66, 0xff, 0xc2, 0x89, 0x51, 0x08]); // inc dx; mov [rcx+8], edx
    code[0x66] = 0xc3;
    let region = format.region("code").expect("a region");
    draft.regions[region].item = Item::Bytes(code);
    let table = format.region("functions").expect("a region");
    let record = format.regions[table].record().expect("an array of records");
    let fields = &format.records[record].fields;
    let entry = fields.iter().position(|it| it.name == "entry_offset").expect("a field");
    for (function, at) in [(0, 0), (1, 0x20), (2, 0x40)] {
        let site = Site { region: table, steps: vec![function, entry] };
        draft = draft.with(&site, Item::Number(at)).expect("it has an entry");
    }
    encode(format, &draft).expect("encoded").bytes
}

#[test]
fn a_crash_is_shrunk_within_its_bucket() {
    let spec = blobspec::builtin("scp").expect("a built-in format").expect("without a fault");
    let format = spec.format();
    let file = crashing(format);
    let model = model_json(format, &decode(format, &file).model, &file);
    let name = model["functions"][2]["name"].as_str().expect("a name").to_owned();
    let mut native = Native::start().expect("the native machine starts");

    let (key, severity) = crash(&mut native, format, &file, &name).expect("it crashes");
    assert_eq!(key, format!("unmapped write null | mov [rcx+8],edx | {name}"));
    assert_eq!((severity.level, severity.class), (Level::ProbablyExploitable, "DestAvNearNull"));

    let same = |file: &[u8]| {
        crash(&mut native, format, file, &name).is_some_and(|(found, _)| found == key)
    };
    let result = minimize(format, &file, MAX_TRIES, same).expect("minimized");
    let left = model_json(format, &decode(format, &result.bytes).model, &result.bytes);
    assert!(result.finished);
    assert_eq!(left["functions"].as_array().map(Vec::len), Some(1), "{left}");
    assert_eq!(left["strings"].as_array().map(Vec::len), Some(1), "{left}");
    // The instruction itself and what makes its address null; the call may have to stay.
    let code = left["code"].as_str().expect("code");
    assert!(code.contains("895108") && code.len() <= 2 * 0x26, "{code}");
    assert!(result.bytes.len() < file.len() / 2);
}
