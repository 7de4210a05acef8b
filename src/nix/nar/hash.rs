//! Hash and size of a NAR.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

use crate::nix::hash::NarHash;

/// Hashes and counts what is written to it. It does not look into the bytes: check them with [`super::Reader`].
#[derive(Clone, Default)]
pub struct NarHasher {
    state: Sha256,
    size: u64,
}

impl NarHasher {
    /// Hash and size in bytes of everything written.
    pub fn finish(self) -> (NarHash, u64) {
        (NarHash(self.state.finalize().into()), self.size)
    }
}

impl Write for NarHasher {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.state.update(data);
        self.size += data.len() as u64;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hash and size in bytes of everything `nar` gives.
pub fn hash(mut nar: impl Read) -> io::Result<(NarHash, u64)> {
    let mut hasher = NarHasher::default();
    io::copy(&mut nar, &mut hasher)?;
    Ok(hasher.finish())
}
