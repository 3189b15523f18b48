//! YAML text to values, refusing what is only meant to exhaust the parser.

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::error::SpecError;
use crate::limits::{MAX_OPEN_BRACKETS, MAX_SPEC_BYTES, MAX_YAML_DEPTH, MAX_YAML_NODES};

/// Parses `bytes` as one YAML document of type `T`.
///
/// # Errors
/// When the text is not UTF-8, too large, too deeply nested, expands aliases without bound, is not YAML
/// or not a `T`. The error names line and column.
pub(crate) fn parse<T: DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<T, Box<SpecError>> {
    let text = decode(file, bytes)?;
    let fail = |error: &serde_yaml::Error| yaml_error(file, text, error);
    check_depth(file, text)?;
    Budget { depth: MAX_YAML_DEPTH, nodes: &mut MAX_YAML_NODES.clone() }
        .deserialize(serde_yaml::Deserializer::from_str(text))
        .map_err(|error| fail(&error))?;
    if let Some((at, key)) = crate::locate::repeated_key(text) {
        let message = format!("`{key}` stands twice in one mapping");
        let help = Some("the parser would keep only one of the two".into());
        return Err(SpecError::at(file, text, at, message, help));
    }
    T::deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| fail(&error))
}

fn decode<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Box<SpecError>> {
    if bytes.len() > MAX_SPEC_BYTES {
        let message = format!("{} bytes; a spec has at most {MAX_SPEC_BYTES}", bytes.len());
        return Err(SpecError::at(file, "", 0, message, None));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default());
        let message = format!("not UTF-8 text (at byte offset {:#x})", error.valid_up_to());
        SpecError::at(file, &valid, valid.len(), message, Some("a spec is a YAML text file".into()))
    })
}

fn yaml_error(file: &str, text: &str, error: &serde_yaml::Error) -> Box<SpecError> {
    let at = error.location().map_or(0, |location| location.index());
    let message = error.to_string();
    // The parser appends the position that the error carries anyway.
    let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
    // What is wrong with a rule is only known when all of it has been read: the position is the rule's.
    let mut words = message.split('`').skip(1).step_by(2);
    let culprit = words.next().unwrap_or_default();
    let at = crate::locate::scalar_from(text, at, culprit).unwrap_or(at);
    let known: Vec<&str> = words.collect();
    let help =
        crate::resolve::nearest(culprit, &known).map(|near| format!("did you mean `{near}`?"));
    SpecError::at(file, text, at, message, help)
}

/// Flow collections nest without indentation, so depth can be seen before anything recurses.
fn check_depth(file: &str, text: &str) -> Result<(), Box<SpecError>> {
    let mut depth = 0_usize;
    let mut open = 0_usize; // the same without the fresh start at top-level keys, which flow text can fake
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' => {
                depth += 1;
                open += 1;
            }
            ']' | '}' => {
                depth = depth.saturating_sub(1);
                open = open.saturating_sub(1);
            }
            '\n' if text
                .get(at + 1..)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_alphabetic())) =>
            {
                depth = 0; // a top-level key: nothing is open any more
            }
            _ => {}
        }
        if depth > MAX_YAML_DEPTH || open > MAX_OPEN_BRACKETS {
            let message = format!("collections nested more than {MAX_YAML_DEPTH} deep");
            return Err(SpecError::at(file, text, at, message, None));
        }
    }
    Ok(())
}

/// Walks a document without building it, counting nodes and depth.
struct Budget<'a> {
    depth: usize,
    nodes: &'a mut usize,
}

impl Budget<'_> {
    fn child(&mut self) -> Budget<'_> {
        Budget { depth: self.depth.saturating_sub(1), nodes: self.nodes }
    }

    fn spend<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.depth == 0 {
            return Err(E::custom(format_args!("nested more than {MAX_YAML_DEPTH} deep")));
        }
        *self.nodes = self.nodes.checked_sub(1).ok_or_else(|| {
            E::custom(format_args!("more than {MAX_YAML_NODES} values once aliases are expanded"))
        })?;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Budget<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<(), D::Error> {
        self.spend()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Budget<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any YAML value")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_i128<E>(self, _: i128) -> Result<(), E> {
        Ok(())
    }
    fn visit_u128<E>(self, _: u128) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_none<E>(self) -> Result<(), E> {
        Ok(()) // an empty document
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self.child())?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(self.child())?.is_some() {
            map.next_value_seed(self.child())?;
        }
        Ok(())
    }
    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(serde::de::Error::custom("YAML tags mean nothing here"))
    }
}
