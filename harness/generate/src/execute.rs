//! Code to be called: what each vector runs, with which arguments, and what must come of it.
//!
//! A [`Case`] names a snippet of [`snippets`] and the one answer that is right on every processor which has that
//! snippet. Which file carries the code is the business of [`signatures`] (formats that say signatures) and of
//! `scene` (formats that link).

mod linked;
mod memory;
mod promises;
pub(crate) mod scenes;
pub(crate) mod signatures;
pub(crate) mod snippets;
mod traps;
mod values;

use std::collections::BTreeMap;

use harness_protocol::executed::FaultAddress;
use harness_protocol::value::Address;
use harness_protocol::{Argument, Expect, HexBytes, Returned, Stage, TypeName};

use linked::DATA;

/// One call of one snippet.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Name for the id, after the group: `values/int8/same/lowest`.
    pub(crate) name: String,
    pub(crate) snippet: &'static str,
    pub(crate) args: Vec<Argument>,
    pub(crate) returns: TypeName,
    /// What is right. Offsets in the code image count from the snippet's first byte.
    pub(crate) expect: Expect,
    pub(crate) why: &'static str,
    /// Whether the code does harm where it is not contained, or never ends.
    pub(crate) containment: bool,
    /// Whether the function is marked to have no effects.
    pub(crate) pure: bool,
    /// The one architecture that this answer is right on, and why the others have no twin.
    pub(crate) alone: Option<(&'static str, &'static str)>,
    /// What to relocate; only formats that link have such cases.
    pub(crate) links: Vec<Link>,
    /// What the host offers to imports.
    pub(crate) imports: BTreeMap<String, u64>,
}

/// A relocation of a snippet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// The mark of the place.
    pub(crate) place: &'static str,
    /// Name of the relocation in the spec.
    pub(crate) relocation: &'static str,
    /// Name of the symbol.
    pub(crate) symbol: &'static str,
    pub(crate) addend: i64,
}

/// All cases, in a fixed order.
pub(crate) fn cases() -> Vec<Case> {
    [values::cases(), memory::cases(), traps::cases(), promises::cases(), linked::cases()].concat()
}

impl Case {
    /// A call that returns `result` and leaves its buffers as they are.
    fn returning(
        name: impl Into<String>,
        snippet: &'static str,
        args: Vec<Argument>,
        result: Returned,
        why: &'static str,
    ) -> Self {
        let buffers = args.iter().filter_map(Argument::buffer).map(HexBytes::from).collect();
        let returns = type_of(&result);
        let expect = Expect {
            stages: vec![Stage::Returned],
            result: Some(result),
            buffers,
            ..Expect::default()
        };
        Self {
            name: name.into(),
            snippet,
            args,
            returns,
            expect,
            why,
            containment: false,
            pure: false,
            alone: None,
            links: Vec::new(),
            imports: BTreeMap::new(),
        }
    }

    /// A call of a function without result that does not return.
    fn ending(
        name: impl Into<String>,
        snippet: &'static str,
        args: Vec<Argument>,
        expect: Expect,
        why: &'static str,
    ) -> Self {
        Self { expect, ..Self::returning(name, snippet, args, Returned::Void, why) }
    }

    /// The same, with these buffers after the call.
    fn leaving(mut self, buffers: &[&[u8]]) -> Self {
        self.expect.buffers = buffers.iter().map(|bytes| HexBytes(bytes.to_vec())).collect();
        self
    }

    /// The same, right on one architecture alone.
    fn only_on(self, architecture: &'static str, why: &'static str) -> Self {
        Self { alone: Some((architecture, why)), ..self }
    }

    fn contained(self) -> Self {
        Self { containment: true, ..self }
    }

    /// What is right where the snippet lies `entry` bytes into the code image.
    pub(crate) fn expect_at(&self, entry: u64) -> Expect {
        let mut expect = self.expect.clone();
        if let Some(Returned::Pointer(Address::Image { offset })) = &mut expect.result {
            *offset += entry;
        }
        let address = expect.trap.as_mut().and_then(|trap| trap.address.as_mut());
        if let Some(FaultAddress::Image { name, offset }) = address
            && name == CODE
        {
            *offset += entry;
        }
        expect
    }
}

/// Name of the image that code lies in, in every format that has code.
pub(crate) const CODE: &str = "code";

fn type_of(result: &Returned) -> TypeName {
    match result {
        Returned::Void => TypeName::Void,
        Returned::Int8 { .. } => TypeName::Int8,
        Returned::Int16 { .. } => TypeName::Int16,
        Returned::Int32 { .. } => TypeName::Int32,
        Returned::Int64 { .. } => TypeName::Int64,
        Returned::Float32 { .. } => TypeName::Float32,
        Returned::Float64 { .. } => TypeName::Float64,
        Returned::Pointer(_) => TypeName::Pointer,
        Returned::StructRef(_) => TypeName::StructRef,
    }
}

fn int32(value: i32) -> Argument {
    Argument::Int32 { value }
}

fn int64(value: i64) -> Argument {
    Argument::Int64 { value }
}

fn pointer(bytes: &[u8]) -> Argument {
    Argument::Pointer { bytes: Some(HexBytes(bytes.to_vec())) }
}

fn null() -> Argument {
    Argument::Pointer { bytes: None }
}
