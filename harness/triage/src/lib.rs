//! Sorts crashes into buckets, says how bad they are, and shrinks the files that cause them over the model.
#![forbid(unsafe_code)]
