//! The ways to talk to a loader under test.

pub(crate) mod incident;
pub(crate) mod link;
pub(crate) mod oneshot;
pub(crate) mod reply;
pub(crate) mod session;
pub(crate) mod tail;
