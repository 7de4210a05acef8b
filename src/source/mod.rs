//! Fixed-output inputs, found by hash: the hash decides, never the place.

pub mod deb;
pub mod tar;
