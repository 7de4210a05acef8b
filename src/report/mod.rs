//! The same verdict values for a terminal and as JSON.

pub mod count;
pub mod diff;
pub mod escape;
pub mod verify;
