//! Store paths: `/nix/store/<32 characters of base-32>-<name>`.

use std::fmt;

/// The store directory everything here is about.
pub const STORE_DIR: &str = "/nix/store";

/// A store path: always directly below [`STORE_DIR`], always with a valid name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath {
    // `<hash>-<name>`, checked on construction.
    base: String,
}

impl StorePath {
    /// `<hash>-<name>`, what stands behind the last slash.
    pub fn base_name(&self) -> &str {
        &self.base
    }

    /// The 32 characters of base-32 that references are found by.
    pub fn hash_part(&self) -> &str {
        &self.base[..32]
    }

    /// The name behind the hash.
    pub fn name(&self) -> &str {
        &self.base[33..]
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE_DIR}/{}", self.base)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
