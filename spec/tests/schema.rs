//! The JSON Schema in the repository is the one that the types give, takes the specs that ship, and refuses what
//! an editor should underline.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/formats/blobspec.schema.json");

#[test]
fn the_committed_schema_is_current() {
    let schema = blobspec::schema::json();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(PATH, &schema).unwrap();
    }
    let committed = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(committed == schema, "{PATH} is stale: run the tests with BLESS=1");
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

fn errors(document: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(&blobspec::schema::json()).unwrap();
    let validator = jsonschema::draft7::new(&schema).unwrap();
    validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

#[test]
fn the_specs_that_ship_follow_it() {
    let starter = [("starter", blobspec::STARTER)];
    for (name, text) in blobspec::BUILTIN.iter().copied().chain(starter) {
        assert_eq!(errors(&yaml(text)), Vec::<String>::new(), "{name}");
    }
    for name in ["container", "bytecode", "mission"] {
        let path = format!("{}/tests/formats/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(errors(&yaml(&text)), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn misspelt_keys_and_kinds_do_not() {
    let good = yaml(blobspec::STARTER);
    for (pointer, key, value) in [
        ("", "region", json!([])),
        ("/format", "endain", json!("big")),
        ("/records/Header/fields/0", "typ", json!("u8")),
        ("/regions/0", "limt", json!("header.x")),
        ("/rules/1", "valeu", json!("00")),
        ("/rules/2", "maximum", json!(3)),
        ("/choices/strt.minor", "reading", json!({})),
    ] {
        let mut bad = good.clone();
        bad.pointer_mut(pointer).unwrap().as_object_mut().unwrap().insert(key.into(), value);
        assert!(!errors(&bad).is_empty(), "{pointer}/{key} is accepted");
    }
    for (pointer, value) in [
        ("/rules/1/kind", json!("cosnt")),
        ("/rules/1/stage", json!("malfomed")),
        ("/rules/2/max", json!([3])),
        ("/format/endian", json!("middle")),
        ("/enums/Kind/values/plain/code", json!("one")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(!errors(&bad).is_empty(), "{pointer} is accepted");
    }
}
