//! What the vectors promise that call code.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use blobspec::{Readings, Spec};
use harness_codec::decode;
use harness_generate::{Suite, generate};
use harness_protocol::executed::{FaultAddress, SystemCallAbi, breach};
use harness_protocol::trap::{Access, Cause};
use harness_protocol::{Stage, TypeName, Vector, Want};
use rstest::rstest;

static SUITES: LazyLock<BTreeMap<&'static str, Suite>> = LazyLock::new(|| {
    let suite = |name: &'static str| {
        let Some(Ok(spec)) = blobspec::builtin(name) else { panic!("{name} is not built in") };
        let suite = generate(&spec, &Readings::new());
        (name, suite.unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    ["scp", "smf"].map(suite).into()
});

fn called(format: &str) -> Vec<&'static Vector> {
    SUITES[format].vectors.iter().filter(|vector| vector.want == Want::Call).collect()
}

fn named(format: &str, name: &str) -> Vec<&'static Vector> {
    let prefix = format!("{format}/execute/{name}/");
    let found: Vec<_> = called(format).into_iter().filter(|v| v.id.starts_with(&prefix)).collect();
    assert!(!found.is_empty(), "no vector {prefix}");
    found
}

#[rstest]
#[case("scp", 500)]
#[case("smf", 500)]
fn there_are_enough(#[case] format: &str, #[case] least: usize) {
    let count = called(format).len();
    assert!(count >= least, "{count}");
}

/// One expectation for all processors, unless the vector says why not.
#[rstest]
fn twins_expect_the_same(#[values("scp", "smf")] format: &str) {
    let vectors = called(format);
    let by_id: BTreeMap<&str, &Vector> = vectors.iter().map(|v| (v.id.as_str(), *v)).collect();
    let mut pairs = 0;
    for vector in vectors {
        let architecture = vector.needs.architecture.as_deref().unwrap();
        let other = if architecture == "x86_64" { "arm64" } else { "x86_64" };
        let twin = vector.id.replace(&format!("/{architecture}/"), &format!("/{other}/"));
        assert_ne!(twin, vector.id);
        if vector.edit.contains("(no twin: ") {
            continue;
        }
        let twin = by_id.get(twin.as_str()).unwrap_or_else(|| panic!("{} has no twin", vector.id));
        assert_eq!(twin.expect, vector.expect, "{}", vector.id);
        let arguments = |vector: &Vector| vector.call.clone().unwrap();
        assert_eq!(arguments(twin), arguments(vector), "{}", vector.id);
        assert_eq!(twin.needs.containment, vector.needs.containment, "{}", vector.id);
        pairs += 1;
    }
    assert!(pairs > 300, "{pairs}");
}

#[rstest]
fn each_runs_at_two_bases_and_shows_its_code(#[values("scp", "smf")] format: &str) {
    let mut bases: BTreeMap<(String, &str), BTreeSet<u64>> = BTreeMap::new();
    for vector in called(format) {
        let (id, _) = vector.id.rsplit_once('/').unwrap();
        let file = vector.bytes.0.iter().map(|byte| format!("{byte:02x}")).collect();
        bases.entry((file, id)).or_default().insert(vector.base_address.unwrap());
        assert!(!vector.disassembly.is_empty() && !vector.why.is_empty(), "{}", vector.id);
    }
    assert!(bases.values().all(|bases| bases.len() == 2));
}

#[rstest]
fn every_type_is_an_argument_and_a_result(#[values("scp", "smf")] format: &str) {
    let calls: Vec<_> = called(format).iter().map(|vector| vector.call.clone().unwrap()).collect();
    use TypeName::{Float32, Float64, Int8, Int16, Int32, Int64, Pointer, StructRef, Void};
    for name in [Int8, Int16, Int32, Int64, Float32, Float64, Pointer, StructRef] {
        let is_argument = |call: &harness_protocol::Call| {
            call.args.iter().any(|argument| argument.type_name() == name)
        };
        assert!(calls.iter().any(is_argument), "{name}");
        assert!(calls.iter().any(|call| call.returns == name), "{name}");
    }
    assert!(calls.iter().any(|call| call.returns == Void));
}

