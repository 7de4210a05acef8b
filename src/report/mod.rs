//! The same verdict values for a terminal and as JSON.

pub mod diff;
pub mod escape;
