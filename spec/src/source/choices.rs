//! Choices and variants: two uses of one idea, a difference from the document.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Patch;

/// A point where the document is silent or contradicts itself.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The question that the document leaves open.
    pub question: String,
    /// The defensible readings by name; exactly one is the default.
    pub readings: IndexMap<String, Reading>,
    /// Rules that settle it besides those that name it as their `choice`.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Why no file can tell its readings apart.
    #[serde(default)]
    pub untestable: Option<String>,
}

/// One way to read the document.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// Whether this is what the spec says without further ado.
    #[serde(default)]
    pub default: bool,
    /// What it says.
    #[serde(default)]
    pub doc: String,
    /// How the spec differs under it.
    #[serde(default)]
    pub set: Patch,
}

/// A dialect of the format.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// What it is.
    #[serde(default)]
    pub doc: String,
    /// How it differs.
    pub set: Patch,
}
