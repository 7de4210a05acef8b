//! Nix's data formats, over bytes, pure: no I/O, no async, no terminal.
//!
//! Required reading for the formats: the Nix manual's chapters "Store path specification",
//! "Derivation ATerm format" and "Nix Archive (NAR) format". The `nix` program is the oracle in tests.

pub mod aterm;
pub mod base32;
pub mod derivation;
pub mod drv_check;
mod error;
pub mod hash;
pub mod hash_modulo;
pub mod hash_parts;
mod json;
pub mod make_path;
pub mod nar;
pub mod narinfo;
pub mod secret_key;
pub mod signature;
pub mod store_path;
#[cfg(test)]
mod tests;
pub(crate) mod text;

pub use error::{EXPLANATIONS, Error};
