//! How two derivations differ: for a terminal and as JSON.

mod json;
mod terminal;

pub use json::{SCHEMA, document, schema};
pub use terminal::write;
