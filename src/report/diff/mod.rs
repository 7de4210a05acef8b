//! A comparison and its causes: for a terminal and as JSON.

mod folded;
pub(super) mod hexdump;
mod json;
mod subjects;
mod symbols;
mod terminal;

#[cfg(test)]
mod tests;

pub(super) use json::{CauseOf, Document};
pub use json::{SCHEMA, document, schema};
pub use subjects::subjects;
pub(super) use terminal::finding_for_terminal;
pub use terminal::{Detail, write, write_differences, write_different};
