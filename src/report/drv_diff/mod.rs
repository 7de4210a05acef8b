//! How two derivations differ: for a terminal and as JSON.

mod json;
mod terminal;

pub(super) use json::{ChangeOf, change};
pub use json::{SCHEMA, document, schema};
pub use terminal::write;
pub(super) use terminal::{value, write_change};
