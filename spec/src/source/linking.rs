//! How addresses are made: symbols and relocations.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Where;

/// How addresses are made.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Linking {
    /// Which records are symbols, and what they mean.
    pub symbols: LinkedSymbols,
    /// Which records are relocations, and what they mean.
    pub relocations: LinkedRelocations,
}

/// The symbol table.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkedSymbols {
    /// The array region.
    pub table: String,
    /// Field that refers to the name.
    pub name: String,
    /// Field with the offset in the image.
    pub value: String,
    /// Which symbols the module defines; the others it imports.
    pub defined: Where,
    /// Which imports are 0 when nobody defines them; none: all imports must be defined.
    #[serde(default)]
    pub weak: Option<Where>,
    /// Which of the defined symbols others see.
    pub exported: Where,
    /// Image → which symbols' values are offsets in it. Symbols in no image are not addresses.
    pub images: IndexMap<String, Where>,
}

/// The relocation table.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkedRelocations {
    /// The array region.
    pub table: String,
    /// The image that is patched.
    pub image: String,
    /// Field with the offset of the place in the image.
    pub place: String,
    /// Field with the index of the symbol.
    pub symbol: String,
    /// Field with the code of the kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// Field with the addend.
    pub addend: String,
}
