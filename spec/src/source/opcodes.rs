//! Opcode catalogues, for formats whose code is a bytecode.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

/// A table of instructions.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpcodeTable {
    /// Integer type of the opcode.
    pub repr: String,
    /// Fields that stand before the opcode of every instruction (a version word, say).
    #[serde(default)]
    pub before: Vec<Operand>,
    /// The instructions by mnemonic.
    pub instructions: IndexMap<String, Instruction>,
}

/// One instruction.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Instruction {
    /// The opcode.
    pub code: u64,
    /// Values of the `before` fields for which the opcode has this meaning.
    #[serde(default)]
    pub when: IndexMap<String, u64>,
    /// What follows the opcode.
    #[serde(default)]
    pub operands: Vec<Operand>,
    /// What kind of instruction it is, in the format's own words: plain, jump, condition, …
    #[serde(default)]
    pub role: Option<String>,
    /// What it does.
    #[serde(default)]
    pub doc: String,
}

/// One operand.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Operand {
    /// Name.
    pub name: String,
    /// u8…u64, i8…i64 or an enum.
    #[serde(rename = "type")]
    pub operand_type: String,
}
