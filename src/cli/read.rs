//! Files that are named on the command line and read whole: keys, policies, manifests. Each has a longest length; what is a pipe or a
//! device says nothing of its own beforehand.

use std::{fs::File, io::Read as _, path::Path};

use super::Failure;
use crate::{nix::secret_key::SecretKey, release::sign::SignError};

/// Longest file of a secret key, in bytes: a key has some hundred.
const MAX_KEY: u64 = 4096;

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

/// A text that was named on the command line.
///
/// # Errors
/// More than `limit` bytes, and bytes that are no UTF-8.
pub fn text(path: &Path, limit: u64) -> Result<String, Failure> {
    let bytes = named(path, limit)?;
    if bytes.len() as u64 > limit {
        return Err(Failure::usage(format!("{}: larger than {limit} bytes", path.display())));
    }
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        Failure::usage(format!("{}: no text: byte {place} is not UTF-8", path.display()))
    })
}

/// The ed25519 key in a file, as `nix key generate-secret` makes them.
pub fn secret_key(file: &Path) -> Result<SecretKey, Failure> {
    let text = String::from_utf8_lossy(&named(file, MAX_KEY)?).into_owned();
    Ok(text.parse().map_err(|source| SignError::SecretKey { file: file.to_owned(), source })?)
}
