//! The specs that ship with the program.

use crate::error::SpecError;
use crate::spec::Spec;

/// Name and text of every built-in spec.
pub const BUILTIN: &[(&str, &str)] =
    &[("scp", include_str!("../formats/scp.yaml")), ("smf", include_str!("../formats/smf.yaml"))];

/// A commented spec to start one's own from.
pub const STARTER: &str = include_str!("../formats/starter.yaml");

/// Loads the built-in spec of that name; `None` when there is none.
///
/// # Errors
/// Never for the specs as shipped; tests load each of them.
#[must_use]
pub fn builtin(name: &str) -> Option<Result<Spec, Box<SpecError>>> {
    let (id, text) = BUILTIN.iter().find(|(id, _)| *id == name)?;
    Some(Spec::load(&format!("{id}.yaml"), text.as_bytes()))
}
