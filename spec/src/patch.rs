//! Differences from a document: choices' readings and variants.

use serde_json::{Map, Value};

/// Sets the value that `path` leads to; `null` removes it. Every step but the last must exist. A last step that ends
/// in `+` puts the elements of the list `value` after the element, or at the end of the list, that it names.
///
/// # Errors
/// A sentence naming the step that leads nowhere.
pub(crate) fn apply(document: &mut Value, path: &str, value: &Value) -> Result<(), String> {
    let mut steps: Vec<&str> = path.split('.').collect();
    let last = steps.pop().unwrap_or_default();
    let mut at = document;
    let mut rest = steps.as_slice();
    while let Some(step) = rest.first() {
        let nowhere = || format!("`{path}`: there is no `{step}`");
        let taken = (1..=rest.len()).find(|taken| leads_on(at, &rest[..*taken].join(".")));
        let (key, after) = rest.split_at(taken.ok_or_else(nowhere)?);
        at = enter(at, &key.join(".")).ok_or_else(nowhere)?;
        rest = after;
    }
    if let Some(name) = last.strip_suffix('+') {
        return insert(at, path, name, value);
    }
    match at {
        Value::Array(elements) => {
            let index = position(elements, last)
                .ok_or_else(|| format!("`{path}`: there is no `{last}`"))?;
            if value.is_null() {
                elements.remove(index);
            } else {
                elements[index] = value.clone();
            }
        }
        Value::Object(object) if value.is_null() => {
            object.shift_remove(last);
        }
        // A key that was left to its default, such as `active` or `strings: {}`.
        Value::Object(object) => {
            object.insert(last.to_owned(), value.clone());
        }
        other => {
            *other = Value::Object(Map::from_iter([(last.to_owned(), value.clone())]));
        }
    }
    Ok(())
}

fn insert(at: &mut Value, path: &str, name: &str, value: &Value) -> Result<(), String> {
    let Value::Array(new) = value else {
        return Err(format!("`{path}`: what is put after something is a list"));
    };
    let nowhere = || format!("`{path}`: there is no `{name}`");
    let (elements, position) = match at {
        Value::Array(elements) => {
            let position = position(elements, name).ok_or_else(nowhere)?;
            (elements, position + 1)
        }
        Value::Object(object) => {
            let list = object.get_mut(name).and_then(Value::as_array_mut);
            let list = list.ok_or_else(nowhere)?;
            let end = list.len();
            (list, end)
        }
        _ => return Err(nowhere()),
    };
    elements.splice(position..position, new.iter().cloned());
    Ok(())
}

/// Whether there is something under `step`. Ids may hold dots: `choices.smf.weak.readings` has three steps.
fn leads_on(value: &Value, step: &str) -> bool {
    match value {
        Value::Object(object) => object.contains_key(step),
        Value::Array(elements) => position(elements, step).is_some(),
        _ => false,
    }
}

fn enter<'a>(value: &'a mut Value, step: &str) -> Option<&'a mut Value> {
    match value {
        Value::Object(object) => object.get_mut(step),
        Value::Array(elements) => {
            let index = position(elements, step)?;
            elements.get_mut(index)
        }
        _ => None,
    }
}

fn position(elements: &[Value], name: &str) -> Option<usize> {
    elements.iter().position(|element| {
        ["id", "name"].iter().any(|key| element.get(key).and_then(Value::as_str) == Some(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn steps_are_keys_ids_and_names() {
        let mut document =
            json!({"rules": [{"id": "R", "max": 1}], "regions": [{"name": "s", "strings": {}}]});
        apply(&mut document, "rules.R.max", &json!(2)).unwrap();
        apply(&mut document, "regions.s.strings.base", &json!("count")).unwrap();
        assert_eq!(
            document,
            json!({"rules": [{"id": "R", "max": 2}], "regions": [{"name": "s", "strings": {"base": "count"}}]})
        );
        apply(&mut document, "rules.R.max", &Value::Null).unwrap();
        assert_eq!(document["rules"], json!([{"id": "R"}]));
    }

    #[test]
    fn a_plus_puts_elements_after_one_or_at_the_end() {
        let mut document = json!({"fields": [{"name": "a"}, {"name": "d"}]});
        apply(&mut document, "fields.a+", &json!([{"name": "b"}, {"name": "c"}])).unwrap();
        apply(&mut document, "fields+", &json!([{"name": "e"}])).unwrap();
        let names: Vec<&str> = document["fields"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|f| f["name"].as_str())
            .collect();
        assert_eq!(names, ["a", "b", "c", "d", "e"]);
        assert!(apply(&mut document, "fields.z+", &json!([])).unwrap_err().contains("no `z`"));
        assert!(apply(&mut document, "fields.a+", &json!(1)).unwrap_err().contains("a list"));
    }

    #[test]
    fn a_step_may_hold_dots() {
        let mut document = json!({"choices": {"smf.weak": {"question": "?"}}});
        apply(&mut document, "choices.smf.weak.question", &json!("!")).unwrap();
        assert_eq!(document, json!({"choices": {"smf.weak": {"question": "!"}}}));
        let error = apply(&mut document, "choices.smf.strong.question", &json!(1)).unwrap_err();
        assert!(error.contains("no `smf`"), "{error}");
    }

    #[test]
    fn a_step_into_nowhere_is_named() {
        let error = apply(&mut json!({"rules": []}), "rules.R.max", &json!(2)).unwrap_err();
        assert_eq!(error, "`rules.R.max`: there is no `R`");
    }
}
