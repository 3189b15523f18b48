//! Comparing a reported model with the expected one.
//!
//! Only what the loader reports is compared: an object's missing keys are no difference, so that a
//! loader may report the three fields it knows. A key that the expected model lacks is one: it is a
//! misspelt name, and silence about it would compare nothing.

use std::fmt::Write as _;

use serde_json::{Number, Value};

use crate::limits::MAX_MODEL_DEPTH;
use crate::text::cut;

/// The first difference between what was expected and what was reported, in words with its path.
#[must_use]
pub fn difference(expected: &Value, reported: &Value) -> Option<String> {
    let mut path = String::from("model");
    compare(expected, reported, &mut path, MAX_MODEL_DEPTH).map(|what| format!("{path}{what}"))
}

/// The words for a difference below `path`; on a difference `path` stays where it was found.
fn compare(expected: &Value, reported: &Value, path: &mut String, depth: usize) -> Option<String> {
    let Some(depth) = depth.checked_sub(1) else { return Some(" is nested too deeply".into()) };
    match (expected, reported) {
        (Value::Object(expected), Value::Object(reported)) => {
            reported.iter().find_map(|(key, reported)| {
                below(path, format_args!(".{key}"), |path| match expected.get(key) {
                    Some(expected) => compare(expected, reported, path, depth),
                    None => Some(" is reported, the spec has no such key".into()),
                })
            })
        }
        (Value::Array(expected), Value::Array(reported)) if expected.len() == reported.len() => {
            expected.iter().zip(reported).enumerate().find_map(|(index, (expected, reported))| {
                below(path, format_args!("[{index}]"), |path| {
                    compare(expected, reported, path, depth)
                })
            })
        }
        (Value::Array(expected), Value::Array(reported)) => {
            Some(format!(" has {} elements, not {}", reported.len(), expected.len()))
        }
        (Value::Number(expected), Value::Number(reported)) if same(expected, reported) => None,
        _ if expected == reported => None,
        _ => {
            let (reported, expected) = (reported.to_string(), expected.to_string());
            Some(format!(" is {}, {} was expected", cut(&reported), cut(&expected)))
        }
    }
}

fn below(
    path: &mut String,
    step: std::fmt::Arguments<'_>,
    compare: impl FnOnce(&mut String) -> Option<String>,
) -> Option<String> {
    let length = path.len();
    write!(path, "{step}").ok()?;
    let found = compare(path);
    if found.is_none() {
        path.truncate(length);
    }
    found
}

/// Whether two numbers are the same value: `7` and `7.0` are, languages without integers write both.
fn same(expected: &Number, reported: &Number) -> bool {
    if expected.is_f64() == reported.is_f64() {
        return expected == reported;
    }
    expected.as_f64() == reported.as_f64()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::equal(json!({"a": [1, {"b": "x"}]}), json!({"a": [1, {"b": "x"}]}), None)]
    #[case::only_what_is_reported(json!({"a": 1, "b": 2}), json!({"b": 2}), None)]
    #[case::nothing_reported(json!({"a": 1}), json!({}), None)]
    #[case::integer_as_float(json!(7), json!(7.0), None)]
    #[case::big_integers_are_exact(json!(u64::MAX), json!(u64::MAX - 1),
        Some("model is 18446744073709551614, 18446744073709551615 was expected"))]
    #[case::nested(json!({"a": [1, {"b": "x"}]}), json!({"a": [1, {"b": "y"}]}),
        Some(r#"model.a[1].b is "y", "x" was expected"#))]
    #[case::length(json!({"a": [1]}), json!({"a": []}), Some("model.a has 0 elements, not 1"))]
    #[case::unknown_key(json!({"a": 1}), json!({"A": 1}),
        Some("model.A is reported, the spec has no such key"))]
    #[case::kind(json!({"a": 1}), json!({"a": "1"}), Some(r#"model.a is "1", 1 was expected"#))]
    #[case::null(json!({"a": 1}), json!(null), Some(r#"model is null, {"a":1} was expected"#))]
    fn differences(#[case] expected: Value, #[case] reported: Value, #[case] found: Option<&str>) {
        assert_eq!(difference(&expected, &reported).as_deref(), found);
    }

    #[test]
    fn depth_is_bounded() {
        let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
        assert!(difference(&deep, &deep).is_some_and(|text| text.ends_with("too deeply")));
    }
}
