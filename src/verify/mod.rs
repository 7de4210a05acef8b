//! Rounds under varied settings, references to compare with, a verdict per output.

pub mod rounds;
mod verdict;

pub use verdict::{Level, Verdict};
