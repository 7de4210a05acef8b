//! Files of a release that are read whole, and are small.

use std::{fs::File, io::Read as _, path::Path};

use crate::cli::Failure;

/// Longest file of a secret key, in bytes: a key has some hundred.
pub const MAX_KEY: u64 = 4096;

/// The bytes of a file: one more than `limit` at the most, so that whoever parses them says that they are too many.
pub fn bounded(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same, for a file that was named on the command line.
pub fn named(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    bounded(path, limit).map_err(|error| Failure::io(path.display().to_string(), &error))
}
