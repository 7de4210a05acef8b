//! Leaves-first execution over a graph.

mod pool;

pub use pool::{OnFailure, Outcome, run};
