//! What hostile code may try, one act a case, and what is said about it: exactly that, and nothing else happens.
//!
//! After every case the witnesses are asked: a file, a listening socket, memory of this process, the processes
//! below the zygote. And the next case must be answered right.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to end")]

mod doors;
mod exhaustion;
mod memory;
mod outside;
mod processor;
mod sandbox;
mod stub;
