//! Test vectors: what is frozen under `conformance/`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::executed::{ExpectedSystemCall, ExpectedTrap};
use crate::linked::{ExpectedExport, ExpectedImage};
use crate::scenario::ScenarioStep;
use crate::{Call, HexBytes, Returned, Stage, Want};

/// One file under `conformance/`: all vectors of one rule group of one format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VectorFile {
    /// Id of the format.
    pub format: String,
    /// Version of the format.
    pub version: String,
    /// The group's name, which is also the file's.
    pub group: String,
    /// The vectors in generation order.
    pub vectors: Vec<Vector>,
}

/// One test: a file, what to ask of a loader, and what a conforming loader answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vector {
    /// Stable id, built from the spec path: `scp/header.magic/const/first-byte`.
    pub id: String,
    /// The rule that this vector violates, or whose boundary it stands on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The valid file that was edited.
    pub base: String,
    /// The one edit, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub edit: String,
    /// How far to go.
    #[serde(default)]
    pub want: Want,
    /// The file.
    pub bytes: HexBytes,
    /// What to call; present exactly when `want` is `call`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
    /// What the host offers to the file's imports, see [`crate::Case::imports`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub imports: BTreeMap<String, u64>,
    /// Where the lowest image should lie, if the loader can be asked, see [`crate::Case::base`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_address: Option<u64>,
    /// The steps of a scenario; present exactly when `want` is `scenario`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<ScenarioStep>,
    /// What a loader that follows the default reading of every choice answers.
    pub expect: Expect,
    /// Where another reading of a choice changes the answer: choice id → reading → answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub readings: BTreeMap<String, BTreeMap<String, Expect>>,
    /// What a loader must support for this vector to apply; computed from the bytes.
    #[serde(default, skip_serializing_if = "Needs::is_empty")]
    pub needs: Needs,
    /// The code that is called, disassembled for people: one instruction a line, with its offset from the
    /// function's first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disassembly: Vec<String>,
    /// What the harness looks at for itself while the file is loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observe: Vec<Observe>,
    /// The partner on the other side of the boundary: accepted where this is rejected, or the reverse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin: Option<String>,
    /// Whether the document demands or recommends this.
    #[serde(default)]
    pub level: Level,
    /// What goes wrong in a loader that gets this wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// What a conforming loader answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expect {
    /// Any of these stages is right; the first is the one the spec names.
    pub stages: Vec<Stage>,
    /// The violated rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Absolute byte offset of the violation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The decoded file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<serde_json::Value>,
    /// What the called function returns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Returned>,
    /// The buffers of the non-null pointer arguments after the call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buffers: Vec<HexBytes>,
    /// The trap that the call ends in, at stage `trap`. Beside `system_call`, either is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trap: Option<ExpectedTrap>,
    /// What the call asks the operating system for, at stage `trap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_call: Option<ExpectedSystemCall>,
    /// The promises of the calling convention that the call breaks, by the names of [`crate::executed::breach`] and
    /// of registers, in any order; none other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaches: Vec<String>,
    /// The images once the module is loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ExpectedImage>,
    /// What the loaded module exports, in any order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exports: Option<Vec<ExpectedExport>>,
}

impl Expect {
    /// Whether the file is to be accepted.
    #[must_use]
    pub fn accepts(&self) -> bool {
        self.stages.iter().any(|stage| stage.accepts())
    }
}

/// What a loader must support for a vector to apply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// The architecture of the file, by the spec's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// An architecture that the machine must not be: its files are to be refused there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_architecture: Option<String>,
    /// The code does harm where it is called without a sandbox, or never ends; see
    /// [`crate::Describe::contains`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub containment: bool,
}

impl Needs {
    /// Whether nothing in particular is needed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What the harness looks at for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observe {
    /// No mapping of the process is writable and executable at once.
    WriteXorExecute,
    /// The images hold what [`Expect::images`] says: pieces, patches, and zero everywhere else.
    Bytes,
    /// The images have the permissions that [`Expect::images`] says.
    Permissions,
    /// Nothing that can be read, written or executed lies right before or after an image's pages.
    Guard,
}

/// How strongly the document says it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A conforming loader does it.
    #[default]
    Must,
    /// A good loader does it.
    Should,
}
