//! Tests of the SMF loader from outside, one module a concern.

mod boundaries;
mod encode;
mod files;