/// What the issue of execution lists.
#[rstest]
#[case("read-null", &[Cause::Unmapped], Some(Access::Read), Some(FaultAddress::Null))]
#[case("write-null", &[Cause::Unmapped], Some(Access::Write), Some(FaultAddress::Null))]
#[case("fetch-null", &[Cause::Unmapped], Some(Access::Fetch), Some(FaultAddress::Null))]
#[case("write-code", &[Cause::Protected], Some(Access::Write), Some(FaultAddress::Image { name: "code".into(), offset: 16 }))]
#[case("execute-buffer", &[Cause::Protected], Some(Access::Fetch), Some(FaultAddress::Buffer { index: 0, offset: 0 }))]
#[case("execute-stack", &[Cause::Protected], Some(Access::Fetch), Some(FaultAddress::Stack))]
#[case("stack-overflow", &[Cause::Unmapped, Cause::Protected], Some(Access::Write), Some(FaultAddress::BelowStack))]
#[case("read-non-canonical", &[Cause::NonCanonical], None, None)]
#[case("undefined-instruction", &[Cause::UndefinedInstruction], None, None)]
#[case("breakpoint", &[Cause::Breakpoint], None, None)]
fn every_kind_of_trap_is_there_on_both_processors(
    #[values("scp", "smf")] format: &str,
    #[case] name: &str,
    #[case] causes: &[Cause],
    #[case] access: Option<Access>,
    #[case] address: Option<FaultAddress>,
) {
    let vectors = named(format, &format!("traps/{name}"));
    assert_eq!(vectors.len(), 4);
    for vector in vectors {
        let trap = vector.expect.trap.as_ref().unwrap();
        assert_eq!((&*trap.causes, trap.access, &trap.address), (causes, access, &address));
        assert_eq!(vector.expect.stages, [Stage::Trap]);
        assert!(!vector.needs.containment, "{}", vector.id);
    }
}

#[rstest]
#[case("divide-by-zero", Cause::DivideError)]
#[case("divide-overflow", Cause::DivideError)]
#[case("misaligned-sse", Cause::Misaligned)]
#[case("privileged-instruction", Cause::PrivilegedInstruction)]
fn traps_of_one_processor_say_why_the_other_has_none(
    #[values("scp", "smf")] format: &str,
    #[case] name: &str,
    #[case] cause: Cause,
) {
    let vectors = named(format, &format!("traps/{name}"));
    let trapping: Vec<_> = vectors.iter().filter(|v| v.expect.trap.is_some()).collect();
    assert_eq!(trapping.len(), 2);
    for vector in trapping {
        assert_eq!(vector.expect.trap.as_ref().unwrap().causes, [cause]);
        assert_eq!(vector.needs.architecture.as_deref(), Some("x86_64"));
        assert!(vector.edit.contains("(no twin: "), "{}", vector.edit);
    }
}

#[rstest]
#[case("execute-data", Access::Fetch, 4)]
#[case("execute-zeros", Access::Fetch, 20)]
#[case("execute-constant", Access::Fetch, 4100)]
#[case("write-constant", Access::Write, 4100)]
fn data_is_neither_executed_nor_are_constants_written(
    #[case] name: &str,
    #[case] access: Access,
    #[case] offset: u64,
) {
    for vector in named("smf", &format!("traps/{name}")) {
        let trap = vector.expect.trap.as_ref().unwrap();
        let address = FaultAddress::Image { name: "data".into(), offset };
        assert_eq!((trap.access, trap.address.as_ref()), (Some(access), Some(&address)));
    }
}

#[rstest]
fn what_does_harm_is_for_those_who_contain_it(#[values("scp", "smf")] format: &str) {
    let mut doors = BTreeSet::new();
    for vector in called(format) {
        let expect = &vector.expect;
        let harms = expect.system_call.is_some()
            || !expect.breaches.is_empty()
            || expect.stages.contains(&Stage::Exhausted);
        assert_eq!(vector.needs.containment, harms, "{}", vector.id);
        doors.extend(expect.system_call.iter().map(|call| call.abi));
    }
    assert_eq!(doors, BTreeSet::from([None, Some(SystemCallAbi::I386)]));
    let endless = named(format, "traps/endless-loop");
    assert!(endless.iter().all(|vector| vector.expect.stages == [Stage::Exhausted]));
    for name in ["int80", "sysenter", "getpid", "exit-group"] {
        named(format, &format!("promises/system-call-{name}"));
    }
}

