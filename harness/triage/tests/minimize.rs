//! Files of the built-in formats, made smaller while something stays true of them.

use blobspec::Format;
use harness_codec::{Item, Site, Verdict, decode, encode, model_json};
use harness_generate::base::{Base, Shape, bases};
use harness_triage::limits::MAX_TRIES;
use harness_triage::{MinimizeError, Minimized, minimize};
use rstest::rstest;
use serde_json::Value;

fn format(id: &str) -> Format {
    let spec = blobspec::builtin(id).expect("a built-in format").expect("without a fault");
    spec.format().clone()
}

fn rich(format: &Format, elements: usize) -> Base {
    let rich = bases(format).expect("bases").into_iter().find(|base| base.name.starts_with("rich"));
    if elements == 3 {
        return rich.expect("a rich base");
    }
    let (_, codes) = harness_generate::base::profiles(format).swap_remove(0);
    let shape = Shape { elements, codes, code: true, ..Shape::default() };
    Base::make(format, "large", &shape).expect("a base")
}

fn valid(format: &Format, file: &[u8]) -> Option<Value> {
    let decoded = decode(format, file);
    matches!(decoded.verdict, Verdict::Valid).then(|| model_json(format, &decoded.model, file))
}

fn minimized(format: &Format, file: &[u8], mut holds: impl FnMut(&[u8]) -> bool) -> Minimized {
    let result = minimize(format, file, MAX_TRIES, &mut holds).expect("minimized");
    assert!(result.finished, "the cap came first");
    assert!(holds(&result.bytes), "of the result what should stay true holds");
    assert!(result.bytes.len() <= file.len());
    let again = minimize(format, &result.bytes, MAX_TRIES, &mut holds).expect("minimized again");
    assert_eq!(again.bytes, result.bytes, "nothing more can go: {:?}", again.removed);
    result
}

fn len(model: &Value, table: &str) -> usize {
    model[table].as_array().map_or(0, Vec::len)
}

#[rstest]
#[case("scp")]
#[case("smf")]
fn a_file_that_need_only_be_valid_loses_all_its_tables(#[case] id: &str) {
    let format = format(id);
    let base = rich(&format, 3);
    let result = minimized(&format, &base.file, |file| valid(&format, file).is_some());
    let model = valid(&format, &result.bytes).expect("valid");
    for table in ["functions", "types", "dependencies", "sections", "symbols", "strings", "names"] {
        assert_eq!(len(&model, table), 0, "{table} in {model}");
    }
    assert!(!result.removed.is_empty());
}

/// Of SCP: a function of that name, whose code starts with those bytes.
fn has_function(model: &Value, name: &str, code: &str) -> bool {
    let functions = model["functions"].as_array().into_iter().flatten();
    functions.into_iter().any(|function| {
        let at = function["entry_offset"].as_u64().and_then(|at| usize::try_from(2 * at).ok());
        let blob = model["code"].as_str().unwrap_or_default();
        let start = at.and_then(|at| blob.get(at..));
        function["name"] == name && start.is_some_and(|start| start.starts_with(code))
    })
}

#[test]
fn one_function_of_many_is_left_with_its_code() {
    let format = format("scp");
    let base = rich(&format, 12);
    let model = valid(&format, &base.file).expect("valid");
    let last = model["functions"][11].clone();
    let name = last["name"].as_str().expect("a name").to_owned();
    let entry = usize::try_from(last["entry_offset"].as_u64().expect("an entry")).expect("small");
    let code = &model["code"].as_str().expect("code")[2 * entry..][..2];
    let holds =
        |file: &[u8]| valid(&format, file).is_some_and(|model| has_function(&model, &name, code));
    let result = minimized(&format, &base.file, holds);
    let left = valid(&format, &result.bytes).expect("valid");
    assert_eq!((len(&left, "functions"), len(&left, "types")), (1, 0));
    assert_eq!(left["functions"][0]["name"], name.as_str());
    assert_eq!(left["functions"][0]["entry_offset"], 0);
    assert_eq!(left["functions"][0]["params"], Value::Array(Vec::new()));
    assert_eq!(left["strings"], Value::from(vec![name]));
    assert_eq!(left["code"].as_str(), Some(code));
    assert!(result.removed.iter().any(|it| it.place == "functions[0]" && it.what == "removed"));
}

#[test]
fn entries_follow_code_that_moves() {
    let format = format("scp");
    let mut draft = rich(&format, 3).draft;
    let code: Vec<u8> = (0..=255).collect();
    let region = format.region("code").expect("a region");
    draft.regions[region].item = Item::Bytes(code);
    let table = format.region("functions").expect("a region");
    let record = format.regions[table].record().expect("an array of records");
    let fields = &format.records[record].fields;
    let entry = fields.iter().position(|it| it.name == "entry_offset").expect("a field");
    for function in 0..3 {
        let site = Site { region: table, steps: vec![function, entry] };
        let at = Item::Number(64 + 64 * function as u64);
        draft = draft.with(&site, at).expect("it has an entry");
    }
    let file = encode(&format, &draft).expect("encoded").bytes;
    let model = valid(&format, &file).expect("valid");
    let name = model["functions"][2]["name"].as_str().expect("a name").to_owned();
    let holds = |file: &[u8]| {
        valid(&format, file).is_some_and(|model| has_function(&model, &name, "c0c1c2c3c4"))
    };
    let result = minimized(&format, &file, holds);
    let left = valid(&format, &result.bytes).expect("valid");
    assert_eq!(left["functions"][0]["entry_offset"], 0);
    assert_eq!(left["code"], "c0c1c2c3c4");
}

