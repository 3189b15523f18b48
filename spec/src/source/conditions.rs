//! Which elements something is said about.

use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

/// Which elements: those of which every test holds, or a list of such sets of tests, of which one must.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Where(pub Vec<IndexMap<String, Test>>);

/// What a field must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Test(pub TestKeys);

/// At least one key; all of them must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestKeys {
    /// One of these enum values; a list alone means the same.
    #[serde(rename = "in")]
    pub among: Option<Vec<String>>,
    /// None of these enum values.
    pub not: Option<Vec<String>>,
    /// At least this number.
    pub min: Option<u64>,
    /// At most this number.
    pub max: Option<u64>,
    /// These bits are set.
    pub set: Option<Vec<String>>,
    /// These bits are clear.
    pub clear: Option<Vec<String>>,
}

impl<'de> Deserialize<'de> for Where {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WhereVisitor)
    }
}

/// By hand, since a derived one can only say that no variant matched.
struct WhereVisitor;

impl<'de> Visitor<'de> for WhereVisitor {
    type Value = Where;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "tests of fields (`{type: [code]}`), or a list of such sets of which one must hold",
        )
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Where, A::Error> {
        Ok(Where(vec![IndexMap::deserialize(MapAccessDeserializer::new(map))?]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Where, A::Error> {
        Ok(Where(Vec::deserialize(SeqAccessDeserializer::new(seq))?))
    }
}

impl<'de> Deserialize<'de> for Test {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TestVisitor)
    }
}

struct TestVisitor;

impl<'de> Visitor<'de> for TestVisitor {
    type Value = Test;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of enum values, or a test: in, not, min, max, set, clear")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Test, A::Error> {
        Ok(Test(TestKeys::deserialize(MapAccessDeserializer::new(map))?))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Test, A::Error> {
        let among = Some(Vec::deserialize(SeqAccessDeserializer::new(seq))?);
        Ok(Test(TestKeys { among, ..TestKeys::default() }))
    }
}

impl JsonSchema for Where {
    fn schema_name() -> Cow<'static, str> {
        "Where".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let test = generator.subschema_for::<Test>();
        let tests = json_schema!({"type": "object", "additionalProperties": test});
        json_schema!({
            "description": "Which elements: those of which every test holds, or a list of such sets of tests, of which one must.",
            "anyOf": [tests, {"type": "array", "items": tests}]
        })
    }
}

impl JsonSchema for Test {
    fn schema_name() -> Cow<'static, str> {
        "Test".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = generator.subschema_for::<TestKeys>();
        json_schema!({
            "description": "What a field must be: a list of enum values, or a test.",
            "anyOf": [{"type": "array", "items": {"type": "string"}}, keys]
        })
    }
}
