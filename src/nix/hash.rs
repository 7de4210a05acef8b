//! Hashes as Nix spells them.

use std::fmt;

use sha2::Digest as _;

use super::base32;

/// A SHA-256 over a NAR: what makes two store objects equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NarHash(pub [u8; 32]);

impl NarHash {
    /// The hash of a whole NAR in memory.
    pub fn of(nar: &[u8]) -> Self {
        NarHash(sha2::Sha256::digest(nar).into())
    }

    /// `sha256:` and base-32, as in narinfo files.
    pub fn to_nix(self) -> String {
        format!("sha256:{}", base32::encode(&self.0))
    }

    /// Base-32 alone; file names in our store.
    pub fn to_base32(self) -> String {
        base32::encode(&self.0)
    }
}

impl fmt::Display for NarHash {
    /// The SRI form, `sha256-…=`, as the `nix` program prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256-{}", data_encoding::BASE64.encode(&self.0))
    }
}

impl fmt::Debug for NarHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