#[test]
fn a_symbol_and_the_relocation_that_names_it_stay_together() {
    let format = format("smf");
    let base = rich(&format, 3);
    let model = valid(&format, &base.file).expect("valid");
    let relocations: Vec<&Value> = model["relocations"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|list| list.as_array())
        .flatten()
        .collect();
    let named = |model: &Value, relocation: &Value| {
        let index = usize::try_from(relocation["symbol_index"].as_u64()?).ok()?;
        Some(model["symbols"].get(index)?["name"].as_str()?.to_owned())
    };
    let name = named(&model, relocations.last().expect("a relocation")).expect("of a symbol");
    let holds = |file: &[u8]| {
        valid(&format, file).is_some_and(|model| {
            let lists = model["relocations"].as_array().into_iter().flatten();
            let mut relocations = lists.flat_map(|list| list.as_array()).flatten();
            relocations.any(|it| named(&model, it).as_deref() == Some(name.as_str()))
        })
    };
    let result = minimized(&format, &base.file, holds);
    let left = valid(&format, &result.bytes).expect("valid");
    assert_eq!(len(&left, "symbols"), 1, "{left}");
    assert_eq!(left["symbols"][0]["name"], name.as_str());
    assert_eq!(left["names"], Value::from(vec![name]));
    assert!(result.bytes.len() < base.file.len());
}

#[test]
fn a_section_keeps_its_bytes_when_those_before_it_go() {
    let format = format("smf");
    let mut draft = rich(&format, 3).draft;
    let contents = format.region("contents").expect("a region");
    let payloads = draft.regions[contents].item.children_mut().expect("a list");
    let has_bytes = |item: &Item| matches!(item, Item::Bytes(bytes) if !bytes.is_empty());
    let last = payloads.iter().rposition(has_bytes).expect("a section with bytes");
    assert!(last > 0, "there is a section before it");
    let mark = [0x5a, 0xa5, 0x11, 0x22];
    payloads[last] = Item::Bytes(mark.to_vec());
    let file = encode(&format, &draft).expect("encoded").bytes;
    // Whether the file is valid does not matter here: what refers into the section may not fit any more.
    let marks =
        |file: &[u8]| model_json(&format, &decode(&format, file).model, file)["contents"].clone();
    let mark = Value::from(hex::encode(mark));
    let holds = |file: &[u8]| marks(file).as_array().is_some_and(|all| all.contains(&mark));
    let result = minimized(&format, &file, holds);
    assert_eq!(marks(&result.bytes), Value::from(vec![mark.clone()]));
    let left = model_json(&format, &decode(&format, &result.bytes).model, &result.bytes);
    assert_eq!(len(&left, "sections"), 1, "{left}");
}

#[rstest]
#[case("scp", "code")]
fn code_is_overwritten_where_it_cannot_go(#[case] id: &str, #[case] region: &str) {
    let format = format(id);
    let base = rich(&format, 3);
    let code = |file: &[u8]| valid(&format, file)?[region].as_str().map(str::len);
    let before = code(&base.file).expect("code");
    let result = minimized(&format, &base.file, |file| code(file) == Some(before));
    let left = valid(&format, &result.bytes).expect("valid");
    let left = left[region].as_str().expect("code").to_owned();
    assert_eq!((left.len(), left.trim_matches('0')), (before, ""));
}

#[test]
fn the_same_input_gives_the_same_result() {
    let format = format("scp");
    let base = rich(&format, 3);
    let holds = |file: &[u8]| valid(&format, file).is_some_and(|model| len(&model, "types") > 1);
    let one = minimize(&format, &base.file, MAX_TRIES, holds);
    assert_eq!(one, minimize(&format, &base.file, MAX_TRIES, holds));
    assert!(one.is_ok_and(|it| it.tries > 10 && it.tries < 1000));
}

/// What the spec derives is derived again after each step, except where that would end what should stay true.
#[test]
fn a_wrong_checksum_stays_if_that_is_the_point() {
    let format = format("scp");
    let record = format.regions[0].record().expect("the header is a record");
    let fields = &format.records[record].fields;
    let position = fields.iter().position(|it| it.name == "checksum").expect("a field");
    let site = Site { region: 0, steps: vec![position] };
    let draft = rich(&format, 3).draft.with(&site, Item::Number(0x1234_5678));
    let file = encode(&format, &draft.expect("it has a checksum")).expect("encoded").bytes;
    let wrong = |file: &[u8]| {
        let verdict = decode(&format, file).verdict;
        matches!(verdict, Verdict::Rejected { rule, .. } if rule == "SCP-HEADER-CHECKSUM")
    };
    let result = minimized(&format, &file, wrong);
    let model = decode(&format, &result.bytes).model;
    let model = model_json(&format, &model, &result.bytes);
    assert_eq!((len(&model, "functions"), len(&model, "strings")), (0, 0), "{model}");
    assert_eq!(model["code"], "");
}

#[test]
fn the_cap_on_tries_holds() {
    let format = format("scp");
    let base = rich(&format, 3);
    let mut tries = 0;
    let result = minimize(&format, &base.file, 7, |file| {
        tries += 1;
        valid(&format, file).is_some()
    });
    let result = result.expect("minimized");
    assert_eq!((tries, result.tries, result.finished), (7, 7, false));
    assert!(valid(&format, &result.bytes).is_some());
}

#[test]
fn what_cannot_be_minimized() {
    let format = format("scp");
    let file = rich(&format, 3).file;
    let none = minimize(&format, &file, MAX_TRIES, |_| false);
    assert_eq!(none, Err(MinimizeError::NotInteresting));
    let no_model = minimize(&format, &file[..10], MAX_TRIES, |_| true);
    assert_eq!(no_model, Err(MinimizeError::NoModel));
}
