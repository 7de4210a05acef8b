//! Fixed-output inputs, found by hash: the hash decides, never the place.

pub mod apt;
pub mod deb;
pub mod pin;
pub mod tar;
mod tool;

pub use tool::ToolError;
