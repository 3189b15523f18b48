//! Reference loader for SCP 0.1, written by hand from the document.

pub mod call;
