//! What the harness and a loader under test say to each other, and nothing else.
//!
//! A leaf crate: wire messages ([`message`]), their framing ([`frame`]), typed arguments and results
//! ([`value`]), how far a loader got ([`stage`]), several modules in order ([`scenario`]), what they must
//! look like in memory ([`linked`]), how calls come to grief ([`trap`], [`executed`]), the frozen test vectors
//! ([`vector`]) and the exit codes of the programs ([`exit`]). `README.md` beside this crate says the same in prose for people
//! who write an adapter in another language.
#![forbid(unsafe_code)]

pub mod executed;
pub mod exit;
pub mod frame;
pub mod hexbytes;
pub mod limits;
pub mod linked;
pub mod message;
pub mod oneshot;
pub mod scenario;
pub mod serve;
pub mod stage;
pub mod trap;
pub mod value;
pub mod vector;

pub use hexbytes::HexBytes;
pub use message::{Call, Case, Describe, Export, FromLoader, Image, Reply, ToLoader, Want};
pub use stage::Stage;
pub use value::{Argument, Returned, TypeName};
pub use vector::{Expect, Level, Needs, Observe, Vector, VectorFile};

/// Version of the wire protocol. A loader that answers another number is refused at the handshake.
pub const PROTOCOL_VERSION: u32 = 1;

/// Environment variable that the harness sets for every program it starts, with the protocol version as
/// value. A program that can be both one-shot and pipe may look at it; most never need to.
pub const PROTOCOL_ENV: &str = "BLOB_HARNESS_PROTOCOL";
