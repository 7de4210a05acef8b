//! Nix's data formats, over bytes, pure: no I/O, no async, no terminal.
//!
//! Required reading for the formats: the Nix manual's chapters "Store path specification",
//! "Derivation ATerm format" and "Nix Archive (NAR) format". The `nix` program is the oracle in tests.

pub mod base32;
pub mod hash;
pub mod nar;
pub mod store_path;
