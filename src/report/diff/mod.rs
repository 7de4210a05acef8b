//! A comparison and its causes: for a terminal and as JSON.

mod folded;
mod hexdump;
mod json;
mod symbols;
mod terminal;

#[cfg(test)]
mod tests;

pub use json::{SCHEMA, document};
pub use terminal::{Detail, write};
