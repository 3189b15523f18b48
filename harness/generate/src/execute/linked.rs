//! Code of modules that are linked: calls and data behind each kind of relocation, imports, images of data.

use harness_protocol::executed::FaultAddress;
use harness_protocol::trap::{Access, Cause};
use harness_protocol::value::Address;
use harness_protocol::{Expect, Returned};

use super::traps::trapping;
use super::{Case, Link, int32};

/// Name of the image of data.
pub(super) const DATA: &str = "data";

/// What the 32-bit variable holds at first, and the constant always.
pub(crate) const VARIABLE: i32 = 1000;
pub(crate) const CONSTANT: i32 = -77;

/// Symbols of the module: name, and where the symbol lies.
pub(crate) mod symbols {
    /// The other functions of the code.
    pub(crate) const FUNCTIONS: [&str; 2] = ["target", "target_other"];
    /// In the data image: name, offset, whether it is a constant.
    pub(crate) const DATA: [(&str, u64, bool); 3] =
        [("variable", 4, false), ("zeros", 20, false), ("constant", 4100, true)];
    /// Defined by the host.
    pub(crate) const HOST: &str = "host";
    /// Defined by nobody, which is no error.
    pub(crate) const NOBODY: &str = "nobody";
}

/// The addend where the field of an instruction is the last of its bytes: distances count from behind it.
const BEHIND: i64 = -4;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = calls();
    cases.extend(data());
    cases.extend(imports());
    cases.extend(traps());
    cases
}

fn link(relocation: &'static str, symbol: &'static str) -> Link {
    let addend = if relocation == "abs64" { 0 } else { BEHIND };
    Link { place: "place", relocation, symbol, addend }
}

fn calls() -> Vec<Case> {
    let why = "a call through a relocation goes somewhere else";
    let case = |relocation: &'static str, snippet| {
        let name = format!("relocations/{relocation}/call");
        let result = Returned::Int32 { value: -21 };
        let case = Case::returning(name, snippet, vec![int32(-7)], result, why);
        Case { links: vec![link(relocation, "target")], ..case }
    };
    let table = |which: i32, value| {
        let name = format!("relocations/abs64/table-{which}");
        let result = Returned::Int32 { value };
        let args = vec![int32(which), int32(-7)];
        let second = Link { place: "place_2", ..link("abs64", "target_other") };
        let case = Case::returning(name, "through_table", args, result, why);
        Case { links: vec![link("abs64", "target"), second], ..case }
    };
    vec![
        case("abs64", "through_abs64"),
        case("pc32", "through_pc32"),
        case("plt32", "through_plt32"),
        case("gotpcrel", "through_slot"),
        table(0, -21),
        table(1, 7),
    ]
}

fn data() -> Vec<Case> {
    let why = "code finds other data than the file's, or none that it may write";
    let case = |name: &str, snippet, args, value, link| {
        let result = Returned::Int32 { value };
        let case = Case::returning(format!("relocations/{name}"), snippet, args, result, why);
        Case { links: vec![link], ..case }
    };
    let load =
        |name: &str, symbol, value| case(name, "load_abs64", vec![], value, link("abs64", symbol));
    let near =
        |name: &str, symbol, value| case(name, "load_pc32", vec![], value, link("pc32", symbol));
    let add = |name: &str, symbol, value| {
        case(name, "add_abs64", vec![int32(5)], value, link("abs64", symbol))
    };
    vec![
        load("abs64/read-variable", "variable", VARIABLE),
        load("abs64/read-zeros", "zeros", 0),
        load("abs64/read-constant", "constant", CONSTANT),
        near("pc32/read-variable", "variable", VARIABLE),
        near("pc32/read-constant", "constant", CONSTANT),
        add("abs64/write-variable", "variable", 2 * VARIABLE + 5),
        add("abs64/write-zeros", "zeros", 5),
    ]
}

/// Addresses that the host gives are numbers: nothing need be there.
fn imports() -> Vec<Case> {
    let why = "an import gets another address than the host gave";
    let case = |name: &str, symbol, result| {
        let name = format!("relocations/abs64/{name}");
        let case = Case::returning(name, "read_place", vec![], Returned::Pointer(result), why);
        Case { links: vec![link("abs64", symbol)], ..case }
    };
    let given = 0x7123_4567_89ab;
    let host = case("import", symbols::HOST, Address::Other { address: given });
    vec![
        Case { imports: [(symbols::HOST.to_owned(), given)].into(), ..host },
        case("undefined-weak-import", symbols::NOBODY, Address::Null),
    ]
}

fn traps() -> Vec<Case> {
    let why = "memory can be executed or written that must not be";
    let case = |name: &str, snippet, args, expect: Expect, symbol| {
        let case = Case::ending(format!("traps/{name}"), snippet, args, expect, why);
        Case { links: vec![link("abs64", symbol)], ..case }
    };
    let at = |offset| Some(FaultAddress::Image { name: DATA.into(), offset });
    let protected = |access, offset| trapping(&[Cause::Protected], Some(access), at(offset));
    vec![
        case("execute-data", "through_abs64", vec![], protected(Access::Fetch, 4), "variable"),
        case("execute-zeros", "through_abs64", vec![], protected(Access::Fetch, 20), "zeros"),
        case(
            "execute-constant",
            "through_abs64",
            vec![],
            protected(Access::Fetch, 4100),
            "constant",
        ),
        case(
            "write-constant",
            "store_abs64",
            vec![int32(1)],
            protected(Access::Write, 4100),
            "constant",
        ),
        case(
            "call-undefined-weak-import",
            "through_abs64",
            vec![],
            trapping(&[Cause::Unmapped], Some(Access::Fetch), Some(FaultAddress::Null)),
            symbols::NOBODY,
        ),
    ]
}
