//! Rounds under varied settings, references to compare with, a verdict per output.

pub mod conclusion;
pub mod derivation;
pub mod rounds;
mod verdict;

pub use verdict::{Level, Verdict};
