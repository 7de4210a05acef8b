//! Leaves-first execution over a graph.

mod observer;
mod pool;

pub use observer::{Ended, Observer, Silent, Work};
pub use pool::{OnFailure, Outcome, run};
