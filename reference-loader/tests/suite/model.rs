//! The model is the contract with the spec codec: the same keys and values from the same bytes.

use reference_loader::{model, validate};
use serde_json::json;

use crate::files::full;

#[test]
fn a_model_says_everything() {
    let bytes = full().encode();
    let checksum = u32::from_le_bytes(bytes[24..28].try_into().unwrap());
    let expected = json!({
        "header": {
            "magic": "53435000", "version_major": 0, "version_minor": 1, "header_size": 149,
            "code_blob_size": 8, "architecture": 0, "calling_convention": 0, "flags": 0,
            "checksum": checksum, "reserved": "00000000",
        },
        "functions": [
            {"name_offset": 0, "name": "add", "entry_offset": 0, "param_count": 2, "params": [3, 3],
             "return_type": 3, "flags": 0},
            {"name_offset": 4, "name": "len", "entry_offset": 4, "param_count": 2, "params": [10, 11],
             "return_type": 4, "flags": 1},
        ],
        "types": [
            {"id": 1, "name_offset": 8, "name": "Point", "size": 8, "field_count": 2,
             "fields": [{"offset": 0, "type_code": 3}, {"offset": 4, "type_code": 3}]},
            {"id": 2, "name_offset": 14, "name": "Empty", "size": 0, "field_count": 0, "fields": []},
        ],
        "dependencies": [{"name_offset": 20, "name": "math", "required_version": 65538}],
        "strings": ["add", "len", "Point", "Empty", "math"],
        "slack": "0000",
        "code": "c3c3c3c3c3c3c3c3",
    });
    assert_eq!(model(&validate(&bytes).unwrap()), Some(expected));
}