#[rstest]
fn every_register_that_a_callee_keeps_is_broken_once(#[values("scp", "smf")] format: &str) {
    let broken = |architecture: &str| -> BTreeSet<String> {
        let of = |v: &&Vector| v.needs.architecture.as_deref() == Some(architecture);
        called(format).into_iter().filter(of).flat_map(|v| v.expect.breaches.clone()).collect()
    };
    let mut both = vec![breach::STACK_POINTER, breach::CALLER_STACK, breach::BESIDE_BUFFER];
    // Only files of this format say that a function is pure.
    both.extend((format == "scp").then_some(breach::IMPURE));
    let own = ["rbx", "rbp", "r12", "r13", "r14", "r15", "direction-flag", "mxcsr"];
    let own = own.into_iter().chain([breach::X87_CONTROL_WORD]).chain(both.iter().copied());
    assert_eq!(broken("x86_64"), own.map(str::to_owned).collect());
    let numbered = (19..30).map(|n| format!("x{n}")).chain((8..16).map(|n| format!("d{n}")));
    let own = both.iter().map(ToString::to_string).chain(["fpcr".to_owned()]);
    assert_eq!(broken("arm64"), numbered.chain(own).collect());
}

#[test]
fn code_reaches_what_it_refers_to_by_every_relocation() {
    for name in ["abs64", "pc32", "plt32", "gotpcrel"] {
        for vector in named("smf", &format!("relocations/{name}/call")) {
            let may_refuse = vector.expect.stages.contains(&Stage::Unsupported);
            assert_eq!(may_refuse, name == "gotpcrel", "{}", vector.id);
        }
    }
    for name in ["read-variable", "read-zeros", "read-constant", "write-variable", "import"] {
        named("smf", &format!("relocations/abs64/{name}"));
    }
}

/// Files of functions that nobody calls as well: the tested one is neither first nor at offset zero.
#[test]
fn a_loader_that_calls_the_first_function_is_found_out() {
    let spec: Spec = blobspec::builtin("scp").unwrap().unwrap();
    for vector in called("scp") {
        let decoded = decode(spec.format(), &vector.bytes.0);
        let functions = decoded.model.regions[1].node.children();
        assert_eq!(functions.len(), 2);
        let entry = functions[1].children()[1].number();
        assert_eq!(entry, Some(16), "{}", vector.id);
    }
}

/// Where another reading of the format moves what code refers to, nothing is said of the call.
#[rstest]
#[case("smf.data-readonly", "read-only", "relocations/abs64/write-variable")]
#[case("smf.symbol-section", "code", "relocations/abs64/read-constant")]
fn a_reading_that_changes_the_image_leaves_the_call_open(
    #[case] choice: &str,
    #[case] reading: &str,
    #[case] name: &str,
) {
    for vector in named("smf", name) {
        let theirs = &vector.readings[choice][reading];
        assert!(theirs.stages.contains(&Stage::Trap) || !theirs.accepts(), "{}", vector.id);
        assert_eq!(theirs.result, None);
    }
}

/// A suite made under another reading has no calls that mean something else there.
#[test]
fn under_a_reading_only_what_still_holds_is_called() {
    let spec = blobspec::builtin("smf").unwrap().unwrap();
    let readings = Readings::from([("smf.data-readonly".into(), "read-only".into())]);
    let suite = generate(&spec, &readings).unwrap();
    let ids: BTreeSet<&str> = suite.vectors.iter().map(|vector| vector.id.as_str()).collect();
    let has = |name: &str| ids.iter().any(|id| id.contains(&format!("/execute/{name}/")));
    assert!(has("values/int8/same/lowest") && has("traps/write-code"));
    // Where nothing can be written, constants share their pages with variables, and lie elsewhere.
    assert!(!has("relocations/abs64/write-variable") && !has("traps/write-constant"));
}
