//! Where a guest's packages come from.

use super::lock::Package;
use crate::source::apt::Apt;
use crate::source::pin::AptPin;

/// Why a package cannot be had, in the words of whoever was asked for it.
pub type FetchError = Box<dyn std::error::Error + Send + Sync>;

/// What pinning needs to know of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The version, epoch included.
    pub version: String,
    /// SHA-256 of the `.deb` file, in hexadecimal.
    pub sha256: String,
}

/// A package client: who knows what a suite has now, and gets it.
pub trait Client {
    /// The package called `name` that `suite` has for `arch` now.
    fn candidate(&self, suite: &str, arch: &str, name: &str) -> Result<Candidate, FetchError>;
    /// The `.deb` file of a pinned package. Its hash is checked by whoever asks.
    fn fetch(&self, package: &Package) -> Result<Vec<u8>, FetchError>;
}

impl Client for Apt {
    fn candidate(&self, suite: &str, arch: &str, name: &str) -> Result<Candidate, FetchError> {
        let found = Apt::candidate(self, suite, arch, name)?;
        Ok(Candidate { version: found.version, sha256: data_encoding::HEXLOWER.encode(&found.sha256) })
    }

    fn fetch(&self, package: &Package) -> Result<Vec<u8>, FetchError> {
        let pin = AptPin::package(&package.suite, &package.arch, &package.name, &package.version);
        let sha256 = data_encoding::HEXLOWER.decode(package.sha256.as_bytes())?;
        let sha256 = <[u8; 32]>::try_from(sha256).map_err(|_| "a SHA-256 has 32 bytes")?;
        Ok(std::fs::read(Apt::fetch(self, &pin, Some(sha256))?.path)?)
    }
}
