//! The messages of a pipe connection.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::executed::Trapped;
use crate::scenario::{Step, StepReply};
use crate::{Argument, HexBytes, Returned, Stage, TypeName};

/// What the harness sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToLoader {
    /// The first frame; the loader answers with [`FromLoader::Hello`].
    Hello {
        /// [`crate::PROTOCOL_VERSION`].
        protocol: u32,
        /// Version of the harness, for the loader's log.
        harness: String,
    },
    /// One file to judge; the loader answers with [`FromLoader::Result`] carrying the same `seq`.
    Case(Case),
    /// The harness is done; the loader exits with 0.
    Bye,
}

/// What a loader sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FromLoader {
    /// The answer to [`ToLoader::Hello`].
    Hello(Describe),
    /// The answer to [`ToLoader::Case`].
    Result(Reply),
}

/// How a loader describes itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Describe {
    /// [`crate::PROTOCOL_VERSION`].
    pub protocol: u32,
    /// Name of the implementation.
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// The language it is written in.
    #[serde(default)]
    pub language: String,
    /// Ids of the formats it reads (`scp`).
    pub formats: Vec<String>,
    /// Architectures whose files it accepts, by the names of the format's spec (`x86_64`). Empty: all.
    #[serde(default)]
    pub architectures: Vec<String>,
    /// What it can be asked for. Empty: only [`Want::Validate`].
    #[serde(default)]
    pub wants: Vec<Want>,
    /// Readings it declares where its document is silent: choice id → reading.
    #[serde(default)]
    pub choices: BTreeMap<String, String>,
    /// Whether it places images where [`Case::base`] asks for them, as far as the system lets it.
    #[serde(default)]
    pub places: bool,
    /// Whether it runs called code where that can do no harm, and says what the code did: [`Reply::trap`],
    /// [`Reply::breaches`], stage [`Stage::Exhausted`]. Only such a loader is asked to call code that asks for
    /// system calls, breaks its calling convention or never ends.
    #[serde(default)]
    pub contains: bool,
}

/// How far the harness wants a loader to go with a file.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// Decode and validate; a good file is answered with [`Stage::Valid`].
    #[default]
    Validate,
    /// Also map it; answered with [`Stage::Loaded`]. The image stays mapped until the next frame arrives,
    /// so that the harness can look at it.
    Load,
    /// Also call one function; answered with [`Stage::Returned`].
    Call,
    /// Work through [`Case::steps`] with one fresh module registry; answered with [`Stage::Returned`] and one
    /// [`StepReply`] for each step, whatever came of the steps.
    Scenario,
}

/// One file to judge. The expected answer is never part of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Sequence number, echoed in the reply.
    pub seq: u64,
    /// Id of the format.
    pub format: String,
    /// How far to go.
    pub want: Want,
    /// The whole file; empty for a scenario, whose steps carry files.
    pub bytes: HexBytes,
    /// What to call; present exactly when `want` is [`Want::Call`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
    /// Addresses of what the host offers to the file's imports, by name. A name that is not here is undefined.
    /// They are numbers to patch in: nothing needs to be there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub imports: BTreeMap<String, u64>,
    /// Where the lowest image should lie; only sent to a loader that says it [`places`](Describe::places).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<u64>,
    /// What to do, in order; present exactly when `want` is [`Want::Scenario`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

/// A function call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Name of the function.
    pub function: String,
    /// Its arguments, already of the declared types.
    pub args: Vec<Argument>,
    /// The declared return type.
    pub returns: TypeName,
}

/// The answer to one case: exactly one of `stage` and `skip` is present.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The case's sequence number. A one-shot loader may leave it out.
    #[serde(default)]
    pub seq: u64,
    /// How far the loader got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Why the loader did not try. Skips are counted, and too many fail the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<String>,
    /// Id of the violated rule, where the loader knows the spec's ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Absolute byte offset of the violation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The decoded file, in the spec's terms; what is left out is not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<serde_json::Value>,
    /// What the called function returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Returned>,
    /// The buffers of the non-null pointer arguments after the call, in argument order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buffers: Vec<HexBytes>,
    /// How the called function came to grief (stage `trap`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trap: Option<Box<Trapped>>,
    /// The promises of its calling convention that the called function broke, by the names of
    /// [`crate::executed::breach`] and of registers; left out: not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaches: Option<Vec<String>>,
    /// Where the images lie in the loader's memory (stage `loaded` and later).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// What the loaded module offers to others; what is left out is not compared, an empty list is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exports: Option<Vec<Export>>,
    /// What came of the steps of a scenario, one entry each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepReply>,
}

/// An exported symbol with its address in the loader's memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// Its address; for a symbol that is not an address (a type), its value as it stands in the file.
    pub address: u64,
}

/// One mapped image, as the loader reports it. The harness looks for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The image's name in the spec (`code`).
    pub name: String,
    /// Address of its first byte.
    pub base: u64,
    /// Bytes that belong to the image (before rounding to pages).
    pub size: u64,
    /// What the loader says is there, for a harness that cannot look into its memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<HexBytes>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_useful_reply_is_enough() {
        let reply: FromLoader =
            serde_json::from_str(r#"{"type":"result","seq":7,"stage":"valid"}"#).unwrap();
        let FromLoader::Result(reply) = reply else { panic!("{reply:?}") };
        assert_eq!((reply.seq, reply.stage), (7, Some(Stage::Valid)));
    }

    #[test]
    fn a_case_carries_no_expectation() {
        let case = Case {
            seq: 1,
            format: "scp".into(),
            want: Want::Validate,
            bytes: vec![0x53, 0x43].into(),
            ..Case::default()
        };
        assert_eq!(
            serde_json::to_string(&ToLoader::Case(case)).unwrap(),
            r#"{"type":"case","seq":1,"format":"scp","want":"validate","bytes":"5343"}"#
        );
    }
}
