//! Scenarios: several modules, loaded, looked up, called, replaced and unloaded in order.

use serde::{Deserialize, Serialize};

use crate::{Call, HexBytes, Image, Returned, Stage};

/// One step. Paths are relative to a scratch folder of the loader's own, with `/` between their parts; two
/// paths that lead to one file (`a.smf`, `./a.smf`) mean one module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Step {
    /// Loads the module at `path`, or gives another handle to it if it is loaded.
    Load {
        /// Where the module is.
        path: String,
        /// What to write to `path` before; none: the file is left as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes: Option<HexBytes>,
        /// What later steps call this load's module.
        handle: String,
    },
    /// Loads the module at `path` anew and puts it in the place of the one that was loaded from there.
    Reload {
        /// Where the module is.
        path: String,
        /// What to write to `path` before; none: the file is left as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes: Option<HexBytes>,
        /// What later steps call this load's module.
        handle: String,
    },
    /// Takes the module at `path` out of the registry. Handles to it stay good.
    Unload {
        /// Where the module is.
        path: String,
    },
    /// Gives a handle back.
    Release {
        /// The handle.
        handle: String,
    },
    /// Asks the registry for a symbol, as the imports of a module do.
    Resolve {
        /// Its name.
        symbol: String,
    },
    /// Asks one module for a symbol that it defines.
    Find {
        /// The module.
        handle: String,
        /// Its name.
        symbol: String,
    },
    /// Calls a function of one module.
    Call {
        /// The module.
        handle: String,
        /// What to call.
        call: Call,
    },
}

/// What came of a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepReply {
    /// `load`, `reload`: how far it got, `loaded` when all is well. `call`: `returned`. `resolve`, `find`, `call`:
    /// `unresolvable` when there is no such symbol; `unload`: `unresolvable` when there is no such module. None: the
    /// step was done and there is nothing else to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Id of the violated rule, where the loader knows the spec's ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `load`, `reload`: where the images lie.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// `resolve`, `find`: the symbol's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<u64>,
    /// `call`: what the function returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Returned>,
}

/// One step of a vector with what a conforming loader answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenarioStep {
    /// The step.
    #[serde(flatten)]
    pub step: Step,
    /// What is right.
    pub expect: ExpectStep,
}

/// What a conforming loader answers to a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExpectStep {
    /// Any of these stages is right; empty: none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Stage>,
    /// Where the symbol lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<ModuleAddress>,
    /// What the function returns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Returned>,
    /// The images are those of this earlier handle: the module was not loaded twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
    /// The images are apart from those of this earlier handle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_than: Option<String>,
}

/// An address in a module, whatever it was mapped at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleAddress {
    /// The handle of a load whose module it is.
    pub handle: String,
    /// Name of the image.
    pub image: String,
    /// Bytes from the image's base.
    pub offset: u64,
}
