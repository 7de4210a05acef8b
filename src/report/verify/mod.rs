//! A verification for a person and as a document.

mod json;
mod terminal;

pub use json::{SCHEMA, document};
pub use terminal::write;
